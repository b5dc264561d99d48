"""What a trainer has earned, with the proofs that the contract's `claim` takes."""

from __future__ import annotations

from cohort_protocol.identifiers import to_hex
from cohort_protocol.payout import PayoutTree
from cohort_protocol.service.messages import RewardItem, Rewards
from sqlalchemy.orm import Session

from cohort_backend.rewards.errors import PayoutRootDiffers, UnknownMember
from cohort_backend.rewards.repository import paid_rounds
from cohort_backend.rounds.lookup import find_project
from cohort_backend.rounds.models import Round, Row
from cohort_backend.trainers.repository import member


def rewards_of(session: Session, project: int, trainer: str) -> Rewards:
    """Pay by round, with proofs against the payout roots on chain. Raises `UnknownProject`, `UnknownMember`,
    `PayoutRootDiffers`."""
    find_project(session, project)
    place = member(session, project, trainer)
    if place is None:
        raise UnknownMember(f"{trainer} has no number in project {project}: nothing to claim. Join first")
    return Rewards(
        project=project,
        trainer=trainer,
        member=place.number,
        earned=place.earned,
        claimed=place.claimed,
        claimable=place.earned - place.claimed,
        items=[item for round, rows in paid_rounds(session, project, trainer) for item in _items(round, rows, trainer)],
    )


def _items(round: Round, rows: list[Row], trainer: str) -> list[RewardItem]:
    tree = PayoutTree(round.project, round.number, [(row.member, row.pay or 0) for row in rows])
    if round.payout_root != tree.root:
        raise PayoutRootDiffers(
            f"the pay of round {round.project}/{round.number} as indexed does not give the payout root on chain: "
            "rebuild the database (`cohort db rebuild`)"
        )
    return [
        RewardItem(
            round=round.number,
            row=row.row,
            amount=row.pay or 0,
            claimed=row.claimed,
            proof=[to_hex(sibling) for sibling in tree.proof(row.row)],
            payout_root=to_hex(tree.root),
        )
        for row in rows
        if row.trainer == trainer
    ]
