"""What the endpoints work with: built once per process, closed at its end. No key among it."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, replace
from typing import Annotated

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.market import Market
from cohort_protocol.commitments import MarketId
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.kubo_rpc import Timeouts
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.proof.schemes import Schemes
from fastapi import Depends, Request

from cohort_backend.database import Database
from cohort_backend.jobs.broker import JobSender, celery_app
from cohort_backend.pages.amounts import TokenUnits
from cohort_backend.projects.draft import ProjectContracts
from cohort_backend.projects.specs import SpecSource
from cohort_backend.rounds.state import StateCache
from cohort_backend.rounds.watch import VersionWatch
from cohort_backend.settings import ApiSettings
from cohort_backend.slow_requests import SlowRequests
from cohort_backend.updates.service import market_of

CHAIN_SECONDS = 10.0
IPFS_TIMEOUTS = Timeouts(connect_s=3.0, silence_s=15.0, total_s=60.0, find_s=5.0)
"""Shorter than a worker's: a request waits for it."""


@dataclass(frozen=True)
class ServiceParts:
    """Shared by all requests; every member is safe under threads; `watch`, `slow` and `pages` belong to the event
    loop."""

    settings: ApiSettings
    database: Database
    client: ChainClient
    market: Market
    store: IpfsStore
    specs: SpecSource
    states: StateCache
    watch: VersionWatch
    slow: SlowRequests
    pages: SlowRequests
    tokens: TokenUnits
    schemes: Schemes

    @property
    def contracts(self) -> ProjectContracts:
        """What new projects name besides the market."""
        settings = self.settings
        return ProjectContracts(settings.verifier, settings.policy, self.schemes, settings.proven_verifier)

    def identity(self, project: int) -> MarketId:
        """What signatures for a project are bound to. Raises `UnknownProject`."""
        return market_of(self.database, self.settings.chain_id, self.settings.market, project)

    def close(self) -> None:
        self.client.close()
        self.store.close()
        self.database.close()


def build_parts(settings: ApiSettings) -> ServiceParts:
    """Contacts nothing yet. Raises `InvalidInput` for URLs that cannot be used."""
    sender = JobSender(celery_app(settings.broker_url.get_secret_value()))
    database = Database.open(settings.database_url.get_secret_value(), sender)
    client = ChainClient(settings.chain_url.get_secret_value(), settings.chain_id, timeout=CHAIN_SECONDS)
    timeouts = replace(IPFS_TIMEOUTS, min_rate=settings.ipfs_min_rate)
    store = connect_store(settings.ipfs_url.get_secret_value(), timeouts)
    return ServiceParts(
        settings=settings,
        database=database,
        client=client,
        market=Market(client, settings.market),
        store=store,
        specs=SpecSource(database, store),
        states=StateCache(database),
        watch=VersionWatch(database, settings.version_poll_seconds, settings.max_waiters),
        slow=SlowRequests(),
        pages=SlowRequests(),
        tokens=TokenUnits(client),
        schemes=Schemes(client, settings.srs),
    )


def parts_of(request: Request) -> ServiceParts:
    return request.app.state.parts


def service_version() -> str:
    """Version of the installed distribution."""
    return importlib.metadata.version("cohort")


Parts = Annotated[ServiceParts, Depends(parts_of)]
"""The parameter of an endpoint that needs them."""
