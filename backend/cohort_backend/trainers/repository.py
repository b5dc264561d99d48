"""Trainers and their membership as projected from the chain."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.trainers.models import Member, Trainer


def trainer(session: Session, address: str) -> Trainer | None:
    """Standing across projects; None for a newcomer."""
    return session.get(Trainer, address)


def trainers(session: Session, addresses: list[str]) -> dict[str, Trainer]:
    """Standing by address, newcomers left out."""
    found = session.scalars(select(Trainer).where(Trainer.address.in_(addresses)))
    return {trainer.address: trainer for trainer in found}


def member(session: Session, project: int, address: str) -> Member | None:
    """A trainer's place in a project, left or not."""
    return session.get(Member, (project, address))


def members(session: Session, project: int, *, active_only: bool = False) -> list[Member]:
    """Everybody who ever joined, by address; `active_only`: who takes part in the next round."""
    query = select(Member).where(Member.project == project).order_by(Member.trainer)
    found = session.scalars(query)
    return [member for member in found if not active_only or (member.stake > 0 and not member.left)]


def page(session: Session, project: int, after: str, limit: int) -> list[Member]:
    """Members whose address sorts after `after`, by address."""
    query = select(Member).where(Member.project == project, Member.trainer > after)
    return list(session.scalars(query.order_by(Member.trainer).limit(limit)))
