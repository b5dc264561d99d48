"""Leases on jobs. Every function takes `now` (unix seconds, the wall clock if left out) so that tests own time."""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from cohort_backend.database import JobMessage, insert_new
from cohort_backend.jobs.models import DONE, FAILED, QUEUED, RUNNING, Job

FIRST_BACKOFF = 0.5
"""Seconds before the second attempt; doubles with each."""

LONGEST_BACKOFF = 30.0
"""Seconds. A round's windows may be a minute long: waiting longer would miss them."""

MAX_ERROR = 4000
"""Characters of an error that are kept."""


def insert(
    session: Session, kind: str, key: str, args: dict[str, object], run_after: float, max_attempts: int, now: float
) -> bool:
    """Adds a queued job unless one of this kind and key is unfinished."""
    return insert_new(
        session,
        Job,
        kind=kind,
        key=key,
        args=args,
        state=QUEUED,
        rerun=False,
        attempts=0,
        max_attempts=max_attempts,
        run_after=run_after,
        created_at=now,
    )


def unfinished(session: Session, kind: str, key: str) -> Job | None:
    """The queued or running job of this kind and key, locked."""
    query = select(Job).where(Job.kind == kind, Job.key == key, Job.state.in_((QUEUED, RUNNING)))
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()


def get(session: Session, job_id: int) -> Job | None:
    """One job."""
    return session.get(Job, job_id)


def lease(session: Session, job_id: int, owner: str, seconds: float, now: float | None = None) -> Job | None:
    """Takes a job that is due for `seconds`. None if it is unknown, finished, not due or running: then somebody else
    has it or will get it, and the message that named it has done its work."""
    now = _now(now)
    query = select(Job).where(Job.id == job_id, Job.state == QUEUED, Job.run_after <= now)
    job = session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
    if job is None:
        return None
    job.state, job.attempts = RUNNING, job.attempts + 1
    job.lease_owner, job.lease_until, job.started_at = owner, now + seconds, now
    session.flush()
    return job


def heartbeat(
    session: Session, owner: str, job_ids: Collection[int], seconds: float, now: float | None = None
) -> set[int]:
    """Extends the leases of `owner` on `job_ids`; returns those that are still its own. A job that is missing in the
    answer was given to somebody else: stop working on it."""
    query = select(Job).where(Job.id.in_(list(job_ids)), Job.state == RUNNING, Job.lease_owner == owner)
    held = list(session.scalars(query.with_for_update()))
    for job in held:
        job.lease_until = _now(now) + seconds
    session.flush()
    return {job.id for job in held}


def finish(session: Session, job_id: int, owner: str, now: float | None = None) -> Job | None:
    """Done; or queued again at once if it was asked for while it ran. None if the lease was lost."""
    job = _held(session, job_id, owner)
    if job is None:
        return None
    job.last_error = None
    if job.rerun:
        job.attempts = 0
        _queue(job, _now(now))
        job.sent_at = job.run_after
        announce(session, job)
    else:
        _end(job, DONE, _now(now))
    session.flush()
    return job


def fail(
    session: Session, job_id: int, owner: str, error: str, now: float | None = None, *, retry: bool = True
) -> Job | None:
    """Keeps the error; queues the job again after a pause that doubles with each attempt, or ends it as failed when
    `retry` is false or the attempts are used up. None if the lease was lost."""
    job = _held(session, job_id, owner)
    if job is None:
        return None
    job.last_error = error[:MAX_ERROR]
    pause = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** (job.attempts - 1))
    _retry_or_end(job, _now(now), pause, exhausted=not retry or job.attempts >= job.max_attempts)
    session.flush()
    return job


def postpone(session: Session, job_id: int, owner: str, delay: float, now: float | None = None) -> Job | None:
    """Nothing to do yet: queued again in `delay` seconds, and the attempt does not count. None if the lease was
    lost. A job that was asked for meanwhile does not wait."""
    job = _held(session, job_id, owner)
    if job is None:
        return None
    job.attempts -= 1
    _queue(job, _now(now) + (0.0 if job.rerun else delay))
    session.flush()
    return job


