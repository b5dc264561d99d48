"""`cohort aggregator ...`: the bond behind the rounds that an aggregator accepts, and the fees that it earns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cohort_trainer.terminal import AGGREGATOR_PASSWORD, ask_password, confirm, make_home

if TYPE_CHECKING:
    from cohort_trainer.aggregators.sdk import Aggregator

app = typer.Typer(
    no_args_is_help=True,
    help="See, add to and take out the bond of an aggregator, its fees included.\n\n`cohort worker` does an "
    "aggregator's work, and brings in the bond that it needs by itself.",
    epilog="Start: cohort aggregator init --home ~/aggregator ...; cohort aggregator status 1 --home ~/aggregator",
)

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="COHORT_AGGREGATOR_HOME", help="Folder with key, settings and records.")
]
PasswordOption = Annotated[
    Path | None,
    typer.Option("--password-file", help=f"File with the password; else {AGGREGATOR_PASSWORD}, else you are asked."),
]
ProjectArgument = Annotated[int, typer.Argument(min=1, help="Number of the project.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


@app.command()
def init(
    home: HomeOption,
    api: Annotated[str, typer.Option(help="URL of the service, such as http://127.0.0.1:8000.")],
    chain: Annotated[str, typer.Option(help="URL of a chain node: http(s)://... or ipc:///path.")],
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

    Its keystore.json is what `cohort worker` takes as the aggregator's keystore.

    Example:

    cohort aggregator init --home ~/aggregator --api http://127.0.0.1:8000 --chain http://127.0.0.1:8545
    """
    make_home(
        home,
        service_url=api,
        chain_url=chain,
        ipfs_url=f"file://{home.absolute()}/ipfs",  # money needs no files
        chain_id=chain_id,
        market=market,
        verifier=verifier,
        start_block=start_block,
        confirmations=confirmations,
        key_file=key_file,
        password_file=password_file,
        variable=AGGREGATOR_PASSWORD,
        yes=yes,
    )
    print("Next: have owners name the address as an aggregator, and send it coin for gas and tokens for its bonds.")


@app.command()
def status(
    project: ProjectArgument,
    home: HomeOption,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Your bond in a project: what is free, what is locked, how many rounds it covers. Needs no password.

    Example:

    cohort aggregator status 1 --home ~/aggregator
    """
    from cohort_trainer.aggregators.sdk import Aggregator
    from cohort_trainer.home import Home

    with Aggregator(Home.open(home)) as aggregator:
        found = aggregator.status(project)
    if not as_json:
        print("\n".join(found.lines()))
        return
    money = {"free": str(found.bond.free), "locked": str(found.bond.locked), "needed": str(found.needed)}
    place = {"project": found.project, "listed": found.listed, "accepted": found.accepted}
    print(json.dumps({**place, **money, "next_round": found.next_round}))


@app.command()
def deposit(
    project: ProjectArgument,
    amount: Annotated[str, typer.Argument(help='Base units or "250 tokens".')],
    home: HomeOption,
    password_file: PasswordOption = None,
    yes: YesOption = False,
) -> None:
    """Add to your free bond. A round that you accept and do not settle in time costs its bond.

    Example:

    cohort aggregator deposit 1 "250 tokens" --home ~/aggregator
    """
    with _unlocked(home, password_file) as aggregator:
        confirm(f"Add {amount} to your bond in project {project}?", yes)
        added = aggregator.deposit(project, amount)
        print(f"{aggregator.connection.money(project, added)} added to your bond in project {project}.")


@app.command()
def withdraw(
    project: ProjectArgument,
    home: HomeOption,
    amount: Annotated[str | None, typer.Argument(help='Base units or "250 tokens". Default: all that is free.')] = None,
    password_file: PasswordOption = None,
) -> None:
    """Take out of your free bond, fees included. Stop the worker first, or it brings the bond in again.

    Example:

    cohort aggregator withdraw 1 --home ~/aggregator
    """
    with _unlocked(home, password_file) as aggregator:
        taken = aggregator.withdraw(project, amount)
        print(f"{aggregator.connection.money(project, taken)} sent to {aggregator.address}.")


def _unlocked(home: Path, password_file: Path | None) -> Aggregator:
    from cohort_trainer.aggregators.sdk import Aggregator
    from cohort_trainer.home import Home

    opened = Home.open(home)
    return Aggregator.unlock(opened, ask_password(password_file, AGGREGATOR_PASSWORD))
