"""Locks between processes that hang on the database: advisory locks on PostgreSQL, a lock file beside the SQLite file.
Both end with the process that holds them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from sqlalchemy import text

from cohort_backend.database import Database, mapped_errors


@contextmanager
def exclusive(database: Database, name: str) -> Iterator[None]:
    """Waits for, and holds, the lock of this name: one thread of one process at a time. Not re-entrant."""
    file = database.file
    if file is None:
        with _advisory(database, name):
            yield
    else:
        digest = sha256(name.encode()).hexdigest()[:16]
        with _locked(file.with_name(f"{file.name}.{digest}.lock")):
            yield


@contextmanager
def _advisory(database: Database, name: str) -> Iterator[None]:
    key = int.from_bytes(sha256(b"cohort/lock/" + name.encode()).digest()[:8], signed=True)
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with mapped_errors(), engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
