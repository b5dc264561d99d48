"""Rounds as on chain: deadlines, commitments, admitted rows, outcome. All projection."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, ForeignKeyConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base, ExactInteger


def _of_round() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project", "round"], ["rounds.project", "rounds.number"])


class Round(Base):
    """Projection of RoundOpened, DeadlinesMoved and the three ways a round ends. Times are unix seconds."""

    __tablename__ = "rounds"
    __table_args__ = (ForeignKeyConstraint(["project"], ["projects.id"]),)

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Counts from 1."""
    opened_at: Mapped[int] = mapped_column(BigInteger)
    """Time of the block that opened it."""
    commit_end: Mapped[int] = mapped_column(BigInteger)
    """tC: commits before this."""
    reveal_start: Mapped[int] = mapped_column(BigInteger)
    """tC + g: reveals from here."""
    reveal_end: Mapped[int] = mapped_column(BigInteger)
    """tR: reveals before this."""
    settle_end: Mapped[int] = mapped_column(BigInteger)
    """tF: settlement before this."""
    budget: Mapped[int] = mapped_column(ExactInteger)
    """R: base units held for this round."""
    eligible: Mapped[int] = mapped_column()
    """Members when it opened."""
    model: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Commitment of the model that it starts from."""
    committed: Mapped[int] = mapped_column(default=0)
    """Commitments that count: one per trainer."""
    batch_posted: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the one batch of commitments is on chain."""
    admitted: Mapped[int] = mapped_column(default=0)
    """n: admitted rows."""
    refused: Mapped[int] = mapped_column(default=0)
    """Revealed, and refused by a quorum of witnesses."""
    outcome: Mapped[int | None] = mapped_column()
    """Phase FINAL (5), VOID (6) or DEFAULTED (7) once the chain has recorded it; None until then."""
    next_model: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Commitment of the model that it left; only if FINAL."""
    next_model_cid: Mapped[str | None] = mapped_column(String(64))
    """CIDv1 of that model."""
    bundle_cid: Mapped[str | None] = mapped_column(String(64))
    """CIDv1 of the round's bundle; only if FINAL."""
    payout_root: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Merkle root of the pay; None until it has ended."""
    settler: Mapped[str | None] = mapped_column(String(42))
    """Aggregator that settled."""
    paid: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units that became claimable."""
    fee: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units for the settler."""
    burned: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units left undistributed for ever."""


class Commit(Base):
    """A trainer's commitments on chain: projection of CommitsPosted, CommittedSelf and of what its reveal came to."""

    __tablename__ = "commits"
    __table_args__ = (_of_round(),)

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    trainer: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who committed, EIP-55."""
    batch_commitment: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Its leaf of the batch, if any. The batch as posted is these leaves by increasing trainer."""
    self_commitment: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """What the trainer posted itself, if anything: it takes the place of the leaf."""
    reveal_state: Mapped[int] = mapped_column(default=0)
    """0 not revealed, 1 admitted, 2 refused by a quorum of witnesses (`chain.types.RevealState`)."""
    skip_reason: Mapped[int] = mapped_column(default=0)
    """Why the newest reveal transaction passed it over (`chain.types.SkipReason`); 0 if none did."""

    @property
    def commitment(self) -> bytes:
        """The commitment that counts."""
        return self.self_commitment or self.batch_commitment or b""


class Row(Base):
    """An admitted update and its pay: projection of UpdateAdmitted, RowPaid and Claimed."""

    __tablename__ = "rows"
    __table_args__ = (_of_round(), Index(None, "trainer", "project"))

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Position in order of admission, from 0."""
    trainer: Mapped[str] = mapped_column(String(42))
    """Whose update it is."""
    update: Mapped[bytes] = mapped_column("update_commitment", LargeBinary(32))
    """keccak256 of the canonical bytes of the update."""
    cid: Mapped[str] = mapped_column(String(64))
    """CIDv1 of the update's safetensors file."""
    score: Mapped[int | None] = mapped_column(ExactInteger)
    """Fixed point, 2^30 = an average contribution; None until paid."""
    reason: Mapped[int | None] = mapped_column()
    """0 accepted, else the policy's reason code; None until paid."""
    pay: Mapped[int | None] = mapped_column(ExactInteger)
    """Base units; None until paid."""
    claimed: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the pay has been taken out."""


class RoundTransaction(Base):
    """Transactions that moved a round: what its gas is counted from."""

    __tablename__ = "round_transactions"
    __table_args__ = (_of_round(),)

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    transaction_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """Transaction."""
    step: Mapped[str] = mapped_column(String(16))
    """open, commit, commit-self, reveal, settle, void, default or advance."""
    block_number: Mapped[int] = mapped_column(BigInteger)
    """Height of its block."""
    log_index: Mapped[int] = mapped_column()
    """Position of its first event in the block: the order within one."""
