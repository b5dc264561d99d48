"""What happens by time and not by message: threads inside the worker process, so that one SIGKILL ends everything and
nothing of it is left on disk.

- `chain`: reads new blocks, several times a second. Finds what others do on chain.
- `jobs`: sends lost jobs again and looks at the deadlines of running rounds, once a second.
- `leases`: says that our jobs are alive.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from cohort_backend.chain.repository import chain_now
from cohort_backend.database import SendJobs
from cohort_backend.jobs import repository
from cohort_backend.jobs.models import QUEUED, RUNNING, Job
from cohort_backend.jobs.service import ADVANCE_PROJECT, enqueue_advance
from cohort_backend.projects.models import Project
from cohort_backend.rounds.models import Round
from cohort_protocol.errors import CohortError, Unavailable
from sqlalchemy import and_, or_, select
from sqlalchemy.orm import aliased

from cohort_worker.leases import Leases
from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.advance import look

log = structlog.get_logger(__name__)

LONGEST_PAUSE = 5.0
"""Seconds between two tries while a part does not answer."""

RESEND_SECONDS = 2.0
"""A message that led to nothing for so long is taken for lost. Sending one too many costs a millisecond."""

KEEP_DONE_SECONDS = 3600.0
"""How long finished jobs are kept for whoever looks into the table."""


class Scheduler:
    """The threads. `stop` returns within a fraction of a second unless a call to the chain hangs."""

    def __init__(self, parts: WorkerParts, leases: Leases, send_jobs: SendJobs, stopping: threading.Event) -> None:
        self._parts = parts
        self._leases = leases
        self._send_jobs = send_jobs
        self._stopping = stopping
        self._last_forget = time.monotonic()
        self._resend_after = 0.0
        """Seconds. At first 0: what a predecessor took from the broker died with it."""
        settings = parts.settings
        self._threads = [
            threading.Thread(target=self._loop, args=arguments, name=f"cohort-{arguments[0]}", daemon=True)
            for arguments in (
                ("chain", self._read_chain, settings.tick_seconds),
                ("jobs", self._look_at_jobs, settings.look_seconds),
                ("leases", leases.extend, settings.lease_seconds / 3),
            )
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> None:
        """Waits for the threads to end, after `stopping` was set."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _loop(self, name: str, act: Callable[[], object], seconds: float) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                act()
                if failures:
                    log.info("schedule_recovered", what=name, failures=failures)
                failures = 0
            except Unavailable as error:
                failures += 1
                if failures in (1, 10) or failures % 100 == 0:
                    log.warning("schedule_waits", what=name, code=error.code, detail=str(error), failures=failures)
            except CohortError as error:
                failures += 1
                log.error("schedule_failed", what=name, code=error.code, detail=str(error), failures=failures)
            except Exception:
                # The boundary of the thread: without it the market would stand still and nobody would know why.
                failures += 1
                log.exception("schedule_broken", what=name, failures=failures)
            self._stopping.wait(min(LONGEST_PAUSE, seconds * 2 ** min(failures, 10)) if failures else seconds)

    def _read_chain(self) -> None:
        self._parts.indexer.catch_up()

    def _look_at_jobs(self) -> None:
        database = self._parts.database
        with database.write() as session:
            lost = repository.reap(session, resend_after=self._resend_after)
        self._send_jobs(lost)
        self._resend_after = RESEND_SECONDS
        for project in self._idle_projects():
            if look(self._parts, project).steps:
                with database.write() as session:
                    enqueue_advance(session, project)
        if time.monotonic() - self._last_forget > KEEP_DONE_SECONDS / 10:
            self._last_forget = time.monotonic()
            with database.write() as session:
                repository.forget_done(session, time.time() - KEEP_DONE_SECONDS)

    def _idle_projects(self) -> list[int]:
        """Our projects that are not over and that nobody is looking at: a queued job may be waiting out a pause, which
        is not to be cut short."""
        busy = select(Job.key).where(Job.kind == ADVANCE_PROJECT, Job.state.in_((QUEUED, RUNNING)))
        newest = aliased(Round)
        is_newest = and_(newest.project == Project.id, newest.number == Project.round)
        with self._parts.database.read() as session:
            left = select(Round.project).where(Round.unresolved > 0, Round.slash_end > chain_now(session))
            going_on = or_(
                and_(Project.round > 0, newest.outcome.is_(None)),
                and_(Project.ended.is_(False), Project.round < Project.rounds),
                Project.id.in_(left),
            )
            keys = set(session.scalars(busy))
            found = session.execute(
                select(Project.id, Project.aggregators).outerjoin(newest, is_newest).where(going_on)
            )
            return [
                project
                for project, aggregators in found
                if str(project) not in keys and self._parts.sender.address in aggregators
            ]
