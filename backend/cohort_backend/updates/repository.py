"""Commitments, reveals, receipts and refusals as handed in."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from cohort_protocol.chain.packed import Opening
from cohort_protocol.commitments import openings_hash
from cohort_protocol.ipfs.cid import Cid
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cohort_backend.database import insert_new
from cohort_backend.rounds import repository as rounds
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
    """Signed commitments, by increasing member."""
    query = select(CommitIntent).where(CommitIntent.project == project, CommitIntent.round == round)
    return list(session.scalars(query.order_by(CommitIntent.member)))


def lock_intake(session: Session, project: int, round: int) -> RoundIntake:
    """The gate of the round's intake, locked to the end of the transaction: one message at a time per round."""
    insert_new(session, RoundIntake, project=project, round=round, batch_closed_at=None)
    query = select(RoundIntake).where(RoundIntake.project == project, RoundIntake.round == round)
    return session.scalars(query.with_for_update().execution_options(populate_existing=True)).one()


def close_batch(session: Session, project: int, round: int) -> list[CommitIntent]:
    """Takes the commitments for the batch and accepts no more, so that the batch is the same if it has to be built
    again after a crash. By increasing member."""
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
    """Openings, by increasing member."""
    query = select(RevealIntent).where(RevealIntent.project == project, RevealIntent.round == round)
    return list(session.scalars(query.order_by(RevealIntent.member)))


def openings_of(session: Session, recorded: RecordedSet) -> list[RevealIntent]:
    """The openings of a recorded set, in its order."""
    known = {intent.member: intent for intent in reveal_intents(session, recorded.project, recorded.round)}
    return [known[member] for member in recorded.members]


def current_set(session: Session, project: int, round: int) -> list[RevealIntent]:
    """Openings that are recorded and of commitments that are unresolved on chain, by increasing member: what witnesses
    are asked about, and after tR what can be rescued."""
    unresolved = {commit.member for commit in rounds.unresolved(session, project, round)}
    return [intent for intent in reveal_intents(session, project, round) if intent.member in unresolved]


def opening(intent: RevealIntent) -> Opening:
    """As the contract takes it."""
    return Opening(intent.member, intent.update, bytes(Cid.parse(intent.cid)), intent.salt)


def set_hash(reveals: Sequence[RevealIntent]) -> bytes:
    """What a receipt on these reveals, in this order, signs."""
    return openings_hash([opening(reveal) for reveal in reveals])


def recorded_set(session: Session, project: int, round: int, digest: bytes) -> RecordedSet | None:
    """The set with this hash, if a receipt speaks of it."""
    found = session.get(RecordedSet, (project, round, digest))
    return found if found is not None and _stands(session, found) else None


def recorded_sets(session: Session, project: int, round: int) -> list[RecordedSet]:
    """Every set that receipts speak of. A late reveal changes the current set but none of these."""
    query = select(RecordedSet).where(RecordedSet.project == project, RecordedSet.round == round)
    return [found for found in session.scalars(query.order_by(RecordedSet.openings_hash)) if _stands(session, found)]


def _stands(session: Session, recorded: RecordedSet) -> bool:
    """Whether its openings are still those that the receipts speak of: after a reorg in which a commitment became
    another one, they are not."""
    return set_hash(openings_of(session, recorded)) == recorded.openings_hash


def record_set(session: Session, project: int, round: int, digest: bytes, reveals: Sequence[RevealIntent]) -> None:
    """Keeps a set for the receipts that speak of it."""
    insert_new(
        session,
        RecordedSet,
        project=project,
        round=round,
        openings_hash=digest,
        members=[reveal.member for reveal in reveals],
        trainers=[reveal.trainer for reveal in reveals],
    )


def receipt(session: Session, project: int, round: int, digest: bytes, witness: str) -> WitnessReceipt | None:
    """A witness's word on a set."""
    return session.get(WitnessReceipt, (project, round, digest, witness))


def receipts(session: Session, project: int, round: int, openings_hash: bytes) -> list[WitnessReceipt]:
    """What witnesses say to one set, by address."""
    query = select(WitnessReceipt).where(
        WitnessReceipt.project == project,
        WitnessReceipt.round == round,
        WitnessReceipt.openings_hash == openings_hash,
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
