"""Proposals and what witnesses say to them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.projects.repository import bump_version
from cohort_backend.settlements.models import Proposal, ProposalRefusal, ProposalSignature


def save_proposal(session: Session, proposal: Proposal) -> None:
    """Records the outcome that our worker computed, in place of an earlier one of the round, and shows it to the
    witnesses. The same outcome again changes nothing."""
    found = _locked(session, proposal.project, proposal.round)
    if found is not None and found.bundle_cid == proposal.bundle_cid:
        return
    session.merge(proposal)
    session.flush()
    bump_version(session, proposal.project)


def proposal(session: Session, project: int, round: int, *, lock: bool = False) -> Proposal | None:
    """The proposal of a round."""
    query = select(Proposal).where(Proposal.project == project, Proposal.round == round)
    return session.scalars(query.with_for_update() if lock else query).one_or_none()


def signatures(session: Session, project: int, round: int, bundle_cid: str) -> list[ProposalSignature]:
    """Witnesses who agree with the proposal that has this bundle, by address."""
    query = select(ProposalSignature).where(
        ProposalSignature.project == project,
        ProposalSignature.round == round,
        ProposalSignature.bundle_cid == bundle_cid,
    )
    return list(session.scalars(query.order_by(ProposalSignature.witness)))


def all_signatures(session: Session, project: int, round: int) -> list[ProposalSignature]:
    """Of every outcome that was ever proposed for the round, by witness, in order of arrival."""
    query = select(ProposalSignature).where(ProposalSignature.project == project, ProposalSignature.round == round)
    order = (ProposalSignature.witness, ProposalSignature.received_at, ProposalSignature.bundle_cid)
    return list(session.scalars(query.order_by(*order)))


def settlement_refusals(session: Session, project: int, round: int, bundle_cid: str) -> list[ProposalRefusal]:
    """Witnesses who do not, by address."""
    query = select(ProposalRefusal).where(
        ProposalRefusal.project == project,
        ProposalRefusal.round == round,
        ProposalRefusal.bundle_cid == bundle_cid,
    )
    return list(session.scalars(query.order_by(ProposalRefusal.witness)))


def _locked(session: Session, project: int, round: int) -> Proposal | None:
    return proposal(session, project, round, lock=True)
