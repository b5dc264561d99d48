"""`cohort project ...`: create, fund, watch and end a project as its owner."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cohort_trainer.terminal import OWNER_PASSWORD, ask_password, confirm, make_home

if TYPE_CHECKING:
    from cohort_protocol.service.messages import ProjectState

    from cohort_trainer.owner.batches import RevealedBatch
    from cohort_trainer.owner.sdk import Owner

app = typer.Typer(
    no_args_is_help=True,
    help="Create, fund, watch and end a project as its owner.\n\nThe money sits in the contract's escrow: a round that "
    "has opened is paid whatever happens, the rest comes back to you.",
    epilog="Start: cohort project init --home ~/owner ...; cohort project create --home ~/owner --spec spec.toml "
    '--terms terms.toml --deposit "5000 tokens" --validation held-out.csv; cohort project watch 1 --home ~/owner',
)

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="COHORT_OWNER_HOME", help="Folder with key, settings and records.")
]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", help=f"File with the password; else {OWNER_PASSWORD}, else you are asked."),
]
ProjectArgument = Annotated[int, typer.Argument(min=1, help="Number of the project.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command()
def init(
    home: HomeOption,
    api: Annotated[str, typer.Option(help="URL of the service, such as http://127.0.0.1:8000.")],
    chain: Annotated[str, typer.Option(help="URL of a chain node: http(s)://... or ipc:///path.")],
    ipfs: Annotated[str, typer.Option(help="IPFS: file:///folder (embedded store) or http://host:5001 (Kubo).")],
    chain_id: Annotated[int | None, typer.Option(help="Chain id. Default: as the service says.")] = None,
    market: Annotated[str | None, typer.Option(help="Address of the market. Default: as the service says.")] = None,
    verifier: Annotated[str | None, typer.Option(help="Address of the verifier. Default: as the service says.")] = None,
    proven_verifier: Annotated[
        str | None, typer.Option(help="Address of the verifier of proven projects, if you mean to make one.")
    ] = None,
    srs: Annotated[
        Path | None,
        typer.Option(envvar="COHORT_SRS", help="Their SRS file: `cohort srs import`, or `cohort srs devnet`."),
    ] = None,
    start_block: Annotated[int, typer.Option(min=0, help="Block of the market's deployment.")] = 0,
    confirmations: Annotated[int, typer.Option(min=0, help="Blocks to finality: 0 on a devnet, 64 on mainnet.")] = 0,
    key_file: Annotated[Path | None, typer.Option(help="Use the key in this file (64 hex digits).")] = None,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Make a home folder: an encrypted key and the addresses of one market.

    Take chain id, market and verifier from a source you trust: the service is only a convenience, and what it returns
    to sign is compared with them.

    Example:

    cohort project init --home ~/owner --api http://127.0.0.1:8000 --chain http://127.0.0.1:8545
    --ipfs file:///srv/cohort/ipfs
    """
    make_home(
        home,
        service_url=api,
        chain_url=chain,
        ipfs_url=ipfs,
        chain_id=chain_id,
        market=market,
        verifier=verifier,
        start_block=start_block,
        confirmations=confirmations,
        key_file=key_file,
        password_file=password_file,
        variable=OWNER_PASSWORD,
        yes=yes,
        proven_verifier=proven_verifier,
        srs=srs,
    )
    print("Next: send the address some coin for gas and the tokens you mean to pay, then `cohort project create`.")


