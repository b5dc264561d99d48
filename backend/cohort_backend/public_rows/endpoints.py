"""Intake of witnesses' words on the public rows of a round."""

from __future__ import annotations

from cohort_protocol.service.messages import Accepted, PublicRowsRefusal, PublicRowsSignature
from fastapi import APIRouter

from cohort_backend import examples
from cohort_backend.openapi import ProjectNumber, RoundNumber, answers, body
from cohort_backend.parts import Parts
from cohort_backend.public_rows.service import record_refusal, record_signature

router = APIRouter(prefix="/v1/projects/{project}/rounds/{round}/public-rows", tags=["public rows"])
RECORDED = answers(examples.ACCEPTED, 403, 404, 409, 413, 503, status=202)


@router.post("/signatures", status_code=202, responses=RECORDED, openapi_extra=body(examples.PUBLIC_ROWS_SIGNATURE))
def post_signature(parts: Parts, project: ProjectNumber, round: RoundNumber, intake: PublicRowsSignature) -> Accepted:
    """A witness's own rows are those proposed, within the tolerance: EIP-712 `PublicRows`, checked again on chain."""
    return Accepted(status=record_signature(parts.database, parts.identity(project), project, round, intake))


@router.post("/refusals", status_code=202, responses=RECORDED, openapi_extra=body(examples.PUBLIC_ROWS_REFUSAL))
def post_refusal(parts: Parts, project: ProjectNumber, round: RoundNumber, intake: PublicRowsRefusal) -> Accepted:
    """A witness computed other rows, and says where they part, over its signature (EIP-191)."""
    return Accepted(status=record_refusal(parts.database, project, round, intake))
