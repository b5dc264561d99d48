"""Work to be done: the outbox under the broker (docs/decisions/0002)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base

PROVE_ROUND = "prove_round"
"""The kind of job that has a queue of its own."""

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
_UNFINISHED = text("state IN ('queued', 'running')")


class Job(Base):
    """One piece of work. At most one unfinished row per (kind, key). Times are unix seconds."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("uq_jobs_unfinished", "kind", "key", unique=True, sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED),
        Index(None, "state", "run_after"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    """What the broker's message carries."""
    kind: Mapped[str] = mapped_column(String(40))
    """Which task runs it, such as advance_project."""
    key: Mapped[str] = mapped_column(String(200))
    """What it works on, such as the project's number."""
    args: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Ids only; the task reads the state itself."""
    state: Mapped[str] = mapped_column(String(16), default=QUEUED)
    """queued, running, done or failed."""
    rerun: Mapped[bool] = mapped_column(Boolean, default=False)
    """Was asked for again while running: goes back to queued when it finishes."""
    attempts: Mapped[int] = mapped_column(default=0)
    """Times that it was leased since it was last asked for."""
    max_attempts: Mapped[int] = mapped_column(default=8)
    """After so many it is failed."""
    run_after: Mapped[float] = mapped_column(Float(53))
    """Not leased before this time."""
    sent_at: Mapped[float | None] = mapped_column(Float(53))
    """When a message for it was last handed to the broker; None if never."""
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    """Who is running it, `host/pid/nonce`; None unless running."""
    lease_until: Mapped[float | None] = mapped_column(Float(53))
    """When the lease runs out unless it is extended; None unless running."""
    last_error: Mapped[str | None] = mapped_column(Text)
    """Newest failure, in words."""
    created_at: Mapped[float] = mapped_column(Float(53))
    """When it was first asked for."""
    started_at: Mapped[float | None] = mapped_column(Float(53))
    """When the newest attempt began."""
    finished_at: Mapped[float | None] = mapped_column(Float(53))
    """When it became done or failed."""
