"""What trainers and witnesses handed in and is not (yet) on chain. Work state: survives a rebuild of the projection.

No foreign keys into the projection, for that reason. Times of receipt are unix seconds.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Float, ForeignKeyConstraint, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base


class CommitIntent(Base):
    """A trainer's signed commitment, for the one batch of the round. Signature checked before it is stored."""

    __tablename__ = "commit_intents"
    __table_args__ = (UniqueConstraint("project", "round", "commitment"),)

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    trainer: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who commits, EIP-55."""
    member: Mapped[int] = mapped_column(BigInteger)
    """Its number in the project."""
    signer: Mapped[str] = mapped_column(String(42))
    """The trainer, or the delegate that it had when this came in."""
    commitment: Mapped[bytes] = mapped_column(LargeBinary(32))
    """`cohort_protocol.commitments.commitment`."""
    signature: Mapped[bytes] = mapped_column(LargeBinary(65))
    """EIP-712 `Commit`."""
    received_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""


class RoundIntake(Base):
    """The gate of a round's intake: locked by whoever hands something in and by whoever takes the batch of commitments,
    so that no trainer is told "recorded" after the batch was made, and the same message sent twice at once is recorded
    once."""

    __tablename__ = "round_intake"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    batch_closed_at: Mapped[float | None] = mapped_column(Float(53))
    """When the worker took the commitments for the batch, unix seconds; None while they are still accepted."""


class RevealIntent(Base):
    """A trainer's opening of its commitment, checked against the chain's commitment before it is stored. The commitment
    has one opening, so nothing but a reorg can bring another."""

    __tablename__ = "reveal_intents"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    trainer: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Whose update, EIP-55."""
    member: Mapped[int] = mapped_column(BigInteger)
    """Its number in the project."""
    update: Mapped[bytes] = mapped_column("update_commitment", LargeBinary(32))
    """keccak256 of the canonical bytes of the update."""
    salt: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Salt of the commitment."""
    cid: Mapped[str] = mapped_column(String(64))
    """CIDv1 where the update can be fetched."""
    received_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""


class RecordedSet(Base):
    """A set of reveals that at least one receipt speaks of. Kept when a later reveal makes the current set larger, so
    that a late reveal cannot void the receipts of the others."""

    __tablename__ = "reveal_sets"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    openings_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """`cohort_protocol.commitments.openings_hash` of the set in order."""
    members: Mapped[list[int]] = mapped_column(JSON)
    """Member numbers in the order of the set (increasing): bit i of a receipt speaks of members[i]."""
    trainers: Mapped[list[str]] = mapped_column(JSON)
    """Their addresses, in the same order."""


class WitnessReceipt(Base):
    """A witness's newest word on a set of reveals. Signature checked before it is stored."""

    __tablename__ = "receipts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["project", "round", "openings_hash"],
            ["reveal_sets.project", "reveal_sets.round", "reveal_sets.openings_hash"],
        ),
    )

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    openings_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """Set that it speaks of."""
    witness: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who signed, EIP-55."""
    endorsed: Mapped[int] = mapped_column(BigInteger)
    """Bitmap: fetched, decodes, opens the commitment."""
    refused: Mapped[int] = mapped_column(BigInteger)
    """Bitmap: fetched, and wrong."""
    signature: Mapped[bytes] = mapped_column(LargeBinary(65))
    """EIP-712 `Receipt`."""
    received_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""


class UpdateRefusal(Base):
    """Why a witness does not endorse an update, in its words. Deleted when the witness endorses it after all."""

    __tablename__ = "update_refusals"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    trainer: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Whose update."""
    witness: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who says so."""
    code: Mapped[str] = mapped_column(String(40))
    """Such as update-malformed, update-too-large, commitment-mismatch, not-fetchable."""
    detail: Mapped[str] = mapped_column(String(500))
    """In words."""
