"""What was read from the chain as it was (blocks, events, receipts), how far we have read, and the journal of the
transactions that we send ourselves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from cohort_backend.database import Base


class ChainCursor(Base):
    """How far the chain has been read. One row: a database serves one market."""

    __tablename__ = "chain_cursor"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Always 1."""
    chain_id: Mapped[int] = mapped_column(BigInteger)
    """EIP-155 chain id."""
    market: Mapped[str] = mapped_column(String(42))
    """Address of the market contract, EIP-55."""
    start_block: Mapped[int] = mapped_column(BigInteger)
    """First block that is read."""
    slash_window: Mapped[int] = mapped_column(BigInteger)
    """Seconds after tG in which commitments that were never opened can be slashed: fixed by the deployment, in no
    event."""
    block_number: Mapped[int] = mapped_column(BigInteger)
    """Newest block whose events are in the projection; start_block - 1 before the first."""
    block_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    """Hash of that block; None before the first."""
    block_timestamp: Mapped[int] = mapped_column(BigInteger)
    """Its time, unix seconds; 0 before the first."""


class ChainBlock(Base):
    """Blocks that we have read up to or taken events from: what a reorg is recognised by."""

    __tablename__ = "chain_blocks"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Height."""
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Block hash as the node reported it when we read the block."""
    timestamp: Mapped[int] = mapped_column(BigInteger)
    """Unix seconds."""


class ChainEvent(Base):
    """One event of the market, as decoded. The projection is a function of these rows alone."""

    __tablename__ = "chain_events"
    __table_args__ = (Index(None, "project", "block_number"), Index(None, "transaction_hash"))

    block_number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Height of its block."""
    log_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Position in the block."""
    block_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Hash of its block."""
    transaction_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Transaction that emitted it."""
    name: Mapped[str] = mapped_column(String(64))
    """Name in Solidity, such as RoundSettled."""
    project: Mapped[int | None] = mapped_column(BigInteger)
    """Project that it speaks of, if any."""
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Its arguments: integers as decimal text, bytes as 0x hex (`chain/event_codec.py`)."""


class ChainReceipt(Base):
    """Cost of a transaction that emitted one of our events, as mined."""

    __tablename__ = "chain_receipts"

    transaction_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    """Transaction."""
    block_number: Mapped[int] = mapped_column(BigInteger, index=True)
    """Height of its block."""
    gas_used: Mapped[int] = mapped_column(BigInteger)
    """Gas units."""


class ChainTransaction(Base):
    """Journal of one key on one chain: signed bytes are recorded here before they are broadcast, so that no intent is
    ever signed twice with different nonces. Implements `cohort_protocol.chain.journal.TransactionJournal`."""

    __tablename__ = "chain_transactions"
    __table_args__ = (
        Index(
            "uq_chain_transactions_nonce",
            "chain_id",
            "sender",
            "nonce",
            unique=True,
            sqlite_where=text("state <> 'displaced'"),
            postgresql_where=text("state <> 'displaced'"),
        ),
    )

    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """EIP-155 chain id."""
    sender: Mapped[str] = mapped_column(String(42), primary_key=True)
    """Address of the key, EIP-55."""
    intent: Mapped[str] = mapped_column(String(200), primary_key=True)
    """What the transaction is for, such as `settle 1/3`."""
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Counts from 1; a new one only after the previous reverted or was displaced."""
    nonce: Mapped[int] = mapped_column(BigInteger)
    """Account nonce that it was signed with."""
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    """The signed transaction."""
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    """Its hash."""
    state: Mapped[str] = mapped_column(String(16))
    """pending, mined, reverted or displaced (its nonce was taken by another transaction)."""
    block_number: Mapped[int | None] = mapped_column(BigInteger)
    """Block in which it was mined or reverted."""
