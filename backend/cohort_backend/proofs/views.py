"""Proofs and pending models as the API shows them."""

from __future__ import annotations

from cohort_protocol.identifiers import to_hex
from cohort_protocol.service.messages import PendingModel, ProofView
from sqlalchemy.orm import Session

from cohort_backend.projects.models import Project
from cohort_backend.proofs import repository
from cohort_backend.settlements import repository as settlements


def proof_view(session: Session, project: int, round: int) -> ProofView | None:
    """How far the proof of a round is; None where there is none to be."""
    found = repository.proof(session, project, round)
    if found is None:
        return None
    signatures = settlements.signatures(session, project, round, found.bundle_cid)
    return ProofView(
        bundle_cid=found.bundle_cid,
        state=found.state,
        part=found.part,
        parts=found.parts,
        step=found.step,
        prover=found.prover,
        bytes=len(found.content) if found.content is not None else None,
        evidence_bytes=found.evidence_bytes,
        prove_seconds=found.seconds,
        verify_gas=found.verify_gas,
        error=found.error,
        receipts=[one.witness for one in signatures],
    )


def pending_model_view(session: Session, project: Project) -> PendingModel | None:
    """The model that waits for receipts, with who has given one."""
    found = repository.pending_model(session, project)
    if found is None or found.cid is None:
        return None
    return PendingModel(
        round=found.round,
        model=to_hex(found.commitment),
        cid=found.cid,
        until=project.pending_until,
        signed_by=[one.witness for one in repository.model_receipts(session, project.id, found.commitment)],
    )
