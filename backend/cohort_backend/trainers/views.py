"""Trainers as the API shows them."""

from __future__ import annotations

from cohort_protocol.service.messages import RecordView, TrainerView

from cohort_backend.projects.models import Project
from cohort_backend.trainers.models import Member
from cohort_backend.trainers.repository import Standing


def trainer_view(address: str, standing: Standing) -> TrainerView:
    """Standing across projects."""
    return TrainerView(
        address=address,
        reliability_bps=standing.reliability_bps,
        losses=standing.losses,
        rounds=standing.rounds,
        rejections=standing.rejections,
        projects=standing.projects,
    )


def member_view(address: str, standing: Standing, project: Project, member: Member | None) -> TrainerView:
    """Standing, and place in one project. `member` is None for somebody who never had a number in it."""
    view = trainer_view(address, standing)
    view.member, view.staked, view.stake, view.earned, view.claimed = False, False, 0, 0, 0
    if member is None:
        return view
    view.member, view.staked, view.number = member.joined, member.staked, member.number
    view.stake = project.stake if member.staked else 0
    view.delegate, view.unlock_at = member.delegate, member.unlock_at or None
    view.earned, view.claimed = member.earned, member.claimed
    view.record = RecordView(
        credit=member.credit,
        usefulness_bps=member.usefulness,
        rounds=member.rounds,
        rejections=member.rejections,
    )
    return view
