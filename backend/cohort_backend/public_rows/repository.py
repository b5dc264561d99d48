"""Proposed public rows and what witnesses say to them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.projects.repository import bump_version
from cohort_backend.public_rows.models import RowsProposal, RowsWord


def save_proposal(session: Session, proposal: RowsProposal) -> None:
    """Records the rows that our worker computed, in place of earlier ones of the round, and shows them to the
    witnesses. The same rows again change nothing."""
    query = select(RowsProposal).where(RowsProposal.project == proposal.project, RowsProposal.round == proposal.round)
    found = session.scalars(query.with_for_update()).one_or_none()
    if found is not None and (found.rows, found.admitted_hash) == (proposal.rows, proposal.admitted_hash):
        return
    session.merge(proposal)
    session.flush()
    bump_version(session, proposal.project)


def proposal(session: Session, project: int, round: int) -> RowsProposal | None:
    """The proposed rows of a round."""
    return session.get(RowsProposal, (project, round))


def words(session: Session, project: int, round: int, rows: bytes) -> list[RowsWord]:
    """What witnesses say of these rows, by address."""
    query = select(RowsWord).where(RowsWord.project == project, RowsWord.round == round, RowsWord.rows == rows)
    return list(session.scalars(query.order_by(RowsWord.witness)))
