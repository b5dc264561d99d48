"""Intake of commitments, reveals and receipts."""

from __future__ import annotations

from cohort_protocol.service.messages import Accepted, CommitIntake, ReceiptedSets, ReceiptIntake, RevealIntake
from fastapi import APIRouter

from cohort_backend import examples
from cohort_backend.openapi import ProjectNumber, RoundNumber, answers, body
from cohort_backend.parts import Parts
from cohort_backend.updates.receipts import receipted_sets, record_receipt
from cohort_backend.updates.service import record_commit, record_reveal

router = APIRouter(prefix="/v1/projects/{project}/rounds/{round}", tags=["updates"])
RECORDED = answers(examples.ACCEPTED, 403, 404, 409, 413, 503, status=202)


@router.post("/commits", status_code=202, responses=RECORDED, openapi_extra=body(examples.COMMIT))
def post_commit(parts: Parts, project: ProjectNumber, round: RoundNumber, intake: CommitIntake) -> Accepted:
    """A trainer's commitment, signed as EIP-712 `Commit` by the trainer or its delegate; the service posts all of a
    round in one batch.

    The same again is harmless; another one in the same round is refused (`commitment-differs`), and so is somebody
    else's (`duplicate-commitment`). When the batch has been made (`batch-posted`), or none may be posted any more
    (`batch-too-late`), post it yourself."""
    return Accepted(status=record_commit(parts.database, parts.identity(project), project, round, intake))


@router.post("/reveals", status_code=202, responses=RECORDED, openapi_extra=body(examples.REVEAL))
def post_reveal(parts: Parts, project: ProjectNumber, round: RoundNumber, intake: RevealIntake) -> Accepted:
    """Opens a commitment that is on chain: update, CID of its bytes, salt. Needs no signature, since nobody else knows
    the opening.

    Refused with `opening-wrong` if it does not give the commitment, which binds the CID too. After the reveal phase
    it is taken until the rescue window ends: it earns nothing any more, but saves the stake."""
    return Accepted(status=record_reveal(parts.database, parts.identity(project), project, round, intake))


@router.post("/receipts", status_code=202, responses=RECORDED, openapi_extra=body(examples.RECEIPT))
def post_receipt(parts: Parts, project: ProjectNumber, round: RoundNumber, intake: ReceiptIntake) -> Accepted:
    """A witness's word on the set of reveals in the state, signed as EIP-712 `Receipt`.

    Bit i speaks of reveal i of the set. A later word on the same set may add bits and takes none back."""
    return Accepted(status=record_receipt(parts.database, parts.identity(project), project, round, intake))


@router.get("/receipts", responses=answers(examples.RECEIPTED_SETS, 404, 503))
def get_receipts(parts: Parts, project: ProjectNumber, round: RoundNumber) -> ReceiptedSets:
    """The sets of reveals that witnesses have signed receipts for, openings and signatures included.

    With the batch from the chain that is all a `reveal` transaction needs: if the aggregator does not send it, any
    trainer can. The openings are no secret any more, witnesses have seen them."""
    with parts.database.read() as session:
        return receipted_sets(session, project, round)
