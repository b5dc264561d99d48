"""Events of projects and members. Mirrors `contracts/src/projects/Projects.sol` and `staking/Members.sol`."""

from __future__ import annotations

from cohort_protocol.chain.events import (
    MemberJoined,
    MemberLeft,
    ProjectCreated,
    ProjectEnded,
    ProjectFunded,
    ProjectRefunded,
    StakeWithdrawn,
)
from sqlalchemy.orm import Session

from cohort_backend.projects.models import Project, ProjectModel
from cohort_backend.trainers.models import Member


def project_created(session: Session, event: ProjectCreated) -> None:
    terms = event.terms
    session.add(
        Project(
            id=event.project,
            owner=event.owner,
            created_block=event.at.block_number,
            created_tx=event.at.transaction_hash,
            token=terms.token,
            verifier=terms.verifier,
            spec_digest=terms.spec_digest,
            policy_hash=terms.policy_hash,
            initial_model=terms.initial_model,
            round_budget=terms.round_budget,
            aggregator_fee=terms.aggregator_fee,
            stake=terms.stake,
            score_floor=terms.score_floor,
            rounds=terms.rounds,
            dimension=terms.dimension,
            slots=terms.slots,
            min_trainers=terms.min_trainers,
            quorum=terms.quorum,
            share_cap=terms.share_cap,
            commit_seconds=terms.windows.commit,
            guard_seconds=terms.windows.guard,
            reveal_seconds=terms.windows.reveal,
            settle_seconds=terms.windows.settle,
            witnesses=list(terms.witnesses),
            aggregators=list(terms.aggregators),
        )
    )
    session.flush()
    session.add(ProjectModel(project=event.project, round=0, commitment=terms.initial_model, cid=None))


def project_funded(session: Session, event: ProjectFunded) -> None:
    project = session.get_one(Project, event.project)
    project.deposited += event.amount
    project.free += event.amount


def project_ended(session: Session, event: ProjectEnded) -> None:
    session.get_one(Project, event.project).ended = True


def project_refunded(session: Session, event: ProjectRefunded) -> None:
    project = session.get_one(Project, event.project)
    project.free -= event.amount
    project.refunded += event.amount


def member_joined(session: Session, event: MemberJoined) -> None:
    member = session.get(Member, (event.project, event.trainer))
    if member is None:
        member = Member(project=event.project, trainer=event.trainer, stake=0, joined_round=0)
        session.add(member)
    member.stake, member.joined_round = event.stake, event.joined_round
    project = session.get_one(Project, event.project)
    project.members += 1
    project.last_join_block = event.at.block_number


def member_left(session: Session, event: MemberLeft) -> None:
    member = session.get_one(Member, (event.project, event.trainer))
    member.left, member.left_round = True, event.left_round
    session.get_one(Project, event.project).members -= 1


def stake_withdrawn(session: Session, event: StakeWithdrawn) -> None:
    member = session.get_one(Member, (event.project, event.trainer))
    member.stake, member.left = 0, False
