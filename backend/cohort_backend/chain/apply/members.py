"""Events of members, stakes and losses. Mirrors `contracts/src/staking/Members.sol`, `standing/StandingBook.sol` and
the slash in `rounds/Resolution.sol`."""

from __future__ import annotations

from cohort_protocol.chain.events import (
    DelegateChanged,
    LossRecorded,
    MarketEvent,
    MemberJoined,
    MemberLeft,
    Staked,
    StakeSlashed,
    StakeWithdrawn,
)
from cohort_protocol.chain.types import ZERO_ADDRESS
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.projects.models import Project
from cohort_backend.trainers.models import Member, Trainer, TrainerLoss


def member_joined(session: Session, event: MemberJoined) -> None:
    member = _numbered(session, event.project, event.member, event.trainer)
    member.joined, member.joined_round = True, event.joined_round
    if member.staked:  # else its Staked follows
        _grown(session, event)


def staked(session: Session, event: Staked) -> None:
    member = _numbered(session, event.project, event.member, event.trainer)
    member.staked = True
    project = session.get_one(Project, event.project)
    project.stakes += event.amount
    if member.joined:
        member.joined_round = project.round  # the running round does not wait for it
        _grown(session, event)


def delegate_changed(session: Session, event: DelegateChanged) -> None:
    query = select(Member).where(Member.project == event.project, Member.trainer == event.trainer)
    session.scalars(query).one().delegate = None if event.delegate == ZERO_ADDRESS else event.delegate


def member_left(session: Session, event: MemberLeft) -> None:
    member = session.get_one(Member, (event.project, event.member))
    member.joined, member.unlock_at = False, event.unlock_at
    if member.staked:
        session.get_one(Project, event.project).members -= 1


def stake_withdrawn(session: Session, event: StakeWithdrawn) -> None:
    member = session.get_one(Member, (event.project, event.member))
    member.staked, member.unlock_at = False, 0
    session.get_one(Project, event.project).stakes -= event.amount


def take_stake(session: Session, event: StakeSlashed) -> None:
    """A stake is taken once: of a member who has none, a slash takes nothing."""
    member = session.get_one(Member, (event.project, event.member))
    if not member.staked:
        return
    member.staked, member.unlock_at = False, 0
    project = session.get_one(Project, event.project)
    project.stakes -= event.reward + event.burned
    project.stakes_burned += event.burned
    if member.joined:
        project.members -= 1


def loss_recorded(session: Session, event: LossRecorded) -> None:
    session.merge(Trainer(address=event.trainer, losses=event.total))
    session.flush()
    session.merge(TrainerLoss(trainer=event.trainer, owner=event.owner, amount=event.of_owner))


def _numbered(session: Session, project: int, number: int, trainer: str) -> Member:
    """The member, known from now on if it was not."""
    found = session.get(Member, (project, number))
    if found is None:
        found = Member(project=project, number=number, trainer=trainer)
        session.add(found)
        session.get_one(Project, project).member_numbers = number
        session.flush()
    return found


def _grown(session: Session, event: MarketEvent) -> None:
    project = session.get_one(Project, event.project)  # type: ignore[attr-defined]
    project.members += 1
    project.last_join_block = event.at.block_number
