"""`cohort trainer ...`: train for a project on data that stays here, and get paid."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cohort_trainer.errors import Declined

if TYPE_CHECKING:
    from cohort_trainer.home import Home
    from cohort_trainer.sdk import Trainer

PASSWORD_VARIABLE = "COHORT_TRAINER_PASSWORD"
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
    typer.Option("--password-file", help=f"File with the password; else {PASSWORD_VARIABLE}, else you are asked."),
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
    from cohort_trainer.home import Home, HomeConfig
    from cohort_trainer.wallet import account_from_key_file, new_account

    _refuse_existing(home)
    if chain_id is None or market is None or verifier is None:
        chain_id, market, verifier = _market_from_service(api, chain_id, market, verifier, yes)
    account = account_from_key_file(key_file) if key_file is not None else new_account()
    config = _validated(
        HomeConfig,
        address=account.address,
        service_url=api,
        chain_url=chain,
        chain_id=chain_id,
        market=market,
        verifier=verifier,
        start_block=start_block,
        ipfs_url=ipfs,
        confirmations=confirmations,
    )
    password = _password(password_file, confirm=True)
    made = Home.create(home, config, account, password)
    print(f"Home made at {made.root}. Your address: {account.address}")
    print("Keep a copy of keystore.json and the password: nobody else has them, and your pay goes to this key.")
    print("Next: send the address some coin for gas and tokens for the stake, then `cohort trainer join`.")


@app.command()
def join(
    project: ProjectArgument,
    home: HomeOption,
    data: Annotated[Path | None, typer.Option(help="Your data file: checked before anything is paid.")] = None,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Join a project with its stake, after showing its terms.

    Everything shown comes from the chain and from IPFS by the digest on chain, not from the service. The stake is
    returned when you leave.

    Example:

    cohort trainer join 1 --home ~/cohort --data mine.csv
    """
    with _unlocked(home, password_file) as trainer:
        shown = trainer.preview(project)
        print("\n".join(shown.lines()))
        if data is not None:
            from cohort_trainer.rounds.training import own_data

            print(f"  Your file    {data}: {len(own_data(shown.project, data))} examples, fits")
        _confirm(f"Join project {project} with your stake?", yes)
        member = trainer.join(project, shown)
        print(f"Joined. You can take part from round {member.joined_round + 1}: cohort trainer run {project} ...")


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
    claim: Annotated[bool, typer.Option("--claim", help="Claim what was earned at the end.")] = False,
    password_file: PasswordOption = None,
) -> None:
    """Take part in the rounds of a project until it is finished.

    Can be stopped and started at any point: what was committed to is on the disk before it is sent. Without the
    service it goes on by the chain alone as far as that goes. Logs say what it waits for.

    Examples:

    cohort trainer run 1 --home ~/cohort --data mine.csv

    cohort trainer run 1 --home ~/cohort --data mine.csv --train mine.py:train --device cuda --claim
    """
    with _unlocked(home, password_file) as trainer:
        count = trainer.run(
            project,
            data,
            train=train,
            device=device,
            seed=seed,
            rounds=1 if once else rounds,
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
    password_file: PasswordOption = None,
) -> None:
    """Where you stand: round, stake, standing, pay to claim. From the chain.

    Example:

    cohort trainer status --home ~/cohort
    """
    from cohort_trainer.amounts import format_amount

    with _unlocked(home, password_file) as trainer:
        found = [trainer.status(number) for number in _projects(trainer.home, project)]
        if as_json:
            print(json.dumps({"address": trainer.address, "projects": [_status_json(one) for one in found]}))
            return
        print(f"Address {trainer.address}")
        for one in found:
            place = "left" if one.member.left else "member" if one.member.stake else "not a member"
            print(f"Project {one.project}: {one.title}")
            print(f"  round {one.round} ({one.phase.name.lower()}), {place}")
            print(f"  stake {format_amount(one.member.stake, one.decimals, one.symbol)}")
            print(f"  to claim {format_amount(one.claimable, one.decimals, one.symbol)}")
            standing = one.standing
            print(f"  reliability {standing.reliability / 100:.2f}%, {standing.rejections} updates rejected")
            print(f"  usefulness {standing.usefulness / 10000:.3f} of an equal share over {standing.rounds} rounds")


