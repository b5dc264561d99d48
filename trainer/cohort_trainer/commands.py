"""`cohort trainer ...`: train for a project on data that stays here, and get paid."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cohort_trainer.terminal import TRAINER_PASSWORD, ask_password, confirm, make_home

if TYPE_CHECKING:
    from cohort_trainer.home import Home
    from cohort_trainer.sdk import Trainer, TrainerStatus

RETRY_SECONDS = 2.0
"""Pause between attempts of `run` to reach chain and IPFS before its first round."""

app = typer.Typer(
    no_args_is_help=True,
    help="Train on your own data for a project, and get paid.\n\nThe data never leaves this machine; what does is the "
    "change of the model's weights, rounded to integers.",
    epilog="Start: cohort trainer init --home ~/cohort ...; cohort trainer join 1 --home ~/cohort; "
    "cohort trainer run 1 --home ~/cohort --data mine.csv; cohort trainer claim --home ~/cohort",
)

HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="COHORT_TRAINER_HOME", help="Folder with the key, the settings and the records."),
]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", help=f"File with the password; else {TRAINER_PASSWORD}, else you are asked."),
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
        str | None, typer.Option(help="Address of the verifier of proven projects, if you want to take part in such.")
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

    Take chain id, market and verifier from a source you trust and give them as options; what the service says is only
    a convenience. Overwrites nothing.

    Example:

    cohort trainer init --home ~/cohort --api http://127.0.0.1:8000 --chain http://127.0.0.1:8545
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
        variable=TRAINER_PASSWORD,
        yes=yes,
        proven_verifier=proven_verifier,
        srs=srs,
    )
    print("Next: send the address some coin for gas and tokens for the stake, then `cohort trainer join`.")


@app.command()
def join(
    project: ProjectArgument,
    home: HomeOption,
    data: Annotated[Path | None, typer.Option(help="Your data file: checked before anything is paid.")] = None,
    delegate: Annotated[str | None, typer.Option(help="Address that may commit and reveal for you.")] = None,
    access: Annotated[
        Path | None, typer.Option(help="The project's list of trainers, or your proof, if it has a list.")
    ] = None,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Join a project with its stake, after showing its terms: one transaction where the token knows permits.

    Everything shown comes from the chain and from IPFS by the digest on chain, not from the service. The stake is
    yours again after you leave, unless you commit in a round and open the commitment in no way.

    Examples:

    cohort trainer join 1 --home ~/cohort --data mine.csv

    cohort trainer join 1 --home ~/cohort --delegate 0x... --access trainers.json
    """
    with _unlocked(home, password_file) as trainer:
        shown = trainer.preview(project)
        print("\n".join(shown.lines()))
        if data is not None:
            from cohort_trainer.rounds.training import own_data

            print(f"  Your file    {data}: {len(own_data(shown.project, data))} examples, fits")
        confirm(f"Join project {project} with your stake?", yes)
        member = trainer.join(project, shown, access=access, delegate=_address(delegate))
        print(
            f"Joined as member {member.number}. You can take part from round {member.joined_round + 1}: "
            f"cohort trainer run {project} ..."
        )


