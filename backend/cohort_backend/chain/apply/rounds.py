"""Events of rounds up to the last opening. Mirrors `contracts/src/rounds/`."""

from __future__ import annotations

from typing import Protocol

from cohort_protocol.chain.events import (
    CommitsPosted,
    CommittedSelf,
    DeadlinesMoved,
    LeafSkipped,
    LogPosition,
    PublicRowsPosted,
    RevealSkipped,
    RoundOpened,
    StakeSlashed,
    UpdateRefused,
    UpdateRescued,
    UpdatesAdmitted,
    ValidationRevealed,
)
from cohort_protocol.chain.types import deadlines
from cohort_protocol.ipfs.cid import Cid
from sqlalchemy import delete
from sqlalchemy.orm import Session

from cohort_backend.chain.apply.members import take_stake
from cohort_backend.chain.repository import require_cursor
from cohort_backend.projects.models import Project
from cohort_backend.rounds.models import Commit, Resolution, Round, RoundTransaction, Row
from cohort_backend.trainers.models import Member

NO_LEAF = 255
"""`CommittedSelf.replaced_leaf` of a trainer who had no leaf that counted."""


def round_opened(session: Session, event: RoundOpened) -> None:
    project = session.get_one(Project, event.project)
    project.round = event.round
    project.acceptor = None
    project.free -= event.budget
    project.held += event.budget
    session.add(
        Round(
            project=event.project,
            number=event.round,
            opened_at=event.opened_at,
            **_deadlines(session, project, event.commit_end, event.reveal_end),
            budget=event.budget,
            acceptor=event.aggregator,
            expected=event.expected,
            model=event.model,
        )
    )
    session.flush()
    # A void round without rows is closed by the call that opens the next one: its gas belongs there, once.
    session.execute(
        delete(RoundTransaction).where(
            RoundTransaction.project == event.project,
            RoundTransaction.round == event.round - 1,
            RoundTransaction.transaction_hash == event.at.transaction_hash,
        )
    )
    note_transaction(session, event, "open")


def leaf_skipped(session: Session, event: LeafSkipped) -> None:
    """The leaf itself comes with the CommitsPosted that follows."""
    _commit(session, event.project, event.round, event.member).leaf_skip = event.reason


def commits_posted(session: Session, event: CommitsPosted) -> None:
    round = session.get_one(Round, (event.project, event.round))
    round.batch_posted, round.batch_hash, round.batch_bits = True, event.batch.hash, event.batch_bits
    for position, leaf in enumerate(event.leaves):
        commit = _commit(session, event.project, event.round, leaf.member)
        commit.leaf, commit.batch_commitment = position, leaf.commitment
        commit.leaf_counts = bool(event.batch_bits >> position & 1)
    round.batch_count = event.batch_bits.bit_count()
    round.unresolved += round.batch_count
    note_transaction(session, event, "commit")


def committed_self(session: Session, event: CommittedSelf) -> None:
    round = session.get_one(Round, (event.project, event.round))
    commit = _commit(session, event.project, event.round, event.member)
    commit.self_commitment = event.commitment
    round.self_count += 1
    if event.replaced_leaf == NO_LEAF:
        round.unresolved += 1
    else:  # it takes the slot of its leaf
        commit.leaf_counts = False
        round.batch_bits ^= 1 << event.replaced_leaf
        round.batch_count -= 1
    note_transaction(session, event, "commit-self")


def deadlines_moved(session: Session, event: DeadlinesMoved) -> None:
    round = session.get_one(Round, (event.project, event.round))
    project = session.get_one(Project, event.project)
    for name, time in _deadlines(session, project, event.commit_end, event.reveal_end).items():
        setattr(round, name, time)
    note_transaction(session, event, "advance")


def updates_admitted(session: Session, event: UpdatesAdmitted) -> None:
    for row in event.rows:
        session.add(
            Row(
                project=event.project,
                round=event.round,
                row=row.row,
                first_row=event.first_row,
                member=row.member,
                trainer=session.get_one(Member, (event.project, row.member)).trainer,
                update=row.update,
                cid=str(Cid.from_bytes(row.cid)),
            )
        )
        _resolve(session, event, row.member, Resolution.ADMITTED)
    session.get_one(Round, (event.project, event.round)).admitted += len(event.rows)
    note_transaction(session, event, "reveal")


def update_refused(session: Session, event: UpdateRefused) -> None:
    session.get_one(Round, (event.project, event.round)).refused += 1
    _resolve(session, event, event.member, Resolution.REFUSED)
    note_transaction(session, event, "reveal")


def reveal_skipped(session: Session, event: RevealSkipped) -> None:
    commit = session.get(Commit, (event.project, event.round, event.member))
    if commit is not None:  # anybody may name a member who never committed
        commit.skip_reason = event.reason
    note_transaction(session, event, "reveal")


def update_rescued(session: Session, event: UpdateRescued) -> None:
    _resolve(session, event, event.member, Resolution.RESCUED)
    note_transaction(session, event, "rescue").step = "rescue"  # a skipped item before it looks like a reveal


def stake_slashed(session: Session, event: StakeSlashed) -> None:
    _resolve(session, event, event.member, Resolution.SLASHED)
    take_stake(session, event)
    note_transaction(session, event, "slash")


def validation_revealed(session: Session, event: ValidationRevealed) -> None:
    session.get_one(Round, (event.project, event.round)).validation = event.digest
    note_transaction(session, event, "validation")


def public_rows_posted(session: Session, event: PublicRowsPosted) -> None:
    session.get_one(Round, (event.project, event.round)).public_rows = event.rows
    note_transaction(session, event, "public-rows")


class OfRound(Protocol):
    """An event that speaks of a round."""

    project: int
    round: int
    at: LogPosition


def note_transaction(session: Session, event: OfRound, step: str) -> RoundTransaction:
    """Remembers which transaction moved the round, by the first of its events."""
    found = session.get(RoundTransaction, (event.project, event.round, event.at.transaction_hash))
    if found is None:
        found = RoundTransaction(
            project=event.project,
            round=event.round,
            transaction_hash=event.at.transaction_hash,
            step=step,
            block_number=event.at.block_number,
            log_index=event.at.log_index,
        )
        session.add(found)
    return found


def _deadlines(session: Session, project: Project, commit_end: int, reveal_end: int) -> dict[str, int]:
    slash_window = require_cursor(session).slash_window
    return deadlines(project.windows, slash_window, commit_end, reveal_end)._asdict()


def _resolve(session: Session, event: OfRound, member: int, resolution: Resolution) -> None:
    commit = session.get_one(Commit, (event.project, event.round, member))
    commit.resolution = resolution
    round = session.get_one(Round, (event.project, event.round))
    round.unresolved -= 1
    if commit.leaf_counts and commit.leaf is not None:
        round.resolved_bits |= 1 << commit.leaf


def _commit(session: Session, project: int, round: int, number: int) -> Commit:
    found = session.get(Commit, (project, round, number))
    if found is None:
        member = session.get(Member, (project, number))
        found = Commit(project=project, round=round, member=number, trainer=member.trainer if member else None)
        session.add(found)
        session.flush()
    return found
