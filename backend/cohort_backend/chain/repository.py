"""The record of the chain: cursor, blocks, events, receipts."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cohort_backend.chain.errors import NotIndexed, OtherMarket
from cohort_backend.chain.models import ChainBlock, ChainCursor, ChainEvent, ChainReceipt
from cohort_backend.database import insert_new
from cohort_backend.projects.models import Project

REMEMBERED_BLOCKS = 1024
"""Blocks kept for finding a fork: far deeper than any reorg that a chain with finality survives."""


def start_cursor(session: Session, *, chain_id: int, market: str, start_block: int, slash_window: int) -> ChainCursor:
    """The cursor, made at first call; `slash_window` from the market's profile. Raises `OtherMarket` if this database
    serves another chain or contract."""
    insert_new(
        session,
        ChainCursor,
        id=1,
        chain_id=chain_id,
        market=market,
        start_block=start_block,
        slash_window=slash_window,
        block_number=start_block - 1,
        block_timestamp=0,
    )
    found = lock_cursor(session)
    if (found.chain_id, found.market) != (chain_id, market):
        raise OtherMarket(
            f"this database serves market {found.market} on chain {found.chain_id}, the settings say {market} on "
            f"{chain_id}: use another COHORT_DATABASE_URL, one per market"
        )
    return found


def cursor(session: Session) -> ChainCursor | None:
    """The cursor, or None before the first indexer ran."""
    return session.get(ChainCursor, 1)


def require_cursor(session: Session) -> ChainCursor:
    """The cursor. Raises `NotIndexed`."""
    found = cursor(session)
    if found is None:
        raise NotIndexed("no cursor yet: call start_cursor first")
    return found


def lock_cursor(session: Session) -> ChainCursor:
    """The cursor, locked to the end of the transaction: one indexer at a time. Raises `NotIndexed`."""
    found = session.scalars(select(ChainCursor).where(ChainCursor.id == 1).with_for_update()).one_or_none()
    if found is None:
        raise NotIndexed("no cursor yet: call start_cursor first")
    return found


def move_cursor(session: Session, *, number: int, hash: bytes, timestamp: int) -> None:
    """Everything up to block `number` is in the projection. Remembers the block."""
    found = lock_cursor(session)
    found.block_number, found.block_hash, found.block_timestamp = number, hash, timestamp
    remember_block(session, number=number, hash=hash, timestamp=timestamp)


def remember_block(session: Session, *, number: int, hash: bytes, timestamp: int) -> None:
    """Keeps a block to find a fork by. The newest word counts."""
    session.merge(ChainBlock(number=number, hash=hash, timestamp=timestamp))
    session.flush()


def block_hash(session: Session, number: int) -> bytes | None:
    """The hash of a block as we read it; None if it is not remembered."""
    return session.scalars(select(ChainBlock.hash).where(ChainBlock.number == number)).one_or_none()


def newest_blocks(session: Session, limit: int = 256) -> list[ChainBlock]:
    """Remembered blocks, newest first."""
    return list(session.scalars(select(ChainBlock).order_by(ChainBlock.number.desc()).limit(limit)))


def prune_blocks(session: Session, below: int) -> None:
    """Forgets blocks under `below`, never the cursor's own, nor the one in which somebody last joined a project that
    waits for its first round: how long it waits is counted from that block's time."""
    found = lock_cursor(session)
    waited_from = select(Project.last_join_block).where(Project.round == 0, Project.ended.is_(False))
    old = ChainBlock.number < min(below, found.block_number)
    session.execute(delete(ChainBlock).where(old, ChainBlock.number.not_in(waited_from)))


def add_receipt(session: Session, *, transaction_hash: bytes, block_number: int, gas_used: int) -> None:
    """What a transaction cost. Idempotent."""
    session.merge(ChainReceipt(transaction_hash=transaction_hash, block_number=block_number, gas_used=gas_used))
    session.flush()


def known_receipts(session: Session, hashes: Collection[bytes]) -> set[bytes]:
    """Those of `hashes` whose cost is recorded."""
    query = select(ChainReceipt.transaction_hash).where(ChainReceipt.transaction_hash.in_(list(hashes)))
    return set(session.scalars(query))


def stored_events(session: Session, batch: int = 1000) -> Iterator[ChainEvent]:
    """All events in the order of the chain, streamed."""
    query = select(ChainEvent).order_by(ChainEvent.block_number, ChainEvent.log_index)
    return iter(session.scalars(query.execution_options(yield_per=batch)))


def newest_event(session: Session) -> tuple[int, int]:
    """(block, log index) of the newest stored event; (-1, -1) if there is none."""
    columns = (ChainEvent.block_number, ChainEvent.log_index)
    row = session.execute(select(*columns).order_by(*(c.desc() for c in columns)).limit(1)).one_or_none()
    return (row[0], row[1]) if row else (-1, -1)


def chain_now(session: Session, wall: float | None = None) -> int:
    """The time to judge phases by, unix seconds: the wall clock, or the newest block's time where the chain is ahead
    (a local chain whose clock was moved)."""
    found = cursor(session)
    return max(int(time.time() if wall is None else wall), found.block_timestamp if found else 0)
