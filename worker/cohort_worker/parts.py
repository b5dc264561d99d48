"""The parts that every task of the worker works with: built once per process, shared by its threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from cohort_backend.chain.journal import DatabaseJournal
from cohort_backend.database import Database, SendJobs
from cohort_backend.jobs.service import new_owner
from cohort_protocol.chain import ChainClient, Market, TransactionSender
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.kubo_rpc import Timeouts
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.keystore import open_keystore, read_password_file
from cohort_protocol.proof.schemes import Schemes
from cohort_protocol.sealing.project import Sealing, sealing_of
from cohort_protocol.spec import ProjectSpec
from eth_account.signers.local import LocalAccount

from cohort_worker.chain_index.indexer import ChainIndexer
from cohort_worker.rounds.planner import Rules
from cohort_worker.rounds.situation import Viewer
from cohort_worker.settings import WorkerSettings
from cohort_worker.troubles import Troubles

TRANSACTION_SECONDS = 30.0
"""How long a task waits for a receipt before it gives its thread to others. The transaction stays in the journal; the
task comes back to it."""


@dataclass(frozen=True)
class WorkerParts:
    """Everything is safe under threads."""

    settings: WorkerSettings
    database: Database
    client: ChainClient
    market: Market
    store: IpfsStore
    indexer: ChainIndexer
    sender: TransactionSender
    owner: str
    """Name of this process on the leases of its jobs."""
    troubles: Troubles
    schemes: Schemes
    """How the updates and models of a project are committed to."""
    account: LocalAccount
    """The aggregator's key."""
    proving: threading.Lock = field(default_factory=threading.Lock)
    """Held while this process proves: proofs come one after another."""

    @property
    def rules(self) -> Rules:
        return Rules(
            open_delay=self.settings.open_delay,
            bond_limit=self.settings.bond_limit,
            slash=self.settings.slash,
            receipt_wait=self.settings.receipt_wait,
        )

    @property
    def viewer(self) -> Viewer:
        """Who looks at the projects."""
        return Viewer(self.sender.address, self.settings.chain_id, self.market.address)

    def sealing(self, spec: ProjectSpec, project: int) -> Sealing:
        """How the files of a project are published: as they are, or sealed for its witnesses and aggregators."""
        return sealing_of(spec, self.settings.chain_id, self.market.address, project)

    def store_of(self, spec: ProjectSpec, project: int) -> IpfsStore:
        """The store as this aggregator reads it for a project."""
        return self.sealing(spec, project).opened(self.store, bytes(self.account.key))

    def close(self) -> None:
        """Gives back connections."""
        self.client.close()
        self.store.close()
        self.database.close()


def build_parts(
    settings: WorkerSettings, send_jobs: SendJobs | None, account: LocalAccount | None = None
) -> WorkerParts:
    """Opens what the settings name. Asks neither chain nor IPFS: they may come later.

    account: the aggregator's key, if the caller has it; else it is read from the keystore. Raises `KeystoreUnreadable`,
    `DatabaseUrlInvalid`, `StoreUrlInvalid`, `InvalidInput`.
    """
    if account is None:
        account = open_keystore(settings.aggregator_keystore, read_password_file(settings.aggregator_password_file))
    database = Database.open(settings.database_url.get_secret_value(), send_jobs)
    client = ChainClient(settings.chain_url.get_secret_value(), settings.chain_id)
    indexer = ChainIndexer(
        database,
        client,
        settings.market,
        start_block=settings.start_block,
        confirmations=settings.confirmations,
    )
    journal = DatabaseJournal(database, settings.chain_id, account.address)
    return WorkerParts(
        settings=settings,
        database=database,
        client=client,
        market=Market(client, settings.market),
        store=connect_store(settings.ipfs_url.get_secret_value(), Timeouts(min_rate=settings.ipfs_min_rate)),
        indexer=indexer,
        sender=TransactionSender(
            client, account, journal, confirmations=settings.confirmations, timeout=TRANSACTION_SECONDS
        ),
        owner=new_owner(),
        troubles=Troubles(),
        schemes=Schemes(client, settings.srs),
        account=account,
    )
