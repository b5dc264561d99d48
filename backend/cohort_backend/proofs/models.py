"""Proofs of rounds on their way to the chain, and witnesses' receipts for models that settlements left. Work state."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base

QUEUED, PROVING, READY, UNPROVABLE = "queued", "proving", "ready", "failed"


class RoundProof(Base):
    """The proof of a round's proposed outcome, and how far it is. One per round; that of another outcome (a reorg)
    takes its place. Proving again gives the same bytes, so nothing of it is lost for ever."""

    __tablename__ = "round_proofs"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    bundle_cid: Mapped[str] = mapped_column(String(64))
    """Bundle of the outcome that it proves."""
    state: Mapped[str] = mapped_column(String(16))
    """queued, proving, ready or failed."""
    part: Mapped[int] = mapped_column(Integer, default=0)
    """Part that is under way, from 1; 0 before the first."""
    parts: Mapped[int] = mapped_column(Integer, default=0)
    """So many there are."""
    step: Mapped[str] = mapped_column(String(200), default="")
    """That part in words."""
    prover: Mapped[str] = mapped_column(String(100), default="")
    """What proves: `python`, or the name of a compiled prover."""
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    """The proof; None until it is ready."""
    evidence_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Of everything that the contract's verifier reads, without receipts."""
    seconds: Mapped[float | None] = mapped_column(Float(53))
    """That proving took, from reading the rows to the last byte."""
    verify_gas: Mapped[int | None] = mapped_column(BigInteger)
    """Of the verifier's call as our node estimates it, without what any transaction costs."""
    ready_at: Mapped[int | None] = mapped_column(BigInteger)
    """When it was ready, unix seconds as the chain counts."""
    error: Mapped[str] = mapped_column(Text, default="")
    """Why there is none, in words."""
    updated_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""


class ModelReceipt(Base):
    """A witness vouches for the bytes of a model that a settlement left. Signature checked before it is stored."""

    __tablename__ = "model_receipts"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    model: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """Commitment of the model."""
    witness: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who signed, EIP-55."""
    signature: Mapped[bytes] = mapped_column(LargeBinary(65))
    """EIP-712 `ModelReceipt`."""
    received_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""
