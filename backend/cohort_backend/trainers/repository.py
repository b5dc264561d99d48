"""Trainers, their membership and their standing, as projected from the chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from cohort_protocol.standing import reliability, standing_order
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.projects.models import Project
from cohort_backend.trainers.models import Member, Trainer


@dataclass(frozen=True)
class Standing:
    """How a trainer has worked in all projects of the market. A newcomer has 0 everywhere."""

    reliability_bps: int = 0
    """Basis points, as the contract computes it over `projects`."""
    losses: int = 0
    """In units of credit."""
    rounds: int = 0
    """Admitted rows of settled rounds."""
    rejections: int = 0
    projects: list[int] = field(default_factory=list)
    """Those with credit, in the order that `join` and `reliabilityOf` want."""


def trainer(session: Session, address: str) -> Trainer | None:
    """A trainer's losses; None if there are none."""
    return session.get(Trainer, address)


def standing(session: Session, address: str) -> Standing:
    """A trainer's standing across projects."""
    return standings(session, [address])[address]


def standings(session: Session, addresses: Collection[str]) -> dict[str, Standing]:
    """Standing by address: one answer for each."""
    losses = dict(
        session.execute(select(Trainer.address, Trainer.losses).where(Trainer.address.in_(list(addresses)))).all()
    )
    places: dict[str, list[tuple[Member, str]]] = defaultdict(list)
    query = select(Member, Project.owner).join(Project, Project.id == Member.project)
    for member, owner in session.execute(query.where(Member.trainer.in_(list(addresses)))):
        places[member.trainer].append((member, owner))
    return {address: _standing(places[address], losses.get(address, 0)) for address in addresses}


def member(session: Session, project: int, address: str) -> Member | None:
    """A trainer's place in a project, left or not."""
    return session.scalars(select(Member).where(Member.project == project, Member.trainer == address)).one_or_none()


def member_at(session: Session, project: int, number: int) -> Member | None:
    """The member with a number."""
    return session.get(Member, (project, number))


def members(session: Session, project: int, *, active_only: bool = False) -> list[Member]:
    """Everybody who ever had a number, by number; `active_only`: who takes part in the next round."""
    found = session.scalars(select(Member).where(Member.project == project).order_by(Member.number))
    return [member for member in found if not active_only or member.active]


def numbers(session: Session, project: int) -> dict[str, int]:
    """Numbers by trainer."""
    query = select(Member.trainer, Member.number).where(Member.project == project)
    return {address: number for address, number in session.execute(query)}


def page(session: Session, project: int, after: str, limit: int) -> list[Member]:
    """Members whose address sorts after `after`, by address."""
    query = select(Member).where(Member.project == project, Member.trainer > after)
    return list(session.scalars(query.order_by(Member.trainer).limit(limit)))


def _standing(places: list[tuple[Member, str]], losses: int) -> Standing:
    good = [(member, owner) for member, owner in places if member.credit > 0]
    return Standing(
        reliability_bps=reliability([(owner, member.credit) for member, owner in good], losses),
        losses=losses,
        rounds=sum(member.rounds for member, _ in places),
        rejections=sum(member.rejections for member, _ in places),
        projects=standing_order([(owner, member.project) for member, owner in good]),
    )
