"""Leases of the jobs that this process works on: extended while they run, so that nobody else starts them; free soon
after a SIGKILL, so that somebody does."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from cohort_backend.database import Database, DatabaseUnavailable
from cohort_backend.jobs import repository
from cohort_backend.jobs.models import Job

log = structlog.get_logger(__name__)


class Leases:
    """The jobs under lease of one process. `owner`: its name in the table, `host/pid/nonce`."""

    def __init__(self, database: Database, owner: str, seconds: float) -> None:
        self._database = database
        self.owner = owner
        self.seconds = seconds
        self._held: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def take(self, job_id: int) -> Iterator[Job | None]:
        """The job under lease for the block, or None if it is not to be done now or by us."""
        with self._database.write() as session:
            job = repository.lease(session, job_id, self.owner, self.seconds)
        if job is None:
            yield None
            return
        with self._lock:
            self._held.add(job_id)
        try:
            yield job
        finally:
            with self._lock:
                self._held.discard(job_id)

    @property
    def held(self) -> frozenset[int]:
        with self._lock:
            return frozenset(self._held)

    def extend(self) -> None:
        """Tells the table that we are alive. Call it a few times per `seconds`."""
        held = self.held
        if not held:
            return
        try:
            with self._database.write() as session:
                lost = held - repository.heartbeat(session, self.owner, held, self.seconds)
        except DatabaseUnavailable as error:
            log.warning("leases_not_extended", jobs=sorted(held), detail=str(error))
            return
        if still_lost := lost & self.held:
            # Harmless: every task may run twice at once. Frequent: the machine is too slow for COHORT_LEASE_SECONDS.
            log.warning("leases_lost", jobs=sorted(still_lost))


def drop_leases_of_the_dead(database: Database) -> int:
    """Frees the jobs of processes of this machine that are gone, without waiting for their leases to run out."""
    dropped = 0
    with database.write() as session:
        for job in repository.running(session):
            owner = job.lease_owner or ""
            if _is_dead(owner) and repository.drop_lease(session, job.id, owner):
                log.info("lease_dropped", job=job.id, kind=job.kind, key=job.key, owner=owner)
                dropped += 1
    return dropped


def _is_dead(owner: str) -> bool:
    """Whether `host/pid/nonce` names a process of this machine that does not exist. A process id in use again only
    means that its lease has to run out."""
    host, _, rest = owner.rpartition("/")[0].rpartition("/")
    if host != socket.gethostname()[:100] or not rest.isdigit():
        return False
    if int(rest) == os.getpid():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
