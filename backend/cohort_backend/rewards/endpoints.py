"""What a trainer can claim, and how."""

from __future__ import annotations

from cohort_protocol.service.messages import Rewards
from fastapi import APIRouter

from cohort_backend import examples
from cohort_backend.openapi import ProjectNumber, TrainerAddress, answers
from cohort_backend.parts import Parts
from cohort_backend.rewards.service import rewards_of

router = APIRouter(prefix="/v1/projects/{project}/trainers/{address}", tags=["rewards"])


@router.get("/rewards", responses=answers(examples.REWARDS, 404, 503))
def get_rewards(parts: Parts, project: ProjectNumber, address: TrainerAddress) -> Rewards:
    """Pay by round with Merkle proofs against the payout roots on chain: what the contract's `claim` takes.

    Claims never expire and need this service for convenience only: all of it follows from the chain's events."""
    with parts.database.read() as session:
        return rewards_of(session, project, address)
