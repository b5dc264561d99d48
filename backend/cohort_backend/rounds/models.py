"""Rounds as on chain: deadlines, commitments, admitted rows, outcome. All projection."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import BigInteger, Boolean, ForeignKeyConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base, ExactInteger


def _of_round() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project", "round"], ["rounds.project", "rounds.number"])


class Resolution(IntEnum):
    """What became of a commitment. It is resolved once."""

    NONE = 0
    """Opened in no way yet."""
    ADMITTED = 1
    REFUSED = 2
    """Opened, and refused by a quorum of witnesses: no pay, the stake is safe."""
    RESCUED = 3
    """Opened after tR: no pay, the stake is safe."""
    SLASHED = 4
    """Opened in no way in time."""


class Round(Base):
    """Projection of everything that happens to a round. Times are unix seconds; `cohort_protocol.chain.types.deadlines`
    has how they follow from each other."""

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
    rescue_end: Mapped[int] = mapped_column(BigInteger)
    """tG: commitments can be opened to save their stakes before this, and slashed from here."""
    acceptor_end: Mapped[int] = mapped_column(BigInteger)
    """tS: settlement by the aggregator that accepted the round before this."""
    settle_end: Mapped[int] = mapped_column(BigInteger)
    """tF: settlement by any bonded aggregator before this."""
    slash_end: Mapped[int] = mapped_column(BigInteger)
    """Slashing before this."""
    budget: Mapped[int] = mapped_column(ExactInteger)
    """R: base units held for this round."""
    acceptor: Mapped[str] = mapped_column(String(42))
    """Aggregator that accepted it: sole batcher, first in line to settle."""
    expected: Mapped[int] = mapped_column()
    """Commitments that end the commit phase."""
    model: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Commitment of the model that it starts from."""
    batch_posted: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the one batch of commitments is on chain."""
    batch_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """keccak256 of its leaves."""
    batch_bits: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bit i: leaf i of the batch counts."""
    resolved_bits: Mapped[int] = mapped_column(BigInteger, default=0)
    """Bit i: leaf i was admitted, refused, rescued or slashed."""
    batch_count: Mapped[int] = mapped_column(default=0)
    """Leaves of the batch that count."""
    self_count: Mapped[int] = mapped_column(default=0)
    """Commitments that trainers posted themselves."""
    unresolved: Mapped[int] = mapped_column(default=0)
    """Commitments neither admitted, refused, rescued nor slashed."""
    admitted: Mapped[int] = mapped_column(default=0)
    """n: admitted rows."""
    refused: Mapped[int] = mapped_column(default=0)
    """Revealed, and refused by a quorum of witnesses."""
    validation: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Digest of this round's validation batch; None: not revealed."""
    public_rows: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Commitment of the public rows; None: none posted."""
    outcome: Mapped[int | None] = mapped_column()
    """Phase FINAL (5), VOID (6) or DEFAULTED (7) once the chain has recorded it; None until then."""
    next_model: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Commitment of the model that it left; only if FINAL."""
    next_model_cid: Mapped[str | None] = mapped_column(String(64))
    """CIDv1 of that model."""
    bundle_cid: Mapped[str | None] = mapped_column(String(64))
    """CIDv1 of the round's bundle; only if FINAL."""
    payout_root: Mapped[bytes | None] = mapped_column(LargeBinary(27))
    """First 27 bytes of the Merkle root of the pay; None until it has ended, and without rows."""
    settler: Mapped[str | None] = mapped_column(String(42))
    """Aggregator that settled."""
    paid: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units that became claimable."""
    fee: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units for the settler."""
    protocol_fee: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units for the protocol."""
    bond_to_settler: Mapped[int | None] = mapped_column(ExactInteger)
    """Base units of the acceptor's slashed bond for whoever settled in its place; None: the bond was not slashed."""
    burned: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units of the budget left undistributed for ever."""

    @property
    def committed(self) -> int:
        """Commitments that count: one per trainer."""
        return self.batch_count + self.self_count


class Commit(Base):
    """A member's commitments on chain, whether they count, and what became of them. The rows with a `leaf` are the
    batch as posted."""

    __tablename__ = "commits"
    __table_args__ = (_of_round(),)

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    member: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Number of the trainer in the project."""
    trainer: Mapped[str | None] = mapped_column(String(42))
    """Who committed, EIP-55; None: a leaf with a number that nobody had, which was skipped."""
    leaf: Mapped[int | None] = mapped_column()
    """Position in the batch; None: not in it."""
    batch_commitment: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Its leaf of the batch, if any."""
    leaf_counts: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether that leaf counts: it was not skipped, and its trainer has posted nothing in its place."""
    leaf_skip: Mapped[int] = mapped_column(default=0)
    """Why the leaf was skipped (`chain.types.LeafSkip`); 0 if it was not."""
    self_commitment: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """What the trainer or its delegate posted by transaction, if anything."""
    resolution: Mapped[int] = mapped_column(default=0)
    """What became of it (`Resolution`)."""
    skip_reason: Mapped[int] = mapped_column(default=0)
    """Why the newest opening was passed over (`chain.types.SkipReason`); 0 if none was."""

    @property
    def counts(self) -> bool:
        """Whether the member has a commitment in this round."""
        return self.leaf_counts or self.self_commitment is not None

    @property
    def commitment(self) -> bytes:
        """The commitment that counts; empty if none does."""
        return self.self_commitment or (self.batch_commitment if self.leaf_counts else None) or b""


class Row(Base):
    """An admitted update and its pay: projection of UpdatesAdmitted, of how the round ended and of Claimed."""

    __tablename__ = "rows"
    __table_args__ = (_of_round(), Index(None, "trainer", "project"))

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Position in order of admission, from 0."""
    first_row: Mapped[int] = mapped_column()
    """First row that the same call of `reveal` admitted: the contract chains its rows call by call."""
    member: Mapped[int] = mapped_column(BigInteger)
    """Number of the trainer in the project."""
    trainer: Mapped[str] = mapped_column(String(42))
    """Whose update it is."""
    update: Mapped[bytes] = mapped_column("update_commitment", LargeBinary(32))
    """keccak256 of the canonical bytes of the update."""
    cid: Mapped[str] = mapped_column(String(64))
    """CIDv1 of the update's safetensors file."""
    score: Mapped[int | None] = mapped_column(ExactInteger)
    """Fixed point, 2^30 = an average contribution; None unless the round was settled."""
    reason: Mapped[int | None] = mapped_column()
    """0 accepted, else the policy's reason code; None unless the round was settled."""
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
    """open, commit, commit-self, reveal, rescue, slash, validation, public-rows, settle, void, default, model or
    advance."""
    block_number: Mapped[int] = mapped_column(BigInteger)
    """Height of its block."""
    log_index: Mapped[int] = mapped_column()
    """Position of its first event in the block: the order within one."""
