"""Intake of witnesses' words on the outcome of a round."""

from __future__ import annotations

from cohort_protocol.service.messages import (
    Accepted,
    SettlementRefusal,
    SettlementSignature,
    SettlementSignatures,
)
from fastapi import APIRouter

from cohort_backend import examples
from cohort_backend.openapi import ProjectNumber, RoundNumber, answers, body
from cohort_backend.parts import Parts
from cohort_backend.settlements.service import record_refusal, record_signature, signatures_of

router = APIRouter(prefix="/v1/projects/{project}/rounds/{round}/settlement", tags=["settlements"])
RECORDED = answers(examples.ACCEPTED, 403, 404, 409, 413, 503, status=202)


@router.post("/signatures", status_code=202, responses=RECORDED, openapi_extra=body(examples.SETTLEMENT_SIGNATURE))
def post_signature(parts: Parts, project: ProjectNumber, round: RoundNumber, intake: SettlementSignature) -> Accepted:
    """A witness has recomputed the proposed outcome and agrees: EIP-712 `Settlement`, checked again by the contract."""
    return Accepted(status=record_signature(parts.database, parts.identity(project), project, round, intake))


@router.get("/signatures", responses=answers(examples.SETTLEMENT_SIGNATURES, 404, 503))
def get_signatures(parts: Parts, project: ProjectNumber, round: RoundNumber) -> SettlementSignatures:
    """Every word that witnesses ever gave on an outcome of the round. Two of one witness on outcomes of the same
    updates are evidence against it, which `cohort witness equivocations` checks."""
    with parts.database.read() as session:
        return signatures_of(session, project, round)


@router.post("/refusals", status_code=202, responses=RECORDED, openapi_extra=body(examples.SETTLEMENT_REFUSAL))
def post_refusal(parts: Parts, project: ProjectNumber, round: RoundNumber, intake: SettlementRefusal) -> Accepted:
    """A witness has computed something else, and says what, over its signature (EIP-191)."""
    return Accepted(status=record_refusal(parts.database, parts.identity(project), project, round, intake))
