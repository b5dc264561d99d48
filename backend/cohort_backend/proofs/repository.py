"""Proofs of rounds and receipts for models."""

from __future__ import annotations

import time

from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.projects.models import Project, ProjectModel
from cohort_backend.projects.repository import bump_version
from cohort_backend.proofs.models import ModelReceipt, RoundProof


def proof(session: Session, project: int, round: int, bundle_cid: str | None = None) -> RoundProof | None:
    """The proof of a round; with `bundle_cid` only if it is of that outcome."""
    found = session.get(RoundProof, (project, round))
    return found if found is None or bundle_cid in (None, found.bundle_cid) else None


def save_proof(session: Session, project: int, round: int, bundle_cid: str, state: str, **fields: object) -> RoundProof:
    """Records how far the proof of an outcome is; that of another outcome is forgotten. Whoever follows the project
    hears of it."""
    found = session.get(RoundProof, (project, round), with_for_update=True)
    if found is not None and found.bundle_cid != bundle_cid:
        session.delete(found)
        session.flush()
        found = None
    if found is None:
        found = RoundProof(project=project, round=round, bundle_cid=bundle_cid, state=state, updated_at=time.time())
        session.add(found)
    found.state, found.updated_at = state, time.time()
    for name, value in fields.items():
        setattr(found, name, value)
    session.flush()
    bump_version(session, project)
    return found


def model_receipts(session: Session, project: int, model: bytes) -> list[ModelReceipt]:
    """Witnesses who vouch for the bytes of a model, by address."""
    query = select(ModelReceipt).where(ModelReceipt.project == project, ModelReceipt.model == model)
    return list(session.scalars(query.order_by(ModelReceipt.witness)))


def pending_model(session: Session, project: Project) -> ProjectModel | None:
    """The newest model, while it waits for receipts."""
    if project.pending_model is None:
        return None
    query = select(ProjectModel).where(ProjectModel.project == project.id, ProjectModel.receipted.is_(False))
    return session.scalars(query).one_or_none()
