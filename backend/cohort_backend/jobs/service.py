"""Asking for work. Insert the job in the transaction of the change that calls for it."""

from __future__ import annotations

import os
import secrets
import socket
import time

from sqlalchemy.orm import Session

from cohort_backend.jobs import repository
from cohort_backend.jobs.models import PROVE_ROUND as PROVE_ROUND
from cohort_backend.jobs.models import QUEUED, RUNNING, Job

INDEX_CHAIN, ADVANCE_PROJECT = "index_chain", "advance_project"
COMPUTE_ROWS, EVALUATE_ROUND = "compute_rows", "evaluate_round"

MAX_ATTEMPTS = 8


def enqueue(
    session: Session,
    kind: str,
    key: str,
    args: dict[str, object] | None = None,
    *,
    delay: float = 0.0,
    max_attempts: int = MAX_ATTEMPTS,
    now: float | None = None,
) -> Job:
    """Asks for a job, not before `delay` seconds from now. At most one per (kind, key) is unfinished: a queued one is
    brought forward and takes the new args; a running one runs once more when it finishes, since what it has read may
    be older than this call. The message is sent when the transaction commits."""
    moment = time.time() if now is None else now
    while True:
        inserted = repository.insert(session, kind, key, args or {}, moment + delay, max_attempts, moment)
        job = repository.unfinished(session, kind, key)
        if job is not None:  # else it finished between the two statements (PostgreSQL): insert again
            break
    if job.state == RUNNING:
        job.rerun, job.args = True, args or {}
    elif inserted or moment + delay < job.run_after:
        _bring_forward(session, job, args or {}, moment, delay)
    else:
        job.args = args or {}
    session.flush()
    return job


def enqueue_advance(session: Session, project: int) -> Job:
    """Has the worker look for the project's next due step."""
    return enqueue(session, ADVANCE_PROJECT, str(project), {"project": project})


def new_owner() -> str:
    """A name for one worker process, `host/pid/nonce`: tells the leases of a dead predecessor from our own."""
    return f"{socket.gethostname()[:100]}/{os.getpid()}/{secrets.token_hex(4)}"


def _bring_forward(session: Session, job: Job, args: dict[str, object], now: float, delay: float) -> None:
    assert job.state == QUEUED
    job.args, job.run_after = args, now + delay
    if delay <= 0:
        job.sent_at = now  # if the message is lost between commit and broker, the reaper sends it again
        repository.announce(session, job)
