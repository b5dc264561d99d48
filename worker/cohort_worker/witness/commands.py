"""`cohort witness`: run a witness."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer
from cohort_protocol.chain import ChainClient, Market
from cohort_protocol.errors import Unavailable
from cohort_protocol.identifiers import parse_address
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.service.client import ServiceClient
from eth_account.signers.local import LocalAccount

from cohort_worker.keystore import load_account
from cohort_worker.witness.history import ChainHistory
from cohort_worker.witness.memory import SigningMemory
from cohort_worker.witness.watch import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    ProjectDiscovery,
    WitnessParts,
    check_service,
)

log = structlog.get_logger(__name__)

app = typer.Typer(
    no_args_is_help=True,
    help="Attest to facts about bytes: check updates and settlements with your own eyes, and sign.",
)

DISCOVER_SECONDS = 1.0
"""How often the market is asked for new projects."""


@app.callback()
def witness() -> None:
    """Attest to facts about bytes: check updates and settlements with your own eyes, and sign."""


@app.command()
def run(
    api: Annotated[str, typer.Option(envvar="COHORT_API", help="The service, such as http://127.0.0.1:8000.")],
    chain: Annotated[str, typer.Option(envvar="COHORT_CHAIN_URL", help="Your own node: http(s)://... or ipc:///path.")],
    market: Annotated[str, typer.Option(envvar="COHORT_MARKET", help="Address of the market contract.")],
    verifier: Annotated[str, typer.Option(envvar="COHORT_VERIFIER", help="Address of the attested verifier.")],
    ipfs: Annotated[str, typer.Option(envvar="COHORT_IPFS_URL", help="file:///folder (embedded) or Kubo's RPC.")],
    keystore: Annotated[Path, typer.Option(envvar="COHORT_WITNESS_KEYSTORE", help="Your encrypted key.")],
    password_file: Annotated[Path, typer.Option(envvar="COHORT_WITNESS_PASSWORD_FILE", help="Its password.")],
    project: Annotated[list[int] | None, typer.Option(help="Only these projects. Default: all that name you.")] = None,
    chain_id: Annotated[int | None, typer.Option(envvar="COHORT_CHAIN_ID", help="Checked against the node.")] = None,
    start_block: Annotated[int, typer.Option(envvar="COHORT_START_BLOCK", help="Block of the market's creation.")] = 0,
    memory: Annotated[
        Path | None, typer.Option(help="Record of what you signed. Default: beside the keystore, *.signed.jsonl")
    ] = None,
) -> None:
    """Watch the projects that name you as a witness, until you stop it (Ctrl-C or SIGTERM).

    For each round it fetches every revealed update itself, checks that it is an update of the project and the one that
    was committed to on chain, and signs one receipt for all. Then it computes the outcome of the round again from chain
    and IPFS, compares it byte by byte with what the aggregator proposes, and signs it, or refuses in words.

    It never signs two outcomes of one round: what it signs is written down first. Keep that file with the key.
    It needs no database and can be killed at any time.

    Example:

      cohort witness run --api http://127.0.0.1:8000 --chain http://127.0.0.1:8545 --market 0x... --verifier 0x...
      --ipfs file:///srv/ipfs --keystore witness.json --password-file witness.password
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    account = load_account(keystore, password_file)
    client = ChainClient(chain, chain_id)
    contract = Market(client, parse_address(market))
    record = SigningMemory(memory or keystore.with_name(keystore.name + ".signed.jsonl"))
    with ServiceClient(api) as service, connect_store(ipfs) as store:
        parts = WitnessParts(account, service, contract, ChainHistory(client, contract, start_block), store, record)
        address = parse_address(verifier)
        if _wait_for_service(parts, address, stopping):
            _log_start(account, contract, api)
            ProjectDiscovery(parts, address, frozenset(project or ())).run(stopping, DISCOVER_SECONDS)
        log.info("witness_stopped", witness=account.address)


def _wait_for_service(parts: WitnessParts, verifier: str, stopping: threading.Event) -> bool:
    """Whether the service answered and is the right one; False if we were told to stop first."""
    pause = FIRST_PAUSE
    while not stopping.is_set():
        try:
            parts.market.client.require_code(parts.market.address)
            check_service(parts.service, parts.market, verifier)
            return True
        except Unavailable as error:
            log.info("waiting", code=error.code, detail=str(error))
            stopping.wait(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
    return False


def _log_start(account: LocalAccount, market: Market, api: str) -> None:
    log.info("witness_ready", witness=account.address, chain_id=market.client.chain_id, market=market.address, api=api)
