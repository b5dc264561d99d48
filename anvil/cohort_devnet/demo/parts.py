"""The parts of a market on this machine, each a process under the supervisor: chain, store, API, worker, witnesses.

Every part is reached through addresses only, so each can be the embedded one or a real one elsewhere.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import ChainUnavailable
from cohort_protocol.chain.journal import FileJournal
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.errors import Unavailable
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceUnavailable
from cohort_protocol.service.messages import Health
from eth_account.signers.local import LocalAccount
from pydantic import ValidationError

from cohort_devnet.accounts import fund
from cohort_devnet.compiler import ensure_artifacts
from cohort_devnet.demo.people import Keys, write_keystore, write_password
from cohort_devnet.demo.report import Parts
from cohort_devnet.deployment import Deployment, Options, deploy, pin_of
from cohort_devnet.node import DEVNET_CHAIN_ID, AnvilNode, DevnetControl, repository_root
from cohort_devnet.preflight import free_port
from cohort_devnet.supervisor import ProcessFailed, ProcessPlan, Supervisor

START_SECONDS = 60.0
HEARTBEAT_SECONDS = 1
"""An empty block each second, so that deadlines pass on a chain that otherwise mines on demand."""
FOUNDATION, SERVICE, PEOPLE = 0, 1, 2
"""Tiers of the supervisor: trainers end first, chain and store last."""


class PartNotReady(ProcessFailed, Unavailable):
    """A part was started and does not answer. The message ends with its log."""

    code = "part-not-ready"


@dataclass(frozen=True)
class PartsPlan:
    """What to start, and where."""

    folder: Path
    """Run folder: keystores, logs, the embedded store, database and broker."""
    chain_state: Path
    deployment_file: Path
    ipfs: str = "embedded"
    """`embedded`, `kubo`, or the URL of a store."""
    database_url: str | None = None
    broker_url: str | None = None
    port: int = 0
    """Of the API; 0: any free one."""
    srs: Path | None = None
    """Reference string of proven projects; None: the market takes attested ones only."""
    open_delay: int = 3600
    """Seconds after the newest join until a first round opens with free places: long, because the demo fills all."""


def cohort(*arguments: str) -> tuple[str, ...]:
    """The command line of `cohort ...` with this very Python."""
    script = Path(sys.executable).with_name("cohort")
    start = (str(script),) if script.is_file() else (sys.executable, "-m", "cohort_trainer.cli")
    return (*start, *arguments)


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line of `python -m module ...` with this very Python."""
    return (sys.executable, "-m", module, *arguments)


