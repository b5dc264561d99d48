"""Outcomes of rounds on their way to the chain: the aggregator's proposal and what witnesses say to it. Work state."""

from __future__ import annotations

from typing import Any

from cohort_protocol.commitments import ZERO32
from sqlalchemy import JSON, BigInteger, Float, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base


class Proposal(Base):
    """The outcome of a round as our worker computed it. One per round; a new one (after a reorg) replaces it and its
    signatures no longer count, since they name the bundle."""

    __tablename__ = "settlement_proposals"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    admitted_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """`commitments.admitted_hash` of the admissions that it speaks of."""
    validation: Mapped[bytes] = mapped_column(LargeBinary(32), default=ZERO32)
    """Digest of the round's validation batch; zeros: none."""
    public_rows: Mapped[bytes] = mapped_column(LargeBinary(32), default=ZERO32)
    """Commitment of the round's public rows; zeros: none."""
    policy_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """keccak256 of the canonical policy."""
    outcomes: Mapped[list[Any]] = mapped_column(JSON)
    """[score as decimal text, reason] per row, in row order."""
    previous_model: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Commitment of the model that the round started from."""
    next_model: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Commitment of the model that it leaves."""
    next_model_cid: Mapped[str] = mapped_column(String(64))
    """CIDv1 of that model."""
    bundle_cid: Mapped[str] = mapped_column(String(64))
    """CIDv1 of the bundle."""
    created_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""

    def outcome_pairs(self) -> list[tuple[int, int]]:
        """(score, reason) per row."""
        return [(int(score), int(reason)) for score, reason in self.outcomes]


class ProposalSignature(Base):
    """A witness agrees. Signature checked before it is stored."""

    __tablename__ = "settlement_signatures"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    bundle_cid: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Bundle of the proposal that was signed."""
    witness: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who signed, EIP-55."""
    signature: Mapped[bytes] = mapped_column(LargeBinary(65))
    """EIP-712 `Settlement`."""
    received_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""


class ProposalRefusal(Base):
    """A witness recomputed something else, and says so over its signature."""

    __tablename__ = "settlement_refusals"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    bundle_cid: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Bundle of the proposal that was refused."""
    witness: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who refused, EIP-55."""
    detail: Mapped[str] = mapped_column(String(500))
    """In words."""
    signature: Mapped[bytes] = mapped_column(LargeBinary(65))
    """EIP-191 over the canonical JSON of the refusal."""
    received_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""
