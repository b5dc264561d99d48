"""Intake of witnesses' receipts for models."""

from __future__ import annotations

from cohort_protocol.service.messages import Accepted, ModelReceiptIntake
from fastapi import APIRouter

from cohort_backend import examples
from cohort_backend.openapi import ProjectNumber, answers, body
from cohort_backend.parts import Parts
from cohort_backend.proofs.service import record_model_receipt

router = APIRouter(prefix="/v1/projects/{project}/models", tags=["proofs"])
RECORDED = answers(examples.ACCEPTED, 403, 404, 409, 413, 503, status=202)


@router.post("/receipts", status_code=202, responses=RECORDED, openapi_extra=body(examples.MODEL_RECEIPT))
def post_receipt(parts: Parts, project: ProjectNumber, intake: ModelReceiptIntake) -> Accepted:
    """A witness has fetched the pending model and its bytes open the commitment on chain: EIP-712 `ModelReceipt`,
    checked again by the contract. With a quorum of them the next round starts from that model."""
    return Accepted(status=record_model_receipt(parts.database, parts.identity(project), project, intake))
