"""Public rows on their way to the chain: what the aggregator computed and what witnesses say to it. Work state."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Float, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base


class RowsProposal(Base):
    """The rows of a round as our worker computed them. One per round; others (after a reorg, or from another machine)
    replace it, and words about it no longer count, since they name the rows."""

    __tablename__ = "public_rows_proposals"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    admitted_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """`commitments.admitted_hash` of the updates that they speak of."""
    validation: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Digest of the batch that they follow from."""
    rows: Mapped[bytes] = mapped_column(LargeBinary(32))
    """SHA-256 of their manifest."""
    created_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""


class RowsWord(Base):
    """What a witness says of proposed rows. Signature checked before it is stored."""

    __tablename__ = "public_rows_words"

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round."""
    rows: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """The rows that it speaks of."""
    witness: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Who signed, EIP-55."""
    agrees: Mapped[bool] = mapped_column(Boolean)
    """Signed for the chain, or refused."""
    detail: Mapped[str] = mapped_column(String(500), default="")
    """Of a refusal, in words."""
    signature: Mapped[bytes] = mapped_column(LargeBinary(65))
    """EIP-712 `PublicRows`; of a refusal EIP-191 over its canonical JSON."""
    received_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds."""