@app.command()
def run(
    project: ProjectArgument,
    home: HomeOption,
    data: Annotated[Path, typer.Option(help="CSV (label,x0,x1,...) or .npz (inputs, labels). Stays on this machine.")],
    train: Annotated[
        str, typer.Option(help="Your own training function: path/to/file.py:function or package.module:function.")
    ] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the training. Default: from your address.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after one round.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="Stop after this many rounds.")] = None,
    join_first: Annotated[
        bool, typer.Option("--join", help="Join with the stake first, without asking, unless you have joined already.")
    ] = False,
    claim: Annotated[bool, typer.Option("--claim", help="Claim what was earned at the end.")] = False,
    delegate_of: Annotated[
        str | None,
        typer.Option("--as-delegate-of", metavar="ADDRESS", help="Commit and reveal for this trainer with your key."),
    ] = None,
    password_file: PasswordOption = None,
) -> None:
    """Take part in the rounds of a project until it is finished.

    Can be stopped and started at any point: what was committed to is on the disk before it is sent. Without the
    service it goes on by the chain alone as far as that goes. Logs say what it waits for. A commitment that nobody
    could reveal it opens itself before the stake can be slashed: do not stop it between commit and the end of a round.

    With --as-delegate-of the home's key works for a trainer who has named it with `set-delegate`. It pays the gas of
    its own transactions and can neither claim nor touch the stake.

    Examples:

    cohort trainer run 1 --home ~/cohort --data mine.csv

    cohort trainer run 1 --home ~/cohort --data mine.csv --train mine.py:train --device cuda --claim

    cohort trainer run 1 --home ~/worker --data mine.csv --as-delegate-of 0x...
    """
    trainer_address = _address(delegate_of)
    if trainer_address is not None and (join_first or claim):
        from cohort_trainer.errors import DelegateForbidden

        raise DelegateForbidden(
            "a delegate can neither join nor claim: the trainer does that with its own key. Leave out --join and "
            "--claim"
        )
    with _unlocked(home, password_file) as trainer:
        if join_first:
            trainer.join(project)
        count = trainer.run(
            project,
            data,
            train=train,
            device=device,
            seed=seed,
            rounds=1 if once else rounds,
            delegate_of=trainer_address,
            wait=lambda _: time.sleep(RETRY_SECONDS),
        )
        print(f"{count} rounds of project {project} are over.")
        if claim:
            _claim_one(trainer, project, chain_only=False)


