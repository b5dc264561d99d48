"""Databases for the backend's tests: every test that takes `database` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cohort_backend import examples
from cohort_backend.database import Base, Database
from cohort_backend.migrations import upgrade
from sqlalchemy import text

from tests.backend.stages import Stages, make_stages
from tests.fixtures.chain import Devnet
from tests.fixtures.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]

BOTH = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """One migrated PostgreSQL database for the whole run; `database` empties it before each test."""
    with postgres_server.fresh_database() as url:
        database = Database.open(url)
        upgrade(database)
        yield database
        database.close()


@pytest.fixture(params=BOTH)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty, migrated database of each kind."""
    if request.param == "sqlite":
        database = Database.open(f"sqlite:///{tmp_path}/market.db")
        upgrade(database)
        yield database
        database.close()
    else:
        database = request.getfixturevalue("postgres_database")
        tables = ", ".join(f'"{name}"' for name in Base.metadata.tables)
        with database.engine.begin() as connection:
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY"))
        yield database
        database.send_jobs = None


@pytest.fixture(params=BOTH)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a schema, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
    else:
        with request.getfixturevalue("postgres_server").fresh_database() as url:
            yield url


@pytest.fixture(scope="session")
def stages_made(devnet_session: Devnet) -> Stages:
    """See `make_stages`; the chain is put back afterwards, so that other tests of this process start afresh."""
    snapshot = devnet_session.control.snapshot()
    stages = make_stages(devnet_session, examples.SPEC)
    devnet_session.control.revert(snapshot)
    devnet_session.market.forget()
    devnet_session._senders.clear()
    return stages
