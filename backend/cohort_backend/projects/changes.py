"""What every visible change of a project sets off."""

from __future__ import annotations

from sqlalchemy.orm import Session

from cohort_backend.jobs.service import enqueue_advance
from cohort_backend.projects.repository import bump_version


def announce_change(session: Session, project: int) -> None:
    """Wakes those who wait for news of the project and has the worker look for its next due step; both when the
    transaction commits. Always in this order, so that no two transactions wait for each other."""
    session.flush()
    bump_version(session, project)
    enqueue_advance(session, project)