@app.command()
def status(
    home: HomeOption,
    project: Annotated[int | None, typer.Argument(min=1, help="Default: every project of this home.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Where you stand: round, stake, standing, pay to claim. From the chain; needs no password.

    Example:

    cohort trainer status --home ~/cohort
    """
    from cohort_trainer.home import Home
    from cohort_trainer.sdk import Trainer

    with Trainer(Home.open(home)) as trainer:
        found = [trainer.status(number) for number in _projects(trainer.home, project)]
        if as_json:
            print(json.dumps({"address": trainer.address, "projects": [_status_json(one) for one in found]}))
            return
        print(f"Address {trainer.address}")
        for one in found:
            print("\n".join(_status_lines(one)))


@app.command()
def claim(
    home: HomeOption,
    project: Annotated[int | None, typer.Argument(min=1, help="Default: every project of this home.")] = None,
    all_projects: Annotated[bool, typer.Option("--all", help="Every project of this home (the default).")] = False,
    chain_only: Annotated[bool, typer.Option("--chain-only", help="Do not ask the service.")] = False,
    to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where the money goes. Default: to you.")] = None,
    as_json: JsonOption = False,
    password_file: PasswordOption = None,
) -> None:
    """Take out what you have earned: all rounds at once, each amount proven against the chain first.

    Works without the service. Claims never expire.

    Examples:

    cohort trainer claim --home ~/cohort

    cohort trainer claim 1 --home ~/cohort --chain-only

    cohort trainer claim --home ~/cohort --to 0x...
    """
    receiver = _address(to)
    with _unlocked(home, password_file) as trainer:
        numbers = _projects(trainer.home, None if all_projects else project)
        results = [_claim_one(trainer, number, chain_only, receiver, quiet=as_json) for number in numbers]
        if as_json:
            print(json.dumps({"address": trainer.address, "claims": results}))


@app.command()
def leave(
    project: ProjectArgument, home: HomeOption, password_file: PasswordOption = None, yes: YesOption = False
) -> None:
    """Take part in no further round, from at once. `withdraw-stake` brings the stake back once it is free.

    What you have committed to in the round that runs must still be opened: let `run` finish it.

    Example:

    cohort trainer leave 1 --home ~/cohort
    """
    from cohort_trainer.durations import moment

    with _unlocked(home, password_file) as trainer:
        confirm(f"Leave project {project}? What you have committed to must still be opened.", yes)
        member = trainer.leave(project)
        if member.staked:
            when = moment(member.unlock_at, trainer.connection.now())
            print(f"Left. Your stake is free {when}: cohort trainer withdraw-stake {project}")
        else:
            print("Left. There is no stake to take back.")


@app.command(name="withdraw-stake")
def withdraw_stake(project: ProjectArgument, home: HomeOption, password_file: PasswordOption = None) -> None:
    """Take your stake back, after `leave`, once no commitment of yours can be slashed any more.

    Example:

    cohort trainer withdraw-stake 1 --home ~/cohort
    """
    with _unlocked(home, password_file) as trainer:
        amount = trainer.withdraw_stake(project)
        print(f"Stake of {trainer.connection.money(project, amount)} sent to {trainer.address}.")


@app.command()
def restake(
    project: ProjectArgument, home: HomeOption, password_file: PasswordOption = None, yes: YesOption = False
) -> None:
    """Pay your stake again after it was slashed, to take part in the rounds that follow.

    Example:

    cohort trainer restake 1 --home ~/cohort
    """
    with _unlocked(home, password_file) as trainer:
        confirm(f"Pay the stake of project {project} again?", yes)
        trainer.restake(project)
        print(f"Your stake in project {project} is in again.")


@app.command(name="stake-for")
def stake_for(
    project: ProjectArgument,
    trainer_address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The trainer whose stake you pay.")],
    home: HomeOption,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Pay the stake of another trainer, who alone can take it out again. You do not get it back.

    Example:

    cohort trainer stake-for 1 0x... --home ~/cohort
    """
    address = _address(trainer_address)
    with _unlocked(home, password_file) as trainer:
        confirm(f"Pay the stake of {address} in project {project}? Only {address} can take it out.", yes)
        trainer.stake_for(project, address)
        print(f"The stake of {address} in project {project} is in.")


@app.command(name="set-delegate")
def set_delegate(
    project: ProjectArgument,
    home: HomeOption,
    delegate: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Who may commit and reveal.")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="Revoke: only you may.")] = False,
    password_file: PasswordOption = None,
) -> None:
    """Let another key commit and reveal for you, for example one on the machine that trains. It can never move money,
    but what it commits to and never opens costs your stake.

    Examples:

    cohort trainer set-delegate 1 0x... --home ~/cohort

    cohort trainer set-delegate 1 --nobody --home ~/cohort
    """
    if (delegate is None) != nobody:
        raise typer.BadParameter("give an address, or --nobody to revoke", param_hint="ADDRESS")
    with _unlocked(home, password_file) as trainer:
        address = _address(delegate)
        trainer.set_delegate(project, address)
        print(f"{address or 'Nobody else'} may commit and reveal for {trainer.address} in project {project}.")


@app.command()
def verdict(
    project: ProjectArgument,
    home: HomeOption,
    round_number: Annotated[
        int | None, typer.Option("--round", min=1, help="Default: the newest that is over.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Of every trainer of the round, not only yours.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """How a settled round judged your update, and why: score, rank, figures with their limits, and pay.

    Read from the bundle that the settlement on chain names. Needs no password.

    Example:

    cohort trainer verdict 1 --home ~/cohort
    """
    from cohort_trainer.amounts import format_amount
    from cohort_trainer.home import Home
    from cohort_trainer.sdk import Trainer
    from cohort_trainer.verdicts import judged_round, verdict_lines

    with Trainer(Home.open(home)) as trainer:
        found = judged_round(trainer.connection, project, round_number)
        token = trainer.connection.token(trainer.connection.market.terms_of(project).token)
        symbol, decimals = token.symbol(), token.decimals()
        shown = [one for one in found.trainers if everybody or one.verdict.trainer == trainer.address]
    if as_json:
        print(json.dumps(found.as_json(shown)))
        return
    print(f"Project {project}, round {found.round}, judged by {found.judged_by}")
    if not shown:
        print("You had no admitted update in it.")
    for one in shown:
        print("\n".join(verdict_lines(one, format_amount(one.pay, decimals, symbol))))


# --- shared by the commands -------------------------------------------------------------------------------------------


def _unlocked(home: Path, password_file: Path | None) -> Trainer:
    from cohort_trainer.home import Home
    from cohort_trainer.sdk import Trainer

    opened = Home.open(home)
    return Trainer.unlock(opened, ask_password(password_file, TRAINER_PASSWORD))


def _address(text: str | None) -> str | None:
    """An address in EIP-55 form. Raises `InvalidInput`."""
    if text is None:
        return None
    from cohort_protocol.identifiers import parse_address

    return parse_address(text)


def _projects(home: Home, project: int | None) -> list[int]:
    return home.projects() if project is None else [project]


def _claim_one(
    trainer: Trainer, project: int, chain_only: bool, to: str | None = None, quiet: bool = False
) -> dict[str, Any]:
    receipt = trainer.claim(project, chain_only=chain_only, to=to)
    if receipt is None:
        if not quiet:
            print(f"Project {project}: nothing to claim.")
        return {"project": project, "amount": "0", "rounds": [], "transactions": []}
    if not quiet:
        print(
            f"Project {project}: {receipt.amount} base units of {len(receipt.rounds)} rounds sent to "
            f"{to or trainer.address} "
            f"(amounts from the {receipt.source}, proven on chain; {receipt.gas} gas)."
        )
    return {
        "project": project,
        "amount": str(receipt.amount),
        "rounds": list(receipt.rounds),
        "transactions": ["0x" + hash.hex() for hash in receipt.transactions],
        "gas": receipt.gas,
        "source": receipt.source,
    }


def _place(one: TrainerStatus) -> str:
    from cohort_trainer.durations import moment

    member = one.member
    if member.joined:
        return "member" if member.staked else "member whose stake was slashed (restake to go on)"
    if member.unlock_at:
        return f"left; the stake is free {moment(member.unlock_at, one.now)}"
    return "not a member" + (", but the stake is paid" if member.staked else "")


def _status_lines(one: TrainerStatus) -> list[str]:
    from cohort_protocol.chain.types import ZERO_ADDRESS

    from cohort_trainer.amounts import format_amount
    from cohort_trainer.foreign_words import printable

    record = one.record
    lines = [
        f"Project {one.project}: {printable(one.title)}",
        f"  round {one.round} ({one.phase.name.lower()}), {_place(one)}",
        f"  stake {format_amount(one.stake, one.decimals, one.symbol)}",
        f"  to claim {format_amount(one.claimable, one.decimals, one.symbol)}",
        f"  usefulness {record.usefulness / 10000:.3f} of an equal share over {record.rounds} rounds, "
        f"{record.rejections} updates rejected",
        f"  reliability {one.reliability / 100:.2f}% over all projects",
    ]
    if one.member.delegate != ZERO_ADDRESS:
        lines.insert(2, f"  delegate {one.member.delegate}")
    return lines


def _status_json(one: TrainerStatus) -> dict[str, Any]:
    return {
        "project": one.project,
        "title": one.title,
        "round": one.round,
        "phase": one.phase.name.lower(),
        "member": one.member.number,
        "joined": one.member.joined,
        "stake": str(one.stake),
        "delegate": one.member.delegate,
        "unlock_at": one.member.unlock_at or None,
        "claimable": str(one.claimable),
        "reliability_bps": one.reliability,
        "losses": one.losses,
        "usefulness_bps": one.record.usefulness,
        "rounds": one.record.rounds,
        "rejections": one.record.rejections,
        "credit": one.record.credit,
    }
