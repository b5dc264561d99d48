"""Trainers as the API shows them."""

from __future__ import annotations

from cohort_protocol.service.messages import TrainerView

from cohort_backend.trainers.models import Member, Trainer


def trainer_view(address: str, standing: Trainer | None) -> TrainerView:
    """Standing across projects; a newcomer has 0 everywhere."""
    return TrainerView(
        address=address,
        reliability_bps=standing.reliability_bps if standing else 0,
        usefulness_bps=standing.usefulness_bps if standing else 0,
        rounds=standing.rounds if standing else 0,
        rejections=standing.rejections if standing else 0,
    )


def member_view(address: str, standing: Trainer | None, member: Member | None) -> TrainerView:
    """Standing, and place in one project."""
    view = trainer_view(address, standing)
    view.member = member is not None and member.stake > 0 and not member.left
    view.stake = member.stake if member else 0
    view.earned = member.earned if member else 0
    view.claimed = member.claimed if member else 0
    return view
