"""Commitments, reveals, receipts and refusals as handed in."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from cohort_protocol.chain.types import RevealState
from cohort_protocol.commitments import reveals_hash
from cohort_protocol.ipfs.cid import Cid
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cohort_backend.database import insert_new
from cohort_backend.rounds.models import Commit
from cohort_backend.rounds.repository import address_order
from cohort_backend.updates.models import (
    CommitIntent,
    RecordedSet,
    RevealIntent,
    RoundIntake,
    UpdateRefusal,
    WitnessReceipt,
)


def commit_intent(session: Session, project: int, round: int, trainer: str) -> CommitIntent | None:
    """A trainer's signed commitment."""
    return session.get(CommitIntent, (project, round, trainer))


def commit_intents(session: Session, project: int, round: int) -> list[CommitIntent]:
    """Signed commitments, by increasing trainer."""
    found = session.scalars(select(CommitIntent).where(CommitIntent.project == project, CommitIntent.round == round))
    return sorted(found, key=lambda intent: address_order(intent.trainer))


def lock_intake(session: Session, project: int, round: int) -> RoundIntake:
    """The gate of the round's intake, locked to the end of the transaction: one message at a time per round."""
    insert_new(session, RoundIntake, project=project, round=round, batch_closed_at=None)
    query = select(RoundIntake).where(RoundIntake.project == project, RoundIntake.round == round)
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


def close_batch(session: Session, project: int, round: int) -> list[CommitIntent]:
    """Takes the commitments for the batch and accepts no more, so that the batch is the same if it has to be built
    again after a crash. By increasing trainer."""
    gate = lock_intake(session, project, round)
    if gate.batch_closed_at is None:
        gate.batch_closed_at = time.time()
    session.flush()
    return commit_intents(session, project, round)


def reopen_batch(session: Session, project: int, round: int) -> None:
    """Accepts commitments again: the batch as it was will never be posted."""
    lock_intake(session, project, round).batch_closed_at = None
    session.flush()


def reveal_intent(session: Session, project: int, round: int, trainer: str) -> RevealIntent | None:
    """A trainer's opening."""
    return session.get(RevealIntent, (project, round, trainer))


def reveal_intents(session: Session, project: int, round: int) -> list[RevealIntent]:
    """Openings, by increasing trainer."""
    found = session.scalars(select(RevealIntent).where(RevealIntent.project == project, RevealIntent.round == round))
    return sorted(found, key=lambda intent: address_order(intent.trainer))


def current_set(session: Session, project: int, round: int) -> list[RevealIntent]:
    """Reveals that are recorded, committed to on chain, and neither admitted nor refused there; by increasing trainer:
    what witnesses are asked about."""
    undecided = select(Commit.trainer).where(
        Commit.project == project, Commit.round == round, Commit.reveal_state == RevealState.NONE
    )
    open_trainers = set(session.scalars(undecided))
    return [intent for intent in reveal_intents(session, project, round) if intent.trainer in open_trainers]


def set_hash(reveals: Sequence[RevealIntent]) -> bytes:
    """What a receipt on these reveals, in this order, signs."""
    return reveals_hash([(reveal.trainer, reveal.update, bytes(Cid.parse(reveal.cid))) for reveal in reveals])


def recorded_set(session: Session, project: int, round: int, digest: bytes) -> RecordedSet | None:
    """The set with this hash, if a receipt speaks of it."""
    return session.get(RecordedSet, (project, round, digest))


def recorded_sets(session: Session, project: int, round: int) -> list[RecordedSet]:
    """Every set that receipts speak of. A late reveal changes the current set but none of these."""
    query = select(RecordedSet).where(RecordedSet.project == project, RecordedSet.round == round)
    return list(session.scalars(query.order_by(RecordedSet.reveals_hash)))


def record_set(session: Session, project: int, round: int, digest: bytes, trainers: Sequence[str]) -> None:
    """Keeps a set for the receipts that speak of it."""
    insert_new(session, RecordedSet, project=project, round=round, reveals_hash=digest, trainers=list(trainers))


def receipt(session: Session, project: int, round: int, digest: bytes, witness: str) -> WitnessReceipt | None:
    """A witness's word on a set."""
    return session.get(WitnessReceipt, (project, round, digest, witness))


def receipts(session: Session, project: int, round: int, reveals_hash: bytes) -> list[WitnessReceipt]:
    """What witnesses say to one set, by address."""
    query = select(WitnessReceipt).where(
        WitnessReceipt.project == project,
        WitnessReceipt.round == round,
        WitnessReceipt.reveals_hash == reveals_hash,
    )
    return list(session.scalars(query.order_by(WitnessReceipt.witness)))


def refusals(session: Session, project: int, round: int) -> list[UpdateRefusal]:
    """Why witnesses do not endorse updates, by trainer and witness."""
    query = select(UpdateRefusal).where(UpdateRefusal.project == project, UpdateRefusal.round == round)
    return list(session.scalars(query.order_by(UpdateRefusal.trainer, UpdateRefusal.witness)))


def drop_refusals(session: Session, project: int, round: int, witness: str, trainers: Collection[str]) -> None:
    """Forgets what a witness held against updates."""
    session.execute(
        delete(UpdateRefusal).where(
            UpdateRefusal.project == project,
            UpdateRefusal.round == round,
            UpdateRefusal.witness == witness,
            UpdateRefusal.trainer.in_(list(trainers)),
        )
    )
