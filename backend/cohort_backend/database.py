"""The database: one engine per process, one transaction per request or task, exact integers.

SQLite by default (write-ahead log, one writer at a time, taken at the start of a transaction so that two writers queue
instead of failing half-way), PostgreSQL by URL. Both run the same models, repositories and tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from cohort_protocol.errors import InvalidInput, Unavailable
from cohort_protocol.identifiers import MAX_UINT256
from sqlalchemy import Dialect, Engine, MetaData, String, TypeDecorator, create_engine, event, inspect, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

SQLITE_BUSY_MILLISECONDS = 15_000
"""How long a writer waits for another one. Transactions here take milliseconds; this is for a machine that stalls."""

_WRITE = "cohort_write"


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or stayed locked for too long. Nothing was changed."""

    code = "database-unavailable"


class DatabaseUrlInvalid(InvalidInput):
    """The database URL names neither SQLite nor PostgreSQL."""

    code = "database-url-invalid"


class Base(DeclarativeBase):
    """Every model derives from this. Constraint names are fixed, so that migrations can name them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class ExactInteger(TypeDecorator[int]):
    """A whole number 0 .. 2^256 - 1, exact: NUMERIC(78, 0) on PostgreSQL, decimal text on SQLite (whose own integers
    end at 2^63). Compare and add in Python: on SQLite the text does not sort by value."""

    impl = String(78)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(postgresql.NUMERIC(78, 0) if dialect.name == "postgresql" else String(78))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Decimal | str | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_UINT256:
            raise InvalidInput(f"{value!r} is not a whole number within 0 .. 2^256 - 1")
        return Decimal(value) if dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Decimal | str | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


def insert_new(session: Session, model: type[Base], **values: Any) -> bool:
    """Inserts a row unless a unique key of it exists already; returns whether it did. Never raises on a conflict, so
    the transaction goes on (on PostgreSQL a failed INSERT would end it)."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.flush()
    added = insert(model).values(**values).on_conflict_do_nothing().returning(*inspect(model).primary_key)
    return session.execute(added).first() is not None


class JobMessage(NamedTuple):
    """What goes through the broker: which kind of job, and its row."""

    kind: str
    job_id: int


SendJobs = Callable[[Sequence[JobMessage]], None]
"""Called after the transaction that inserted the jobs has committed. Must not raise: the rows are the truth and the
reaper sends again what was lost."""


class Database:
    """Sessions on one database. Safe to share between threads; each `with` block is one session and one transaction."""

    def __init__(self, engine: Engine, send_jobs: SendJobs | None = None) -> None:
        self.engine = engine
        self.send_jobs = send_jobs
        self.writer = engine.execution_options(**{_WRITE: True})
        # One moment for all statements of a read. SQLite's transactions are like that by themselves.
        isolation = {"isolation_level": "REPEATABLE READ"} if self.dialect == "postgresql" else {}
        self.reader = engine.execution_options(**isolation)

    @classmethod
    def open(cls, url: str, send_jobs: SendJobs | None = None) -> Database:
        """Opens `sqlite:////absolute/file.db` or `postgresql+psycopg://...`. Raises `DatabaseUrlInvalid`."""
        return cls(_engine(url), send_jobs)

    @property
    def dialect(self) -> str:
        return self.engine.dialect.name

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        return Path(self.engine.url.database or "") if self.dialect == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one moment, changes nothing and is always rolled back."""
        with mapped_errors(), Session(self.reader) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block, or not at all if the block raises. Messages for jobs
        that were enqueued in it are sent after the commit."""
        with mapped_errors(), Session(self.writer, expire_on_commit=False) as session:
            with session.begin():
                yield session
            messages: list[JobMessage] = session.info.pop("job_messages", [])
        if messages and self.send_jobs is not None:
            self.send_jobs(messages)

    def close(self) -> None:
        """Closes the pooled connections."""
        self.engine.dispose()


@contextmanager
def mapped_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise DatabaseUnavailable(f"the database does not answer: {error.orig}. Try again in a moment.") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(f"the database closed the connection: {error.orig}") from error
        raise


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlInvalid(
            "the database URL cannot be read: expected sqlite:////file or postgresql://"
        ) from error
    if parsed.get_backend_name() == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"), pool_size=10, max_overflow=10, pool_pre_ping=True
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        _make_file(Path(parsed.database or ""))
        engine = create_engine(parsed, connect_args={"timeout": SQLITE_BUSY_MILLISECONDS / 1000})
        _prepare_sqlite(engine)
        return engine
    raise DatabaseUrlInvalid(
        f"{parsed.render_as_string(hide_password=True)!r} is not supported: use sqlite:////absolute/file.db or "
        "postgresql+psycopg://user@host/name (an in-memory SQLite cannot be shared between processes)"
    )


def _make_file(path: Path) -> None:
    """An empty database that only its owner reads: signatures and openings that are not on chain yet are in it. What
    SQLite puts beside it gets the same permissions. Raises `DatabaseUrlInvalid`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except (OSError, ValueError) as error:
        # ValueError: a path with a zero in it.
        raise DatabaseUrlInvalid(f"the database file {str(path)[:300]!a} cannot be opened: {error}") from error


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver must not open transactions by itself: `begun` does
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            f"busy_timeout={SQLITE_BUSY_MILLISECONDS}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        writes = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
