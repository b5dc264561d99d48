"""The journal of sent transactions: every signed transaction is written down before it is broadcast.

A process that dies between signing and receipt finds the same bytes again under the same intent, and sends those
and nothing else. One journal belongs to one key on one chain.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cohort_protocol.chain.errors import IntentInvalid, JournalBroken
from cohort_protocol.identifiers import Bytes32, to_hex

MAX_INTENT = 200
"""Characters of an intent."""


class EntryState(StrEnum):
    """What became of a recorded transaction, as far as we know. The chain decides; this only saves questions."""

    PENDING = "pending"
    """Recorded; broadcast perhaps; no receipt seen."""
    MINED = "mined"
    """In a block, and did what it should."""
    REVERTED = "reverted"
    """In a block, and refused by the contract: it used its nonce and changed nothing else."""
    DISPLACED = "displaced"
    """Another transaction of the key used the nonce: this one can never be mined."""


@dataclass(frozen=True)
class JournalEntry:
    """One signed transaction."""

    intent: str
    """What it is for: the caller's own name, unique per key and chain."""
    attempt: int
    """1, 2, ...: a new one is signed only when the one before was displaced or reverted."""
    nonce: int
    raw: bytes
    """The signed transaction as broadcast."""
    hash: bytes
    state: EntryState = EntryState.PENDING
    block_number: int | None = None
    """Of the receipt, if one was seen."""


class TransactionJournal(Protocol):
    """What a sender needs of a journal. Implementations: `MemoryJournal`, `FileJournal`, and the worker's table."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Held while a nonce is chosen, a transaction signed and recorded: excludes every other thread and process
        that sends with the same key. Not re-entrant. Short: never held while waiting for a receipt."""
        ...

    def find(self, intent: str) -> JournalEntry | None:
        """The newest attempt of an intent."""
        ...

    def pending(self) -> list[JournalEntry]:
        """Entries in state pending, by nonce."""
        ...

    def record(self, entry: JournalEntry) -> None:
        """Adds an entry; durable when it returns. Raises `IntentInvalid` if (intent, attempt) exists."""
        ...

    def mark(self, intent: str, attempt: int, state: EntryState, block_number: int | None) -> None:
        """Changes the state of an entry. Raises `IntentInvalid` if there is none."""
        ...


class _Entries:
    """The entries in memory, in order of recording."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, int], JournalEntry] = {}
        self.newest: dict[str, JournalEntry] = {}

    def put(self, entry: JournalEntry) -> None:
        self.by_key[entry.intent, entry.attempt] = entry
        newest = self.newest.get(entry.intent)
        if newest is None or newest.attempt <= entry.attempt:
            self.newest[entry.intent] = entry

    def add(self, entry: JournalEntry) -> None:
        if not 0 < len(entry.intent) <= MAX_INTENT:
            raise IntentInvalid(f"an intent is 1 to {MAX_INTENT} characters, this one has {len(entry.intent)}")
        if (entry.intent, entry.attempt) in self.by_key:
            raise IntentInvalid(f"attempt {entry.attempt} of {entry.intent!r} is in the journal already")
        self.put(entry)

    def change(self, intent: str, attempt: int, state: EntryState, block_number: int | None) -> None:
        entry = self.by_key.get((intent, attempt))
        if entry is None:
            raise IntentInvalid(f"attempt {attempt} of {intent!r} is not in the journal")
        self.put(replace(entry, state=state, block_number=block_number))

    def pending(self) -> list[JournalEntry]:
        found = (entry for entry in self.by_key.values() if entry.state is EntryState.PENDING)
        return sorted(found, key=lambda entry: entry.nonce)


class MemoryJournal:
    """Forgets everything with the process: for tests and one-shot commands."""

    def __init__(self) -> None:
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._entries = _Entries()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._sending:
            yield

    def find(self, intent: str) -> JournalEntry | None:
        with self._lock:
            return self._entries.newest.get(intent)

    def pending(self) -> list[JournalEntry]:
        with self._lock:
            return self._entries.pending()

    def record(self, entry: JournalEntry) -> None:
        with self._lock:
            self._entries.add(entry)

    def mark(self, intent: str, attempt: int, state: EntryState, block_number: int | None) -> None:
        with self._lock:
            self._entries.change(intent, attempt, state, block_number)


class _StoredEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    intent: str = Field(min_length=1, max_length=MAX_INTENT)
    attempt: int = Field(ge=1)
    nonce: int = Field(ge=0)
    raw: str = Field(pattern=r"^0x([0-9a-f]{2})+$")
    hash: Bytes32
    state: EntryState
    block_number: int | None = None

    def entry(self) -> JournalEntry:
        return JournalEntry(
            self.intent,
            self.attempt,
            self.nonce,
            bytes.fromhex(self.raw[2:]),
            bytes.fromhex(self.hash[2:]),
            self.state,
            self.block_number,
        )


class _StoredJournal(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    entries: list[_StoredEntry]


class FileJournal:
    """One JSON file per key, replaced atomically; safe under threads and processes (`flock` on a file beside it).

    Raises `JournalBroken` when the file cannot be read: sending on without it could send twice.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._lock_path = self.path.with_name(self.path.name + ".lock")
        self._sending_path = self.path.with_name(self.path.name + ".sending")
        self._threads_sending = threading.Lock()
        self._threads = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._threads_sending, _locked(self._sending_path):
            yield

    def find(self, intent: str) -> JournalEntry | None:
        with self._threads, _locked(self._lock_path):
            return self._load().newest.get(intent)

    def pending(self) -> list[JournalEntry]:
        with self._threads, _locked(self._lock_path):
            return self._load().pending()

    def record(self, entry: JournalEntry) -> None:
        with self._threads, _locked(self._lock_path):
            entries = self._load()
            entries.add(entry)
            self._store(entries)

    def mark(self, intent: str, attempt: int, state: EntryState, block_number: int | None) -> None:
        with self._threads, _locked(self._lock_path):
            entries = self._load()
            entries.change(intent, attempt, state, block_number)
            self._store(entries)

    def _load(self) -> _Entries:
        entries = _Entries()
        try:
            stored = _StoredJournal.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return entries
        except (OSError, ValidationError) as error:
            raise JournalBroken(
                f"the journal of sent transactions {self.path} cannot be read: {error}. Restore it from a backup; or, "
                "when no transaction of this key is under way, move it away"
            ) from error
        for stored_entry in stored.entries:
            entries.put(stored_entry.entry())
        return entries

    def _store(self, entries: _Entries) -> None:
        stored = _StoredJournal(
            version=1,
            entries=[
                _StoredEntry(
                    intent=entry.intent,
                    attempt=entry.attempt,
                    nonce=entry.nonce,
                    raw=to_hex(entry.raw),
                    hash=to_hex(entry.hash),
                    state=entry.state,
                    block_number=entry.block_number,
                )
                for entry in entries.by_key.values()
            ],
        )
        fresh = self.path.with_name(f"{self.path.name}.new")
        try:
            with open(fresh, "w", encoding="utf-8", opener=_private) as file:
                file.write(stored.model_dump_json(indent=1))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise JournalBroken(f"the journal of sent transactions {self.path} cannot be written: {error}") from error


def _private(path: str, flags: int) -> int:
    """Transactions that were not sent yet are nobody else's to send."""
    return os.open(path, flags, 0o600)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """An exclusive lock between processes; the operating system drops it when its holder dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
