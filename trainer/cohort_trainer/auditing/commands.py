"""`cohort audit`: a project checked by somebody who trusts nobody."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cohort_trainer.terminal import READER_PASSWORD

if TYPE_CHECKING:
    from cohort_protocol.audit.run import Audit

    from cohort_trainer.auditing.places import Places
    from cohort_trainer.auditing.screen import Screen


ALL, CHAIN, FILES = "Where all of it is", "Where the chain is", "Where the files are"
"""Groups of options in the help."""

RoundOption = Annotated[
    list[int] | None, typer.Option("--round", min=1, help="Only this round; repeat it. Default: all.")
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder that a demo left: chain state, addresses, block store. Default: ./demo-report.",
        rich_help_panel=ALL,
    ),
]
HomeOption = Annotated[
    Path | None, typer.Option(help="A home folder with the addresses; no key is read.", rich_help_panel=ALL)
]
ChainOption = Annotated[str | None, typer.Option(help="JSON-RPC URL of any node of the chain.", rich_help_panel=CHAIN)]
StateOption = Annotated[
    Path | None,
    typer.Option(help="A kept chain state instead; Anvil serves it while it is read.", rich_help_panel=CHAIN),
]
MarketOption = Annotated[str | None, typer.Option(help="Address of the market.", rich_help_panel=CHAIN)]
StartOption = Annotated[
    int, typer.Option(min=0, help="The market's first block, or one before it.", rich_help_panel=CHAIN)
]
ChainIdOption = Annotated[int | None, typer.Option(min=1, help="Refuse every other chain.", rich_help_panel=CHAIN)]
DeploymentOption = Annotated[
    Path | None, typer.Option(help="Address book with market, chain id and first block.", rich_help_panel=CHAIN)
]
IpfsOption = Annotated[
    str | None,
    typer.Option(help="Block store: file:///absolute/folder, or the RPC of a Kubo node.", rich_help_panel=FILES),
]
GatewayOption = Annotated[
    str | None, typer.Option(help="An IPFS gateway instead, such as https://ipfs.io.", rich_help_panel=FILES)
]
SrsOption = Annotated[
    Path | None,
    typer.Option(
        envvar="COHORT_SRS",
        help="Reference string, to compare files of proven projects with the chain.",
        rich_help_panel=FILES,
    ),
]
KeystoreOption = Annotated[
    Path | None,
    typer.Option(
        envvar="COHORT_READER_KEYSTORE",
        help="Of a private project's witness or aggregator: opens its sealed updates, so that they are checked.",
        rich_help_panel=FILES,
    ),
]
PasswordOption = Annotated[
    Path | None,
    typer.Option(help=f"File with its password; else {READER_PASSWORD}, else you are asked.", rich_help_panel=FILES),
]
ApiOption = Annotated[str | None, typer.Option(help="Also compare what the service at this URL says with the chain.")]
ThreadsOption = Annotated[int, typer.Option(min=1, max=256, help="For computing rounds again.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
ReportOption = Annotated[Path | None, typer.Option(help="Also write an HTML page.")]


def audit(
    project: Annotated[int, typer.Argument(min=1, help="Number of the project on chain.")],
    round: RoundOption = None,
    run: RunOption = None,
    home: HomeOption = None,
    chain: ChainOption = None,
    state: StateOption = None,
    market: MarketOption = None,
    start_block: StartOption = 0,
    chain_id: ChainIdOption = None,
    deployment: DeploymentOption = None,
    ipfs: IpfsOption = None,
    gateway: GatewayOption = None,
    srs: SrsOption = None,
    keystore: KeystoreOption = None,
    password_file: PasswordOption = None,
    api: ApiOption = None,
    threads: ThreadsOption = 2,
    as_json: JsonOption = False,
    report: ReportOption = None,
) -> None:
    """Check a project: money, terms, signatures, scores, pay, claims, models, from the chain and IPFS alone.

    No service is asked and none has to run. Every round is computed again from its updates; those of a private project
    only its readers can open (--keystore), and whoever is none checks the proofs. Exits 0 if every check is true; with
    `audit-false` if one is false; with `audit-unknown` if none is false but something could not be read. Names the
    first such check.

    Examples:

    cohort audit 1 --run demo-report

    cohort audit 1 --chain https://rpc.example.org --gateway https://ipfs.io --market 0x... --start-block 123456

    cohort audit 1 --round 3 --json

    cohort audit 1 --report audit.html

    cohort audit 1 --keystore witness.json --password-file witness.password
    """
    from cohort_trainer.auditing.places import Places
    from cohort_trainer.auditing.screen import Screen

    given = Places(chain, state, market, chain_id, start_block, ipfs, gateway, srs)
    places = _places(given, run, deployment, home)
    screen = Screen(quiet=as_json)
    reader = _reader(keystore, password_file)
    with ExitStack() as stack:
        finished = _audit(stack, places, project, round, api, threads, reader, screen)
        _write(finished, screen, as_json, report)
    finished.raise_if_not_true()


def _places(given: Places, run: Path | None, deployment: Path | None, home: Path | None) -> Places:
    """Options before the address book, that before a home, that before a run's folder."""
    from cohort_trainer.auditing.places import DEMO_FOLDER, of_book, of_home, of_run

    found = given
    if deployment is not None:
        found = found.over(of_book(deployment))
    if home is not None:
        found = found.over(of_home(home))
    if run is None and found.chain is None and found.state is None and (DEMO_FOLDER / "chain-state.json").is_file():
        run = DEMO_FOLDER
    return found.over(of_run(run)) if run is not None else found


