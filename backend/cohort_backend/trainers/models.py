"""Trainers: standing across projects and place in each. All projection."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base, ExactInteger


class Trainer(Base):
    """Standing across projects: projection of StandingChanged and RowPaid. No row = a newcomer, all zero."""

    __tablename__ = "trainers"

    address: Mapped[str] = mapped_column(String(42), primary_key=True)
    """EIP-55."""
    reliability_bps: Mapped[int] = mapped_column(default=0)
    """Basis points, 0 .. 10,000."""
    usefulness_bps: Mapped[int] = mapped_column(default=0)
    """Moving average of share x n, basis points, 0 .. 40,000."""
    rounds: Mapped[int] = mapped_column(BigInteger, default=0)
    """Admitted rows of settled rounds."""
    rejections: Mapped[int] = mapped_column(BigInteger, default=0)
    """Rows rejected as hostile."""


class Member(Base):
    """A trainer's place in a project: projection of MemberJoined, MemberLeft, StakeWithdrawn, RowPaid and Claimed.
    The row stays when the trainer leaves: pay does not expire."""

    __tablename__ = "members"

    project: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True, autoincrement=False)
    """Project."""
    trainer: Mapped[str] = mapped_column(String(42), primary_key=True, index=True)
    """EIP-55."""
    stake: Mapped[int] = mapped_column(ExactInteger)
    """Base units deposited; 0 once withdrawn."""
    joined_round: Mapped[int] = mapped_column(BigInteger)
    """Newest round when joining: may commit in later ones."""
    left_round: Mapped[int] = mapped_column(BigInteger, default=0)
    """Newest round when leaving; meaningful if `left`."""
    left: Mapped[bool] = mapped_column("has_left", Boolean, default=False)
    """Takes no part in rounds opened since."""
    earned: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units of pay in this project so far."""
    claimed: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units of it taken out."""

    def may_commit_in(self, round: int) -> bool:
        """Whether the contract lets this member commit in `round`."""
        return self.stake > 0 and self.joined_round < round and not (self.left and self.left_round < round)