def reap(
    session: Session, now: float | None = None, *, resend_after: float = 2.0, limit: int = 200
) -> list[JobMessage]:
    """Takes back leases that ran out and returns the message of every job that is due and was not picked up: never
    sent, sent more than `resend_after` seconds ago, or just taken back. Hand them to `send_jobs` after the commit."""
    now = _now(now)
    expired = select(Job).where(Job.state == RUNNING, Job.lease_until < now)
    for job in session.scalars(expired.limit(limit).with_for_update(skip_locked=True)):
        _take_back(job, f"the lease of {job.lease_owner} ran out", now)
    session.flush()
    due = select(Job).where(
        Job.state == QUEUED, Job.run_after <= now, (Job.sent_at.is_(None)) | (Job.sent_at <= now - resend_after)
    )
    found = list(session.scalars(due.order_by(Job.run_after).limit(limit).with_for_update(skip_locked=True)))
    for job in found:
        job.sent_at = now
    session.flush()
    return [JobMessage(job.kind, job.id) for job in found]


def drop_lease(session: Session, job_id: int, owner: str, now: float | None = None) -> bool:
    """Takes a job back from an owner that is known to be dead, without waiting for its lease to run out."""
    job = _held(session, job_id, owner)
    if job is None:
        return False
    _take_back(job, f"{owner} died", _now(now))
    session.flush()
    return True


def running(session: Session) -> list[Job]:
    """Jobs under lease."""
    return list(session.scalars(select(Job).where(Job.state == RUNNING).order_by(Job.id)))


def failed(session: Session, limit: int = 50) -> list[Job]:
    """Jobs that were given up, newest first."""
    return list(session.scalars(select(Job).where(Job.state == FAILED).order_by(Job.id.desc()).limit(limit)))


def counts(session: Session) -> dict[str, int]:
    """Jobs by state."""
    return {state: count for state, count in session.execute(select(Job.state, func.count()).group_by(Job.state))}


def forget_done(session: Session, before: float) -> int:
    """Deletes jobs that were done before a time; returns how many."""
    result = session.execute(delete(Job).where(Job.state == DONE, Job.finished_at < before))
    return result.rowcount  # type: ignore[attr-defined]


def announce(session: Session, job: Job) -> None:
    """Has the job's message sent when the transaction commits (`Database.write`)."""
    session.info.setdefault("job_messages", []).append(JobMessage(job.kind, job.id))


def _now(now: float | None) -> float:
    return time.time() if now is None else now


def _held(session: Session, job_id: int, owner: str) -> Job | None:
    query = select(Job).where(Job.id == job_id, Job.state == RUNNING, Job.lease_owner == owner)
    return session.scalars(query.with_for_update()).one_or_none()


def _queue(job: Job, run_after: float) -> None:
    # The next attempt reads everything anew, which answers whoever asked meanwhile.
    job.state, job.run_after, job.rerun = QUEUED, run_after, False
    job.lease_owner = job.lease_until = job.sent_at = None


def _end(job: Job, state: str, now: float) -> None:
    job.state, job.finished_at = state, now
    job.lease_owner = job.lease_until = None


def _take_back(job: Job, why: str, now: float) -> None:
    job.last_error = f"{why} in attempt {job.attempts}"
    _retry_or_end(job, now, 0.0, exhausted=job.attempts >= job.max_attempts)


def _retry_or_end(job: Job, now: float, pause: float, *, exhausted: bool) -> None:
    if exhausted and not job.rerun:
        _end(job, FAILED, now)
        return
    if exhausted:
        job.attempts = 0  # somebody asked for it while it ran: that is a new job with the same key
    _queue(job, now + pause)
