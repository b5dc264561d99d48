"""The process of a witness: its parts from its settings, and its life."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from cohort_protocol.chain import ChainClient, Market
from cohort_protocol.errors import Unavailable
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.kubo_rpc import Timeouts
from cohort_protocol.keystore import open_keystore, read_password_file
from cohort_protocol.proof.schemes import Schemes
from cohort_protocol.service.client import ServiceClient

from cohort_worker.witness.discovery import ProjectDiscovery, Verifiers, check_service
from cohort_worker.witness.history import ChainHistory
from cohort_worker.witness.home import HomeUnusable, WitnessConfig, WitnessHome
from cohort_worker.witness.mailbox import FolderMailbox, Mailbox
from cohort_worker.witness.memory import SigningMemory
from cohort_worker.witness.watch import FIRST_PAUSE, LONGEST_PAUSE, WitnessParts

log = structlog.get_logger(__name__)

DISCOVER_SECONDS = 1.0
"""How often the market is asked for new projects."""

Given = TypeVar("Given")


class WitnessProcess:
    """One witness. Settings are checked here, before anything is contacted."""

    def __init__(
        self,
        config: WitnessConfig,
        home: WitnessHome | None,
        keystore: Path | None,
        memory: Path | None,
        password_file: Path,
    ) -> None:
        """keystore, memory: None for the home's. Raises `HomeUnusable` if a setting is missing, `KeystoreUnreadable`,
        `MemoryInUse`, `MemoryBroken`."""
        self._config, self._home = config, home
        self._chain_url, self._store_url = _needed("chain", config.chain), _needed("ipfs", config.ipfs)
        self._market = _needed("market", config.market)
        self._verifiers = Verifiers(_needed("verifier", config.verifier), config.proven_verifier)
        key = _needed("keystore", keystore or (home.keystore if home is not None else None))
        if config.api is None and home is None:
            raise HomeUnusable("nobody can ask this witness: name a service (--api URL) or a folder (--home FOLDER)")
        self._account = open_keystore(key, read_password_file(password_file))
        beside = home.signed if home is not None else key.with_name(key.name + ".signed.jsonl")
        self._memory = SigningMemory(memory or beside)

    def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises `InvalidInput` if service and settings speak of two markets, `WrongChain`,
        `NoContract`."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        with self._parts() as parts:
            if self._wait_for_parts(parts, stopping):
                log.info(
                    "witness_ready",
                    witness=self._account.address,
                    chain_id=parts.market.client.chain_id,
                    market=parts.market.address,
                    asked_by=self._config.api or str(self._home.root if self._home is not None else ""),
                )
                self._discovery(parts).run(stopping, DISCOVER_SECONDS)
            log.info("witness_stopped", witness=self._account.address)

    def once(self) -> dict[str, Any]:
        """Answers what is asked now; what became of each project. Raises as `run`, and `Unavailable`."""
        with self._parts() as parts:
            self._check_parts(parts)
            return {"witness": self._account.address, "projects": self._discovery(parts).once()}

    @contextmanager
    def _parts(self) -> Iterator[WitnessParts]:
        config = self._config
        client = ChainClient(self._chain_url, config.chain_id)
        market = Market(client, self._market)
        with ExitStack() as stack:
            stack.callback(client.close)
            yield WitnessParts(
                account=self._account,
                mailbox=self._mailbox(stack),
                market=market,
                history=ChainHistory(client, market, config.start_block),
                store=stack.enter_context(connect_store(self._store_url, Timeouts(min_rate=config.ipfs_min_rate))),
                memory=self._memory,
                schemes=Schemes(client, None if config.srs is None else Path(config.srs).expanduser()),
            )

    def _mailbox(self, stack: ExitStack) -> Mailbox:
        if self._config.api is not None:
            return stack.enter_context(ServiceClient(self._config.api))
        assert self._home is not None
        return FolderMailbox(self._home.root)

    def _discovery(self, parts: WitnessParts) -> ProjectDiscovery:
        return ProjectDiscovery(parts, self._verifiers, frozenset(self._config.projects))

    def _check_parts(self, parts: WitnessParts) -> None:
        parts.market.client.require_code(parts.market.address)
        if isinstance(parts.mailbox, ServiceClient):
            check_service(parts.mailbox, parts.market, self._verifiers)

    def _wait_for_parts(self, parts: WitnessParts, stopping: threading.Event) -> bool:
        """Whether chain and service answered and are the right ones; False if we were told to stop first."""
        pause = FIRST_PAUSE
        while not stopping.is_set():
            try:
                self._check_parts(parts)
                return True
            except Unavailable as error:
                log.info("waiting", code=error.code, detail=str(error))
                stopping.wait(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
        return False


def _needed(name: str, value: Given | None) -> Given:
    if value is None:
        raise HomeUnusable(f"no {name} is named: give --{name}, or write it into the config.toml of a home (--home)")
    return value
