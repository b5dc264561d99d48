"""Events of settlement, pay, claims and standing. Mirrors `contracts/src/rounds/Settlement.sol`, `payouts/Payouts.sol`
and `standing/StandingBook.sol`."""

from __future__ import annotations

from cohort_protocol.chain.events import (
    Claimed,
    RoundDefaulted,
    RoundSettled,
    RoundVoided,
    RowPaid,
    StandingChanged,
)
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.chain.apply.rounds import note_transaction
from cohort_backend.projects.models import Project, ProjectModel
from cohort_backend.rewards.models import Claim
from cohort_backend.rounds.models import Round, Row
from cohort_backend.trainers.models import Member, Trainer


def row_paid(session: Session, event: RowPaid) -> None:
    row = session.get_one(Row, (event.project, event.round, event.row))
    row.score, row.reason, row.pay = event.score, event.reason, event.pay
    session.get_one(Member, (event.project, event.trainer)).earned += event.pay


def round_settled(session: Session, event: RoundSettled) -> None:
    round = session.get_one(Round, (event.project, event.round))
    round.next_model, round.next_model_cid = event.model, str(Cid.from_bytes(event.model_cid))
    round.bundle_cid, round.settler = str(Cid.from_bytes(event.bundle_cid)), event.settler
    session.add(
        ProjectModel(
            project=event.project, round=event.round, commitment=event.model, cid=str(Cid.from_bytes(event.model_cid))
        )
    )
    note_transaction(session, event, "settle")
    _close(session, round, Phase.FINAL, event.payout_root, paid=event.paid, fee=event.fee, burned=event.burned)


def round_voided(session: Session, event: RoundVoided) -> None:
    round = session.get_one(Round, (event.project, event.round))
    note_transaction(session, event, "void")
    _close(session, round, Phase.VOID, event.payout_root, paid=event.paid, fee=0, burned=0)


def round_defaulted(session: Session, event: RoundDefaulted) -> None:
    round = session.get_one(Round, (event.project, event.round))
    unearned_fee = session.get_one(Project, event.project).aggregator_fee
    note_transaction(session, event, "default")
    _close(session, round, Phase.DEFAULTED, event.payout_root, paid=event.paid, fee=0, burned=unearned_fee)


def claimed(session: Session, event: Claimed) -> None:
    session.get_one(Row, (event.project, event.round, event.row)).claimed = True
    session.get_one(Member, (event.project, event.trainer)).claimed += event.amount
    project = session.get_one(Project, event.project)
    project.claimable -= event.amount
    project.claimed += event.amount
    session.add(
        Claim(
            project=event.project,
            round=event.round,
            row=event.row,
            trainer=event.trainer,
            amount=event.amount,
            transaction_hash=event.at.transaction_hash,
            block_number=event.at.block_number,
        )
    )


def standing_changed(session: Session, event: StandingChanged) -> None:
    trainer = session.get(Trainer, event.trainer)
    if trainer is None:
        trainer = Trainer(address=event.trainer, rounds=0, rejections=0)
        session.add(trainer)
    trainer.reliability_bps, trainer.usefulness_bps = event.reliability, event.usefulness
    trainer.rounds += 1
    session.flush()
    reason = session.scalars(
        select(Row.reason).where(Row.project == event.project, Row.round == event.round, Row.trainer == event.trainer)
    ).one()
    if reason:  # its RowPaid came just before
        trainer.rejections += 1


def _close(
    session: Session, round: Round, outcome: Phase, payout_root: bytes, *, paid: int, fee: int, burned: int
) -> None:
    """held = paid + fee + burned + back to free, exactly."""
    round.outcome, round.payout_root = outcome, payout_root if any(payout_root) else None
    round.paid, round.fee, round.burned = paid, fee, burned
    project = session.get_one(Project, round.project)
    project.held -= round.budget
    project.free += round.budget - paid - fee - burned
    project.claimable += paid
    project.fees += fee
    project.burned += burned
