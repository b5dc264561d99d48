"""The journal of our own transactions, in the database that the worker's other state lives in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cohort_protocol.chain.errors import IntentInvalid, JournalBroken
from cohort_protocol.chain.journal import MAX_INTENT, EntryState, JournalEntry
from cohort_protocol.identifiers import parse_address
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cohort_backend.chain.models import ChainTransaction
from cohort_backend.database import Database
from cohort_backend.locks import exclusive


class DatabaseJournal:
    """Implements `cohort_protocol.chain.journal.TransactionJournal` for one key on one chain. Every call is its own
    transaction, so what it recorded is durable when it returns: never call it inside a `Database.write` block."""

    def __init__(self, database: Database, chain_id: int, sender: str) -> None:
        self.database = database
        self.chain_id = chain_id
        self.sender = parse_address(sender)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Excludes every other thread and process that sends with the same key on the same database."""
        with exclusive(self.database, f"journal/{self.chain_id}/{self.sender}"):
            yield

    def find(self, intent: str) -> JournalEntry | None:
        """The newest attempt of an intent."""
        query = self._mine().where(ChainTransaction.intent == intent).order_by(ChainTransaction.attempt.desc())
        with self.database.read() as session:
            row = session.scalars(query.limit(1)).one_or_none()
            return None if row is None else _entry(row)

    def pending(self) -> list[JournalEntry]:
        """Entries in state pending, by nonce."""
        query = self._mine().where(ChainTransaction.state == EntryState.PENDING).order_by(ChainTransaction.nonce)
        with self.database.read() as session:
            return [_entry(row) for row in session.scalars(query)]

    def record(self, entry: JournalEntry) -> None:
        """Adds an entry. Raises `IntentInvalid` if (intent, attempt) exists, `JournalBroken` if another transaction
        that may still be mined has its nonce."""
        if not 0 < len(entry.intent) <= MAX_INTENT:
            raise IntentInvalid(f"an intent is 1 to {MAX_INTENT} characters, this one has {len(entry.intent)}")
        try:
            with self.database.write() as session:
                self._refuse_known(session, entry)
                session.add(self._row(entry))
        except IntegrityError as error:
            raise JournalBroken(
                f"nonce {entry.nonce} of {self.sender} is in the journal for another transaction: is the key in use "
                "with another database? Wait until its transactions are mined"
            ) from error

    def mark(self, intent: str, attempt: int, state: EntryState, block_number: int | None) -> None:
        """Changes the state of an entry. Raises `IntentInvalid` if there is none."""
        change = (
            update(ChainTransaction)
            .where(
                ChainTransaction.chain_id == self.chain_id,
                ChainTransaction.sender == self.sender,
                ChainTransaction.intent == intent,
                ChainTransaction.attempt == attempt,
            )
            .values(state=str(state), block_number=block_number)
        )
        with self.database.write() as session:
            if session.execute(change).rowcount != 1:  # type: ignore[attr-defined]
                raise IntentInvalid(f"attempt {attempt} of {intent!r} is not in the journal")

    def _mine(self):
        return select(ChainTransaction).where(
            ChainTransaction.chain_id == self.chain_id, ChainTransaction.sender == self.sender
        )

    def _refuse_known(self, session: Session, entry: JournalEntry) -> None:
        if session.get(ChainTransaction, (self.chain_id, self.sender, entry.intent, entry.attempt)) is not None:
            raise IntentInvalid(f"attempt {entry.attempt} of {entry.intent!r} is in the journal already")

    def _row(self, entry: JournalEntry) -> ChainTransaction:
        return ChainTransaction(
            chain_id=self.chain_id,
            sender=self.sender,
            intent=entry.intent,
            attempt=entry.attempt,
            nonce=entry.nonce,
            raw=entry.raw,
            hash=entry.hash,
            state=str(entry.state),
            block_number=entry.block_number,
        )


def _entry(row: ChainTransaction) -> JournalEntry:
    return JournalEntry(row.intent, row.attempt, row.nonce, row.raw, row.hash, EntryState(row.state), row.block_number)
