"""Rounds, commitments and rows as projected from the chain."""

from __future__ import annotations

from cohort_protocol.chain.packed import AdmittedRow, Batch, CommitLeaf, by_admission
from cohort_protocol.ipfs.cid import Cid
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.chain.models import ChainReceipt
from cohort_backend.projects.models import Project
from cohort_backend.rounds.models import Commit, Resolution, Round, RoundTransaction, Row


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


def commit(session: Session, project: int, number: int, member: int) -> Commit | None:
    """What a member committed to on chain. Look at `counts`: a skipped leaf is here too."""
    return session.get(Commit, (project, number, member))


def commits(session: Session, project: int, number: int) -> list[Commit]:
    """What was committed to on chain, skipped leaves included, by increasing member."""
    query = select(Commit).where(Commit.project == project, Commit.round == number)
    return list(session.scalars(query.order_by(Commit.member)))


def batch(session: Session, project: int, number: int) -> Batch:
    """The batch as it was posted, skipped leaves included: what later calls have to repeat. Empty if none was."""
    posted = [commit for commit in commits(session, project, number) if commit.leaf is not None]
    posted.sort(key=lambda commit: commit.leaf)
    leaves = tuple(CommitLeaf(commit.member, commit.batch_commitment) for commit in posted)
    return Batch(leaves, sum(1 << position for position, commit in enumerate(posted) if commit.leaf_counts))


def unresolved(session: Session, project: int, number: int) -> list[Commit]:
    """Commitments that were opened in no way yet, by increasing member."""
    found = commits(session, project, number)
    return [commit for commit in found if commit.counts and commit.resolution == Resolution.NONE]


def with_unresolved(session: Session, project: int, now: int) -> list[Round]:
    """Rounds whose unresolved commitments can be rescued (before `rescue_end`) or slashed (from then on), by number."""
    query = select(Round).where(
        Round.project == project, Round.unresolved > 0, Round.reveal_end <= now, Round.slash_end > now
    )
    min_trainers = select(Project.min_trainers).where(Project.id == project).scalar_subquery()
    had_reveals = Round.batch_count + Round.self_count >= min_trainers
    return list(session.scalars(query.where(had_reveals).order_by(Round.number)))


def rows(session: Session, project: int, number: int) -> list[Row]:
    """Admitted updates in order of admission."""
    query = select(Row).where(Row.project == project, Row.round == number).order_by(Row.row)
    return list(session.scalars(query))


def admissions(session: Session, project: int, number: int) -> list[list[AdmittedRow]]:
    """The rows that each call of `reveal` admitted, in order: what `settle` and `closeRound` repeat."""
    return [
        [AdmittedRow(row.row, row.member, row.update, bytes(Cid.parse(row.cid))) for row in admitted]
        for admitted in by_admission(rows(session, project, number))
    ]


def facts_before(session: Session, project: int, number: int) -> list[tuple[int, bytes | None, bytes | None]]:
    """(round, digest of its validation batch, commitment of its public rows) of earlier rounds, by number."""
    query = select(Round.number, Round.validation, Round.public_rows)
    query = query.where(Round.project == project, Round.number < number).order_by(Round.number)
    return [(one, validation, rows) for one, validation, rows in session.execute(query)]


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