def _reader(keystore: Path | None, password_file: Path | None) -> bytes | None:
    """The key of a keystore, if one was named. Raises `KeystoreUnreadable`, `PasswordMissing`, `PasswordWrong`;
    `AuditPlaceInvalid` for a password without a keystore."""
    from cohort_protocol.keystore import open_keystore

    from cohort_trainer.auditing.errors import AuditPlaceInvalid
    from cohort_trainer.terminal import ask_password

    if keystore is None:
        if password_file is not None:
            raise AuditPlaceInvalid("--password-file is for --keystore FILE, which is missing")
        return None
    return bytes(open_keystore(keystore, ask_password(password_file, READER_PASSWORD).get_secret_value()).key)


def _audit(
    stack: ExitStack,
    places: Places,
    project: int,
    rounds: list[int] | None,
    api: str | None,
    threads: int,
    reader: bytes | None,
    screen: Screen,
) -> Audit:
    from cohort_protocol.audit.cases import Sources
    from cohort_protocol.audit.run import audit as check
    from cohort_protocol.chain import ChainClient, Market
    from cohort_protocol.service.client import ServiceClient

    from cohort_trainer.auditing.errors import AuditPlaceInvalid
    from cohort_trainer.auditing.kept_chain import KeptChain

    if places.market is None:
        raise AuditPlaceInvalid("no market: give --market ADDRESS, --deployment, --home or --run")
    store = stack.enter_context(places.store())
    if places.state is not None:
        screen.say(f"serving the chain kept in {places.state}")
        url = stack.enter_context(KeptChain(places.state)).url
    elif places.chain is not None:
        url = places.chain
    else:
        raise AuditPlaceInvalid("no chain: give --chain URL, or --state FILE of a kept one")
    client = ChainClient(url, expected_chain_id=places.chain_id, timeout=30)
    stack.callback(client.close)
    client.check()
    client.require_code(places.market)
    sources = Sources(client, Market(client, places.market), store, places.start_block, threads, places.srs, reader)
    service = stack.enter_context(ServiceClient(api)) if api is not None else None
    return check(sources, project, rounds, service_client=service, say=screen.say, saw=screen.saw)


def _write(finished: Audit, screen: Screen, as_json: bool, report: Path | None) -> None:
    from cohort_protocol.audit.document import document

    found = document(finished)
    if report is not None:
        from cohort_trainer.auditing.page import page
        from cohort_trainer.durable_files import write_durably

        write_durably(report, page(found).encode(), mode=0o644)
    if as_json:
        print(found.model_dump_json())
    else:
        screen.show(found)
        if report is not None:
            print(f"Page written to {report}")