class LocalParts:
    """Starts the parts in order and knows their addresses. The supervisor ends them."""

    def __init__(self, plan: PartsPlan, supervisor: Supervisor, keys: Keys) -> None:
        self.plan = plan
        self.supervisor = supervisor
        self.keys = keys
        self.chain_url = f"http://127.0.0.1:{free_port()}"
        self.api_url = f"http://127.0.0.1:{plan.port or free_port()}"
        self.ipfs_url = f"file://{(plan.folder / 'ipfs').absolute()}"
        self.ipfs_blocks = plan.folder / "ipfs" / "blocks"
        """Where the store keeps its blocks on this disk (what `--drama` damages)."""
        self.database_url = plan.database_url or f"sqlite:///{(plan.folder / 'market.db').absolute()}"
        self.broker_url = plan.broker_url or f"filesystem://{(plan.folder / 'broker').absolute()}"
        self.password_file = plan.folder / "keys" / "password"
        self.client = ChainClient(self.chain_url, DEVNET_CHAIN_ID)
        self.control = DevnetControl(self.client)
        self._deployment: Deployment | None = None
        self._kubo: Path | None = None

    @property
    def deployment(self) -> Deployment:
        if self._deployment is None:
            raise PartNotReady("the contracts are not deployed yet")
        return self._deployment

    @property
    def token(self) -> str:
        """The test token, which only a local chain has."""
        if self.deployment.token is None:
            raise PartNotReady("the deployment has no test token: it is not one of a local chain")
        return self.deployment.token

    # --- starting ----------------------------------------------------------------------------------------------

    def start_chain(self) -> Deployment:
        """Anvil with the contracts on it. Raises `PartNotReady`, `CompilerError`."""
        plan = self.plan
        plan.chain_state.parent.mkdir(parents=True, exist_ok=True)
        port = int(self.chain_url.rpartition(":")[2])
        node = AnvilNode(plan.folder, port=port, state=plan.chain_state, heartbeat=HEARTBEAT_SECONDS)
        self.supervisor.start(ProcessPlan("chain", tuple(node.command()), tier=FOUNDATION))
        artifacts = ensure_artifacts(repository_root())
        self.until("chain", self._chain_answers)
        keys = self.keys
        payers = [keys.deployer, keys.owner, keys.aggregator, *keys.trainers]
        fund(self.control, [account.address for account in payers])
        srs = pin_of(plan.srs) if plan.srs is not None else None
        options = Options(fee_recipient=keys.protocol.address, srs=srs)
        self._deployment = deploy(self.client, self.sender(keys.deployer), artifacts, options=options)
        self._deployment.save(plan.deployment_file)
        return self._deployment

    def find_store(self, progress: Callable[[str], None]) -> None:
        """Finds Kubo's binary if it is to be used, and builds it if it must (minutes; `progress` is told).

        Raises `KuboMissing`, `KuboBuildFailed`.
        """
        if self.plan.ipfs == "kubo":
            from cohort_devnet.kubo import find_kubo

            self._kubo = find_kubo(progress=progress)

    def start_store(self) -> None:
        """The block store: nothing to start for the embedded one. Raises `KuboNodeFailed`, `PartNotReady`."""
        if self._kubo is not None:
            from cohort_devnet.kubo import KuboNode

            port = free_port()
            node = KuboNode(self._kubo, self.plan.folder / "kubo", api_port=port)
            node.prepare()
            self.ipfs_url = f"http://127.0.0.1:{port}"
            self.ipfs_blocks = node.repository / "blocks"
            plan = ProcessPlan("ipfs", tuple(node.command()), environment=node.environment(), tier=FOUNDATION)
            self.supervisor.start(plan)
            self.until("ipfs", self._store_answers)
        elif self.plan.ipfs != "embedded":
            self.ipfs_url = self.plan.ipfs

    def start_services(self) -> None:
        """API, worker and witnesses, all at once; returns when the API answers."""
        write_password(self.password_file.parent)
        environment = self.environment()
        port = self.api_url.rpartition(":")[2]
        self._start("api", cohort("serve"), environment | {"COHORT_PORT": port})
        aggregator = write_keystore(self.plan.folder / "keys" / "aggregator.json", self.keys.aggregator)
        self._start(
            "worker",
            cohort("worker"),
            environment
            | {
                "COHORT_AGGREGATOR_KEYSTORE": str(aggregator),
                "COHORT_AGGREGATOR_PASSWORD_FILE": str(self.password_file),
                "COHORT_OPEN_DELAY": str(self.plan.open_delay),
                "COHORT_PROVER_FOLDER": str(self.plan.folder / "proving"),
            },
        )
        for index, account in enumerate(self.keys.witnesses):
            self._start_witness(index, account)
        self.until("api", self._api_answers)

    def _start_witness(self, index: int, account: LocalAccount) -> None:
        name = f"witness-{index + 1}"
        keystore = write_keystore(self.plan.folder / "keys" / f"{name}.json", account)
        self._start(
            name,
            cohort("witness", "run"),
            self.environment()
            | {
                "COHORT_API": self.api_url,
                "COHORT_WITNESS_KEYSTORE": str(keystore),
                "COHORT_WITNESS_PASSWORD_FILE": str(self.password_file),
            },
        )

    def _start(self, name: str, argv: tuple[str, ...], environment: dict[str, str], tier: int = SERVICE) -> None:
        self.supervisor.start(ProcessPlan(name, argv, environment, folder=self.plan.folder, tier=tier))

    def start_person(self, name: str, argv: tuple[str, ...]) -> None:
        """The process of a trainer or of the owner. It gets none of the services' settings."""
        self._start(name, argv, {"OMP_NUM_THREADS": "1", "COHORT_LOG_FORMAT": "json"}, PEOPLE)

    # --- reaching them -----------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Settings of the service processes (`deploy/settings.md`)."""
        where = self.deployment
        proven = {}
        if where.proven_verifier is not None and self.plan.srs is not None:
            proven = {"COHORT_PROVEN_VERIFIER": where.proven_verifier, "COHORT_SRS": str(self.plan.srs)}
        return proven | {
            "COHORT_DATABASE_URL": self.database_url,
            "COHORT_BROKER_URL": self.broker_url,
            "COHORT_CHAIN_URL": self.chain_url,
            "COHORT_CHAIN_ID": str(where.chain_id),
            "COHORT_MARKET": where.market,
            "COHORT_VERIFIER": where.verifier,
            "COHORT_POLICY": where.policy,
            "COHORT_START_BLOCK": str(where.block),
            "COHORT_IPFS_URL": self.ipfs_url,
            "COHORT_CONFIRMATIONS": "0",
            "COHORT_LOG_FORMAT": "json",
            # Numbers of a whole market on a few cores: more threads per process only wait for each other.
            "OMP_NUM_THREADS": "1",
        }

    def sender(self, account: LocalAccount) -> TransactionSender:
        """Sends with an account of this run; what was sent is journaled in the run folder."""
        journal = FileJournal(self.plan.folder / "keys" / f"transactions-{account.address}.json")
        return TransactionSender(self.client, account, journal)

    def until(self, name: str, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Waits for `ready`. Raises `PartNotReady` with the log of process `name`, or `ProcessFailed`."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.supervisor.check()
            if time.monotonic() > deadline:
                raise PartNotReady(
                    f"{name} does not answer after {seconds:g} s. Last lines of {self.supervisor.log(name)}:\n"
                    f"{self.supervisor.log_tail(name)}"
                )
            time.sleep(0.03)

    def _chain_answers(self) -> bool:
        try:
            self.client.check()
        except ChainUnavailable:
            return False
        return True

    def _store_answers(self) -> bool:
        try:
            with connect_store(self.ipfs_url) as store:
                store.name_and_version()
        except Unavailable:
            return False
        return True

    def _api_answers(self) -> bool:
        try:
            with ServiceClient(self.api_url, timeout=2.0, retries=0) as service:
                service.market()
        except Unavailable:
            return False
        return True

    def names(self) -> Parts:
        """Name and version of each part, for the report. Raises `Unavailable` if one does not answer."""
        with connect_store(self.ipfs_url) as store:
            ipfs = store.name_and_version()
        return Parts(
            chain=self.client.version().replace("/v", " "),
            ipfs=ipfs,
            database=database_name(self.api_url),
            broker=broker_name(self.broker_url),
        )


def database_name(api_url: str) -> str:
    """What the API says of its database: nobody else has a connection to it. Raises `ServiceUnavailable`."""
    try:
        health = Health.model_validate_json(httpx.get(f"{api_url}/health/ready", timeout=10.0, trust_env=False).content)
    except (httpx.HTTPError, ValidationError) as error:
        raise ServiceUnavailable(f"{api_url}/health/ready does not answer: {error}") from error
    return next((part.detail for part in health.parts if part.part == "database"), "unknown")


def broker_name(url: str) -> str:
    """Name and version of the broker. URLs may carry passwords: never more than the scheme is shown."""
    scheme = url.partition(":")[0]
    kombu = f"kombu {importlib.metadata.version('kombu')}"
    if scheme == "filesystem":
        return f"folder of messages, {kombu}"
    if scheme.startswith("redis"):
        import redis

        try:
            with redis.Redis.from_url(url) as client:
                return f"Redis {client.info('server')['redis_version']}, {kombu}"
        except redis.RedisError:
            return f"Redis that does not answer, {kombu}"
    return f"{scheme}, {kombu}"
