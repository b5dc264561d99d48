"""Events of rounds up to the last reveal. Mirrors `contracts/src/rounds/`."""

from __future__ import annotations

from cohort_protocol.chain.events import (
    CommitsPosted,
    CommittedSelf,
    DeadlinesMoved,
    RevealRefused,
    RevealSkipped,
    RoundOpened,
    UpdateAdmitted,
)
from cohort_protocol.chain.types import RevealState
from cohort_protocol.ipfs.cid import Cid
from sqlalchemy import delete
from sqlalchemy.orm import Session

from cohort_backend.projects.models import Project
from cohort_backend.rounds.models import Commit, Round, RoundTransaction, Row


def round_opened(session: Session, event: RoundOpened) -> None:
    project = session.get_one(Project, event.project)
    project.round = event.round
    project.free -= event.budget
    project.held += event.budget
    session.add(
        Round(
            project=event.project,
            number=event.round,
            opened_at=event.commit_end - project.commit_seconds,
            commit_end=event.commit_end,
            reveal_start=event.reveal_start,
            reveal_end=event.reveal_end,
            settle_end=event.settle_end,
            budget=event.budget,
            eligible=event.eligible,
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


def commits_posted(session: Session, event: CommitsPosted) -> None:
    round = session.get_one(Round, (event.project, event.round))
    round.batch_posted = True
    for leaf in event.leaves:
        commit = _commit(session, event.project, event.round, leaf.trainer)
        commit.batch_commitment = leaf.commitment
        if commit.self_commitment is None:  # a leaf of somebody who posted it himself is passed over
            round.committed += 1
    note_transaction(session, event, "commit")


def committed_self(session: Session, event: CommittedSelf) -> None:
    commit = _commit(session, event.project, event.round, event.trainer)
    if commit.batch_commitment is None:  # else it takes the slot of its leaf
        session.get_one(Round, (event.project, event.round)).committed += 1
    commit.self_commitment = event.commitment
    note_transaction(session, event, "commit-self")


def deadlines_moved(session: Session, event: DeadlinesMoved) -> None:
    round = session.get_one(Round, (event.project, event.round))
    round.commit_end, round.reveal_start = event.commit_end, event.reveal_start
    round.reveal_end, round.settle_end = event.reveal_end, event.settle_end
    note_transaction(session, event, "advance")


def update_admitted(session: Session, event: UpdateAdmitted) -> None:
    session.add(
        Row(
            project=event.project,
            round=event.round,
            row=event.row,
            trainer=event.trainer,
            update=event.update,
            cid=str(Cid.from_bytes(event.cid)),
        )
    )
    session.get_one(Round, (event.project, event.round)).admitted += 1
    _commit(session, event.project, event.round, event.trainer).reveal_state = RevealState.ADMITTED
    note_transaction(session, event, "reveal")


def reveal_refused(session: Session, event: RevealRefused) -> None:
    session.get_one(Round, (event.project, event.round)).refused += 1
    _commit(session, event.project, event.round, event.trainer).reveal_state = RevealState.REFUSED
    note_transaction(session, event, "reveal")


def reveal_skipped(session: Session, event: RevealSkipped) -> None:
    commit = session.get(Commit, (event.project, event.round, event.trainer))
    if commit is not None:  # anybody may name an address that never committed
        commit.skip_reason = event.reason
    note_transaction(session, event, "reveal")


def note_transaction(
    session: Session,
    event: RoundOpened
    | CommitsPosted
    | CommittedSelf
    | DeadlinesMoved
    | UpdateAdmitted
    | RevealRefused
    | RevealSkipped,
    step: str,
) -> None:
    """Remembers which transaction moved the round, by the first of its events."""
    key = (event.project, event.round, event.at.transaction_hash)
    if session.get(RoundTransaction, key) is None:
        session.add(
            RoundTransaction(
                project=event.project,
                round=event.round,
                transaction_hash=event.at.transaction_hash,
                step=step,
                block_number=event.at.block_number,
                log_index=event.at.log_index,
            )
        )


def _commit(session: Session, project: int, round: int, trainer: str) -> Commit:
    found = session.get(Commit, (project, round, trainer))
    if found is None:
        found = Commit(project=project, round=round, trainer=trainer, reveal_state=0, skip_reason=0)
        session.add(found)
    return found
