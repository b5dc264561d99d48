"""Trainers: place and record in each project, losses across them. All projection."""

from __future__ import annotations

from cohort_protocol.chain.types import Record
from sqlalchemy import BigInteger, Boolean, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base, ExactInteger


class Trainer(Base):
    """Losses across projects: projection of LossRecorded. No row = none."""

    __tablename__ = "trainers"

    address: Mapped[str] = mapped_column(String(42), primary_key=True)
    """EIP-55."""
    losses: Mapped[int] = mapped_column(BigInteger, default=0)
    """In all projects, in units of credit (`cohort_protocol.standing`)."""


class TrainerLoss(Base):
    """Losses through the projects of one owner: projection of LossRecorded."""

    __tablename__ = "trainer_losses"

    trainer: Mapped[str] = mapped_column(ForeignKey("trainers.address"), primary_key=True)
    """EIP-55."""
    owner: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Owner of the projects, EIP-55."""
    amount: Mapped[int] = mapped_column(BigInteger)
    """In units of credit, capped by the contract."""


class Member(Base):
    """A trainer's place in a project: projection of the events of members, of settled rows and of claims. The row stays
    when the trainer leaves: a number is for ever, and pay does not expire."""

    __tablename__ = "members"
    __table_args__ = (UniqueConstraint("project", "trainer"),)

    project: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True, autoincrement=False)
    """Project."""
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The contract's number of the trainer in the project, from 1."""
    trainer: Mapped[str] = mapped_column(String(42), index=True)
    """EIP-55."""
    staked: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether the project's stake is in."""
    joined: Mapped[bool] = mapped_column(Boolean, default=False)
    """And has not left."""
    joined_round: Mapped[int] = mapped_column(BigInteger, default=0)
    """Newest round when joining: may commit in later ones."""
    unlock_at: Mapped[int] = mapped_column(BigInteger, default=0)
    """0, or: has left, and may take the stake out from then on, unix seconds."""
    delegate: Mapped[str | None] = mapped_column(String(42))
    """Who else may commit and reveal for the trainer, EIP-55."""
    credit: Mapped[int] = mapped_column(default=0)
    """1,000 for each settled round with an average share or more, in proportion below."""
    usefulness: Mapped[int] = mapped_column(default=0)
    """Moving average of share x n, basis points, 0 .. 40,000."""
    rounds: Mapped[int] = mapped_column(default=0)
    """Admitted rows of settled rounds, at most 65,535."""
    rejections: Mapped[int] = mapped_column(default=0)
    """Rows rejected as hostile, at most 127."""
    earned: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units of pay in this project so far."""
    claimed: Mapped[int] = mapped_column(ExactInteger, default=0)
    """Base units of it taken out."""

    @property
    def active(self) -> bool:
        """Joined, staked, and has not left."""
        return self.joined and self.staked

    @property
    def record(self) -> Record:
        """How the trainer has worked in this project."""
        return Record(self.credit, self.usefulness, self.rounds, self.rejections)

    def may_commit_in(self, round: int) -> bool:
        """Whether the contract lets this member commit in `round` now."""
        return self.active and self.joined_round < round

    def signers(self) -> tuple[str, ...]:
        """Whose signature on a commitment counts: its own, and its delegate's."""
        return (self.trainer,) if self.delegate is None else (self.trainer, self.delegate)