@app.command()
def claim(
    home: HomeOption,
    project: Annotated[int | None, typer.Argument(min=1, help="Default: every project of this home.")] = None,
    all_projects: Annotated[bool, typer.Option("--all", help="Every project of this home (the default).")] = False,
    chain_only: Annotated[bool, typer.Option("--chain-only", help="Do not ask the service.")] = False,
    as_json: JsonOption = False,
    password_file: PasswordOption = None,
) -> None:
    """Take out what you have earned: all rounds at once, each amount proven against the chain first.

    Works without the service. Claims never expire.

    Examples:

    cohort trainer claim --home ~/cohort

    cohort trainer claim 1 --home ~/cohort --chain-only
    """
    with _unlocked(home, password_file) as trainer:
        numbers = _projects(trainer.home, None if all_projects else project)
        results = [_claim_one(trainer, number, chain_only, quiet=as_json) for number in numbers]
        if as_json:
            print(json.dumps({"address": trainer.address, "claims": results}))


@app.command()
def leave(
    project: ProjectArgument, home: HomeOption, password_file: PasswordOption = None, yes: YesOption = False
) -> None:
    """Take part in no further round. Then `withdraw` brings the stake back once the round that runs has ended.

    Example:

    cohort trainer leave 1 --home ~/cohort
    """
    with _unlocked(home, password_file) as trainer:
        _confirm(f"Leave project {project}? A round that runs can still be finished.", yes)
        member = trainer.leave(project)
        print(f"Left. Your last round is {member.left_round}; after it: cohort trainer withdraw {project}")


@app.command()
def withdraw(project: ProjectArgument, home: HomeOption, password_file: PasswordOption = None) -> None:
    """Take your stake back, after `leave`.

    Example:

    cohort trainer withdraw 1 --home ~/cohort
    """
    with _unlocked(home, password_file) as trainer:
        print(f"Stake of {trainer.withdraw(project)} base units sent to {trainer.address}.")


# --- shared by the commands -------------------------------------------------------------------------------------------


def _password(file: Path | None, confirm: bool = False) -> Any:
    from cohort_trainer.wallet import find_password

    def prompt() -> str:
        while True:
            first = getpass.getpass("Password of the keystore: ", stream=sys.stderr)
            if not confirm or first == getpass.getpass("Once more: ", stream=sys.stderr):
                return first
            print("The two differ.", file=sys.stderr)

    return find_password(file, os.environ, PASSWORD_VARIABLE, prompt if sys.stdin.isatty() else None)


def _unlocked(home: Path, password_file: Path | None) -> Trainer:
    from cohort_trainer.home import Home
    from cohort_trainer.sdk import Trainer

    opened = Home.open(home)
    return Trainer.unlock(opened, _password(password_file))


def _refuse_existing(home: Path) -> None:
    """Before a password is asked for."""
    from cohort_trainer.errors import HomeExists

    for name in ("config.toml", "keystore.json"):
        if (home / name).exists():
            raise HomeExists(f"{home / name} exists: this is a home already. Nothing was changed")


def _market_from_service(
    api: str, chain_id: int | None, market: str | None, verifier: str | None, yes: bool
) -> tuple[int, str, str]:
    from cohort_protocol.service.client import ServiceClient

    with ServiceClient(api) as service:
        info = service.market()
    found = (chain_id or info.chain_id, market or info.market, verifier or info.verifier)
    print(f"The service at {api} says:\n  chain id {found[0]}\n  market   {found[1]}\n  verifier {found[2]}")
    _confirm("Does this agree with a source that you trust?", yes)
    return found


def _validated(model: Any, **fields: Any) -> Any:
    from pydantic import ValidationError

    from cohort_trainer.errors import HomeInvalid

    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise HomeInvalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _confirm(question: str, yes: bool) -> None:
    """Raises `Declined` unless the answer is yes; where nobody can answer, --yes must be given."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Declined(f"{question} Nobody can answer here: add --yes if you mean it. Nothing was sent")
    if not typer.confirm(question, err=True):
        raise Declined("you answered no; nothing was sent")


def _projects(home: Home, project: int | None) -> list[int]:
    return home.projects() if project is None else [project]


def _claim_one(trainer: Trainer, project: int, chain_only: bool, quiet: bool = False) -> dict[str, Any]:
    receipt = trainer.claim(project, chain_only=chain_only)
    if receipt is None:
        if not quiet:
            print(f"Project {project}: nothing to claim.")
        return {"project": project, "amount": "0", "rounds": [], "transactions": []}
    if not quiet:
        print(
            f"Project {project}: claimed {receipt.amount} base units of {len(receipt.rounds)} rounds "
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


def _status_json(one: Any) -> dict[str, Any]:
    return {
        "project": one.project,
        "title": one.title,
        "round": one.round,
        "phase": one.phase.name.lower(),
        "stake": str(one.member.stake),
        "left": one.member.left,
        "claimable": str(one.claimable),
        "reliability_bps": one.standing.reliability,
        "usefulness_bps": one.standing.usefulness,
    }