@app.command()
def example(
    folder: Annotated[Path, typer.Argument(help="Where spec.toml and terms.toml are written.")] = Path("."),
    token: Annotated[str | None, typer.Option(help="Address of the token to pay in.")] = None,
    witness: Annotated[list[str] | None, typer.Option(help="Address of a witness; repeat it.")] = None,
    aggregator: Annotated[list[str] | None, typer.Option(help="Address of an aggregator; repeat it.")] = None,
) -> None:
    """Write an example spec and terms, each choice with a comment. Overwrites nothing.

    Example:

    cohort project example my-project --token 0x... --witness 0x... --witness 0x... --witness 0x... --aggregator 0x...
    """
    from cohort_trainer.errors import HomeExists
    from cohort_trainer.owner.templates import SPEC_TOML, example_terms

    files = {folder / "spec.toml": SPEC_TOML, folder / "terms.toml": example_terms(token, witness, aggregator)}
    for path in files:
        if path.exists():
            raise HomeExists(f"{path} exists; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        path.write_text(text)
        print(f"Wrote {path}")


@app.command()
def create(
    home: HomeOption,
    spec: Annotated[Path, typer.Option(help="The spec: model, data, training, policy (.toml or .json).")],
    terms: Annotated[Path, typer.Option(help="The terms: money, windows, witnesses, aggregators (.toml or .json).")],
    deposit: Annotated[str, typer.Option(help='Base units ("5000000") or tokens ("5000 tokens").')],
    label: Annotated[str, typer.Option(help="To create the same project a second time: any new word.")] = "",
    validation: Annotated[
        Path | None,
        typer.Option(help="Your labelled examples (.csv or .npz): each round is judged by a batch of them."),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(min=128, help="Examples in a batch. Default: 256 if that many are new in every round, else 128."),
    ] = None,
    access_list: Annotated[
        Path | None, typer.Option(help="File with the addresses that may join, one per line. Default: everybody.")
    ] = None,
    as_json: JsonOption = False,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Create and fund a project through the service, after showing its cost: one transaction where the token knows
    permits.

    The first model is made here from its seed. What the service returns to sign is compared byte for byte with what
    these files ask for; anything else is refused. Running it again after a crash goes on where it was.

    With --validation one batch per round is drawn and kept in your home; `cohort project reveal-batches` shows each
    once nobody can commit any more. Keep that command running: a round without its batch is judged by agreement alone.

    `cohort project example` writes both files for you to change.

    Example:

    cohort project create --home ~/owner --spec spec.toml --terms terms.toml --deposit "5000 tokens"
    --validation held-out.csv
    """
    from cohort_trainer.access_lists import read_list
    from cohort_trainer.owner.drafts import read_file

    with _unlocked(home, password_file) as owner:
        values = read_file(terms)
        if access_list is not None:
            values["access_list"] = read_list(access_list).trainers
        plan = owner.plan(read_file(spec), values, deposit, validation, batch_size)
        if not as_json:
            print("\n".join(owner.preview(plan)))
        confirm("Create and fund this project?", yes)
        project = owner.create(plan, label)
        if as_json:
            print(json.dumps({"project": project, "spec_cid": str(plan.spec_cid), "deposit": str(plan.deposit)}))
        else:
            print(f"Project {project} is created and funded. Trainers: cohort trainer join {project}")
            if plan.batches is not None:
                print(f"Keep this running: cohort project reveal-batches {project} --watch --home {home}")


@app.command(name="reveal-batches")
def reveal_batches(
    project: ProjectArgument,
    home: HomeOption,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until the project is finished.")] = False,
    as_json: JsonOption = False,
    password_file: PasswordOption = None,
) -> None:
    """Show the validation batch of the newest round, if nobody can commit any more: publish it, and open it on chain.

    Batches were drawn when the project was created and never left this home. A round whose batch is not shown before
    its reveals end is judged by agreement alone. Running it again is safe; the service is told nothing.

    Examples:

    cohort project reveal-batches 1 --home ~/owner

    cohort project reveal-batches 1 --watch --home ~/owner
    """
    with _unlocked(home, password_file) as owner:

        def tell(shown: RevealedBatch) -> None:
            if as_json:
                print(json.dumps({"project": shown.project, "round": shown.round, "cid": shown.cid}), flush=True)
            else:
                print(f"Round {shown.round}: batch of {shown.examples} examples shown, {shown.cid}", flush=True)

        if watch:
            owner.reveal_batches(project, tell)
        elif (shown := owner.reveal_batch(project)) is not None:
            tell(shown)
        elif not as_json:
            print("No batch is due: the newest round still takes commitments, has its batch, or is past its reveals.")


@app.command()
def fund(
    project: ProjectArgument,
    amount: Annotated[str, typer.Argument(help='Base units or "250 tokens".')],
    home: HomeOption,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Add to a project's escrow.

    Example:

    cohort project fund 1 "250 tokens" --home ~/owner
    """
    with _unlocked(home, password_file) as owner:
        confirm(f"Add {amount} to the escrow of project {project}?", yes)
        added = owner.fund(project, amount)
        print(f"{owner.connection.money(project, added)} added to the escrow of project {project}.")


@app.command(name="add-aggregator")
def add_aggregator(
    project: ProjectArgument,
    aggregator: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who may accept and settle rounds too.")],
    home: HomeOption,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Let one more aggregator run rounds, at most eight in all. Nobody can be removed again.

    Example:

    cohort project add-aggregator 1 0x... --home ~/owner
    """
    from cohort_protocol.identifiers import parse_address

    address = parse_address(aggregator)
    with _unlocked(home, password_file) as owner:
        confirm(f"Let {address} accept rounds of project {project}? This cannot be taken back.", yes)
        owner.add_aggregator(project, address)
        print(f"{address} is an aggregator of project {project}.")


@app.command()
def status(project: ProjectArgument, home: HomeOption, as_json: JsonOption = False) -> None:
    """Where a project stands, from the chain: round, trainers, money. Needs no password.

    Example:

    cohort project status 1 --home ~/owner
    """
    from dataclasses import asdict

    from cohort_trainer.amounts import format_amount
    from cohort_trainer.foreign_words import printable

    with _locked(home) as owner:
        one = owner.status(project)
    ledger = asdict(one.ledger)
    if as_json:
        money = {name: str(value) for name, value in ledger.items()}
        found: dict[str, Any] = {"project": one.project, "title": one.title, "owner": one.owner, "round": one.round}
        found |= {"rounds": one.rounds, "phase": one.phase.name.lower(), "ended": one.ended, "members": one.members}
        found |= {"aggregators": list(one.aggregators), "acceptor": one.acceptor}
        print(json.dumps({**found, "ledger": money, "balanced": one.ledger.balanced}))
        return
    print(f"Project {one.project}: {printable(one.title)}{' (ended)' if one.ended else ''}")
    print(f"  round {one.round} of {one.rounds} ({one.phase.name.lower()}), {one.members} trainers")
    print(f"  aggregators {', '.join(one.aggregators)}; next round {one.acceptor or 'not accepted yet'}")
    for name, value in ledger.items():
        print(f"  {name.replace('_', ' '):<14} {format_amount(value, one.decimals, one.symbol)}")
    print(f"  the ledger {'balances' if one.ledger.balanced else 'DOES NOT BALANCE'}")


@app.command()
def verdicts(
    project: ProjectArgument,
    home: HomeOption,
    round_number: Annotated[
        int | None, typer.Option("--round", min=1, help="Default: the newest that is over.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How a settled round judged every trainer, and why: score, rank, figures with their limits, and pay.

    Read from the bundle that the settlement on chain names. Needs no password.

    Examples:

    cohort project verdicts 1 --home ~/owner

    cohort project verdicts 1 --round 3 --json --home ~/owner
    """
    from cohort_trainer.amounts import format_amount
    from cohort_trainer.verdicts import judged_round, verdict_lines

    with _locked(home) as owner:
        found = judged_round(owner.connection, project, round_number)
        token = owner.connection.token(owner.connection.market.terms_of(project).token)
        symbol, decimals = token.symbol(), token.decimals()
    if as_json:
        print(json.dumps(found.as_json()))
        return
    print(f"Project {project}, round {found.round}, judged by {found.judged_by}")
    for one in found.trainers:
        print("\n".join(verdict_lines(one, format_amount(one.pay, decimals, symbol))))


@app.command()
def watch(
    project: ProjectArgument,
    home: HomeOption,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout per change.")] = False,
) -> None:
    """Follow a project's rounds as the service reports them, until it is finished. Ctrl-C stops watching.

    Examples:

    cohort project watch 1 --home ~/owner

    cohort project watch 1 --home ~/owner --json
    """
    with _locked(home) as owner:
        if as_json:
            owner.watch(project, lambda state: print(state.model_dump_json(), flush=True))
            return
        words = partial(owner.connection.money, project)
        owner.watch(project, lambda state: print(_state_line(state, words), flush=True))


@app.command()
def end(
    project: ProjectArgument, home: HomeOption, password_file: PasswordOption = None, yes: YesOption = False
) -> None:
    """Open no further round. Only between rounds; then `refund` brings back what is free.

    Example:

    cohort project end 1 --home ~/owner
    """
    with _unlocked(home, password_file) as owner:
        confirm(f"End project {project}? It cannot be started again.", yes)
        owner.end(project)
        print(f"Project {project} has ended. What is free comes back with: cohort project refund {project}")


@app.command()
def refund(project: ProjectArgument, home: HomeOption, password_file: PasswordOption = None) -> None:
    """Take back the free escrow of an ended project. What trainers have earned stays theirs.

    Example:

    cohort project refund 1 --home ~/owner
    """
    with _unlocked(home, password_file) as owner:
        back = owner.refund(project)
        print(f"{owner.connection.money(project, back)} of project {project} sent back to its owner.")


@app.command()
def model(
    project: ProjectArgument,
    home: HomeOption,
    out: Annotated[Path, typer.Option(help="File to write (safetensors).")],
    round_number: Annotated[int | None, typer.Option("--round", min=0, help="After it. Default: newest.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The integers that the commitment is about, not floats.")] = False,
) -> None:
    """Fetch the model after a round, checked against its commitment on chain.

    Examples:

    cohort project model 1 --home ~/owner --out model.safetensors

    cohort project model 1 --home ~/owner --round 3 --raw --out round3.safetensors
    """
    with _locked(home) as owner:
        number = owner.save_model(project, out, round_number, raw)
        print(f"Model of project {project} after round {number} written to {out}.")


def _unlocked(home: Path, password_file: Path | None) -> Owner:
    from cohort_trainer.home import Home
    from cohort_trainer.owner.sdk import Owner

    opened = Home.open(home)
    return Owner.unlock(opened, ask_password(password_file, OWNER_PASSWORD))


def _locked(home: Path) -> Owner:
    """For what needs no key."""
    from cohort_trainer.home import Home
    from cohort_trainer.owner.sdk import Owner

    return Owner(Home.open(home))


def _state_line(state: ProjectState, money: Callable[[int], str]) -> str:
    """One line per change of a project."""
    end = "finished" if state.finished else "ended" if state.ended else ""
    round = state.round
    if round is None:
        return f"project {state.project}: no round yet {end}".rstrip()
    paid = sum(row.pay or 0 for row in round.rows)
    parts = [f"{len(round.committed)}/{round.expected} committed", f"{len(round.revealed)} revealed"]
    parts += [f"{len(round.rows)} admitted", f"{len(round.refusals)} refused"]
    parts += [f"{len(round.rescued)} rescued"] if round.rescued else []
    parts += [f"{len(round.slashed)} slashed"] if round.slashed else []
    if round.phase.terminal:
        parts.append(f"{money(paid)} paid")
    return f"project {state.project} round {round.number} {round.phase.name.lower()}: {', '.join(parts)} {end}".rstrip()
