"""Fetching specs that are not in the database: those of projects that were created without this service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from cohort_protocol.errors import InvalidInput, NotFound, Unavailable
from cohort_protocol.ipfs.store import IpfsStore
from sqlalchemy.orm import Session

from cohort_backend.database import Database
from cohort_backend.projects.errors import SpecNotHere
from cohort_backend.projects.models import Project
from cohort_backend.projects.service import load_spec, spec_cid
from cohort_backend.rounds.lookup import find_project

PAUSE_SECONDS = 30.0
"""How long a spec that could not be had is not asked for again: a search on IPFS may take seconds, and anybody may
create a project whose spec does not exist."""

AT_ONCE = 4
"""Specs that are fetched at the same time. Requests wait for them on threads that all requests share: whoever creates
projects whose specs come slowly or never must not hold those."""

MAX_REMEMBERED = 10_000
"""Failures that are remembered."""

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class SpecSource:
    """Reads that need the spec of a project. Thread-safe."""

    def __init__(self, database: Database, store: IpfsStore) -> None:
        self._database = database
        self._store = store
        self._failed: dict[bytes, float] = {}
        self._fetching: set[bytes] = set()
        self._lock = threading.Lock()

    def reading(self, project: int, build: Callable[[Session], T]) -> T:
        """`build` in a read transaction; if it raises `SpecNotHere`, once more after fetching the spec. Raises what
        `build` raises; `SpecNotHere` if the spec cannot be had."""
        try:
            with self._database.read() as session:
                return build(session)
        except SpecNotHere:
            self.fetch(project)
        with self._database.read() as session:
            return build(session)

    def fetch(self, project: int) -> None:
        """Brings the spec into the database; one thread for each, and few at once. Raises `UnknownProject`,
        `SpecNotHere`, also while another thread fetches it."""
        with self._database.read() as session:
            found = find_project(session, project)
        with self._lock:
            if self._failed.get(found.spec_digest, 0.0) > time.monotonic():
                raise _not_here(found, "it could not be had a moment ago")
            if found.spec_digest in self._fetching or len(self._fetching) >= AT_ONCE:
                raise _not_here(found, "it, or enough others, are being fetched: try again in a moment")
            self._fetching.add(found.spec_digest)
        try:
            self._load(project, found)
        finally:
            with self._lock:
                self._fetching.discard(found.spec_digest)

    def _load(self, project: int, found: Project) -> None:
        try:
            load_spec(self._database, self._store, found)
        except (InvalidInput, NotFound, Unavailable) as error:
            self._remember(found.spec_digest)
            _log.warning("spec-not-fetched", project=project, cid=str(spec_cid(found)), error=str(error))
            raise _not_here(found, str(error)) from error

    def _remember(self, digest: bytes) -> None:
        with self._lock:
            if len(self._failed) >= MAX_REMEMBERED:
                self._failed.clear()
            self._failed[digest] = time.monotonic() + PAUSE_SECONDS


def _not_here(project: Project, why: str) -> SpecNotHere:
    return SpecNotHere(f"the spec {spec_cid(project)} of project {project.id} is not here: {why}")
