"""Rounds, commitments and rows as projected from the chain."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.chain.models import ChainReceipt
from cohort_backend.rounds.models import Commit, Round, RoundTransaction, Row


def get(session: Session, project: int, number: int, *, lock: bool = False) -> Round | None:
    """One round; `lock` keeps it from changing until the end of the transaction."""
    query = select(Round).where(Round.project == project, Round.number == number)
    return session.scalars(query.with_for_update() if lock else query).one_or_none()


def newest(session: Session, project: int, *, lock: bool = False) -> Round | None:
    """The newest round of a project, if any."""
    query = select(Round).where(Round.project == project).order_by(Round.number.desc()).limit(1)
    return session.scalars(query.with_for_update() if lock else query).one_or_none()


def page(session: Session, project: int, after: int, limit: int) -> list[Round]:
    """Rounds above `after`, by number."""
    query = select(Round).where(Round.project == project, Round.number > after)
    return list(session.scalars(query.order_by(Round.number).limit(limit)))


def commit(session: Session, project: int, number: int, trainer: str) -> Commit | None:
    """A trainer's commitment on chain."""
    return session.get(Commit, (project, number, trainer))


def commits(session: Session, project: int, number: int) -> list[Commit]:
    """Commitments on chain, by increasing trainer."""
    found = session.scalars(select(Commit).where(Commit.project == project, Commit.round == number))
    return sorted(found, key=lambda commit: address_order(commit.trainer))


def batch_leaves(session: Session, project: int, number: int) -> list[tuple[str, bytes]]:
    """(trainer, commitment) of the batch as it was posted: what a reveal transaction has to repeat. Empty if none."""
    found = commits(session, project, number)
    return [(commit.trainer, commit.batch_commitment) for commit in found if commit.batch_commitment is not None]


def rows(session: Session, project: int, number: int) -> list[Row]:
    """Admitted updates in order of admission."""
    query = select(Row).where(Row.project == project, Row.round == number).order_by(Row.row)
    return list(session.scalars(query))


def gas(session: Session, project: int, number: int) -> list[tuple[str, bytes, int]]:
    """(step, transaction, gas) of the round's transactions in order, as far as their receipts are recorded."""
    query = (
        select(RoundTransaction.step, RoundTransaction.transaction_hash, ChainReceipt.gas_used)
        .join(ChainReceipt, ChainReceipt.transaction_hash == RoundTransaction.transaction_hash)
        .where(RoundTransaction.project == project, RoundTransaction.round == number)
        .order_by(RoundTransaction.block_number, RoundTransaction.log_index)
    )
    return [(step, transaction, used) for step, transaction, used in session.execute(query)]


def address_order(address: str) -> bytes:
    """Sort key of addresses as the contract orders them: by value, not by the letters of their checksum."""
    return bytes.fromhex(address[2:])
