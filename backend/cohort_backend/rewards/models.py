"""Claims: pay that was taken out. Projection."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base, ExactInteger


class Claim(Base):
    """Projection of Claimed."""

    __tablename__ = "claims"
    __table_args__ = (
        ForeignKeyConstraint(["project", "round", "row"], ["rows.project", "rows.round", "rows.row"]),
        Index(None, "trainer", "project"),
    )

    project: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Project."""
    round: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Round that earned it."""
    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Row in that round."""
    trainer: Mapped[str] = mapped_column(String(42))
    """Who had earned it."""
    recipient: Mapped[str] = mapped_column(String(42))
    """Where it went."""
    amount: Mapped[int] = mapped_column(ExactInteger)
    """Base units."""
    transaction_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Transaction that claimed it."""
    block_number: Mapped[int] = mapped_column(BigInteger)
    """Height of its block."""
