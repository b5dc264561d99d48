"""What a message of the broker leads to: take the job's lease, check again, act, write down how it went.

A message carries a job's id and nothing else. It may come twice, late, or for a job that somebody else has: then the
lease is not ours and nothing happens. If it never comes, the reaper sends another. So tasks are never lost, with any
broker, and every handler is safe to run twice and at the same time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from cohort_backend.jobs import repository
from cohort_backend.jobs.models import Job
from cohort_backend.jobs.service import (
    ADVANCE_PROJECT,
    COMPUTE_ROWS,
    EVALUATE_ROUND,
    INDEX_CHAIN,
    PROVE_ROUND,
    enqueue,
)
from cohort_protocol.errors import CohortError, InvalidInput, Unavailable
from cohort_protocol.ipfs.errors import ContentNotFound

from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.evaluation.public_rows import propose_rows
from cohort_worker.leases import Leases
from cohort_worker.parts import WorkerParts
from cohort_worker.proving.prove import prove_round
from cohort_worker.rounds.advance import advance_project

log = structlog.get_logger(__name__)

Handler = Callable[[WorkerParts, dict[str, Any], threading.Event], bool]
"""Does a job; True if it is to be done again soon."""


def index_chain(parts: WorkerParts, args: dict[str, Any], stopping: threading.Event) -> bool:
    """Reads the chain up to its head."""
    parts.indexer.catch_up()
    return False


def advance(parts: WorkerParts, args: dict[str, Any], stopping: threading.Event) -> bool:
    """Does what is due in a project."""
    return advance_project(parts, int(args["project"]), stopping)


def compute_rows(parts: WorkerParts, args: dict[str, Any], stopping: threading.Event) -> bool:
    """Computes and proposes the public rows of a round. If none can follow from its batch, it is judged without."""
    project = int(args["project"])
    try:
        propose_rows(parts, project, int(args["round"]))
    except InvalidInput:
        with parts.database.write() as session:
            enqueue(session, ADVANCE_PROJECT, str(project), {"project": project}, delay=parts.settings.retry_seconds)
        raise
    return False


def evaluate(parts: WorkerParts, args: dict[str, Any], stopping: threading.Event) -> bool:
    """Computes and proposes the outcome of a round."""
    evaluate_round(parts, int(args["project"]), int(args["round"]))
    return False


def prove(parts: WorkerParts, args: dict[str, Any], stopping: threading.Event) -> bool:
    """Proves the proposed outcome of a round."""
    return prove_round(parts, int(args["project"]), int(args["round"]), str(args["bundle"]), stopping)


HANDLERS: dict[str, Handler] = {
    INDEX_CHAIN: index_chain,
    ADVANCE_PROJECT: advance,
    COMPUTE_ROWS: compute_rows,
    EVALUATE_ROUND: evaluate,
    PROVE_ROUND: prove,
}


class JobRunner:
    """Runs jobs by id. Shared by all threads of the pool."""

    def __init__(self, parts: WorkerParts, leases: Leases, stopping: threading.Event) -> None:
        self._parts = parts
        self._leases = leases
        self._stopping = stopping

    def run(self, job_id: int) -> None:
        """Does a job, if it is due and ours. Errors end in the job's row and in the log, never in the broker."""
        if self._stopping.is_set():
            return
        try:
            with self._leases.take(job_id) as job:
                if job is not None:
                    self._work(job)
        except Unavailable as error:
            # The database does not answer: the job is still queued, or its lease will run out. The reaper finds it.
            log.warning("job_left", job=job_id, code=error.code, detail=str(error))

    def _work(self, job: Job) -> None:
        started = time.monotonic()
        handler = HANDLERS.get(job.kind)
        try:
            if handler is None:
                self._fail(job, f"no handler for jobs of kind {job.kind!r}: an older worker?", retry=False)
            elif handler(self._parts, job.args, self._stopping):
                self._postpone(job)
            else:
                self._finish(job)
        except (Unavailable, ContentNotFound) as error:
            # Somebody else's outage, or content that may come back: no fault of the job, no attempt counted.
            self._log("job_postponed", job, error, started)
            self._postpone(job)
        except InvalidInput as error:
            self._log("job_failed", job, error, started)
            self._fail(job, f"{error.code}: {error}", retry=False)
        except CohortError as error:
            self._log("job_retried", job, error, started)
            self._fail(job, f"{error.code}: {error}", retry=True)
        except Exception as error:
            # The boundary of the task: a fault of ours. Kept in the row, its traceback in the log, and tried again.
            log.exception("job_broken", job=job.id, kind=job.kind, key=job.key, attempt=job.attempts)
            self._fail(job, f"{type(error).__name__}: {error}", retry=True)

    def _finish(self, job: Job) -> None:
        with self._parts.database.write() as session:
            repository.finish(session, job.id, self._leases.owner)

    def _postpone(self, job: Job) -> None:
        with self._parts.database.write() as session:
            repository.postpone(session, job.id, self._leases.owner, self._parts.settings.retry_seconds)

    def _fail(self, job: Job, error: str, retry: bool) -> None:
        with self._parts.database.write() as session:
            repository.fail(session, job.id, self._leases.owner, error, retry=retry)

    def _log(self, event: str, job: Job, error: CohortError, started: float) -> None:
        log.warning(
            event,
            job=job.id,
            kind=job.kind,
            key=job.key,
            attempt=job.attempts,
            code=error.code,
            detail=str(error),
            seconds=round(time.monotonic() - started, 3),
        )
