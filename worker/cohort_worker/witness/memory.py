"""What a witness has signed, on disk before the signature leaves the process: it never signs two outcomes of a round.

One line of JSON per signed settlement, appended and synced. "A round" is what the chain says of it: chain, market,
project, round, admitted rows, starting model, validation batch and public rows. After a reorg that admitted other rows
the round is another one, and a signature for the rows that are gone can never be used with those that came.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import NamedTuple

from cohort_protocol.canonical import canonical_json, parse_json
from cohort_protocol.commitments import ZERO32, MarketId, SettlementStatement
from cohort_protocol.errors import CohortError, Conflict
from cohort_protocol.identifiers import to_hex
from eth_utils import keccak

MAX_LINE = 4096


class MemoryBroken(CohortError):
    """The record of signed settlements cannot be read or written. Signing without it could sign twice, so nothing is
    signed."""

    code = "witness-memory-broken"


class MemoryInUse(Conflict):
    """Another process holds the record: two witnesses with one key could sign two outcomes."""

    code = "witness-memory-in-use"


class Equivocation(Conflict):
    """Another outcome of the same round was signed before."""

    code = "equivocation"


class _RoundName(NamedTuple):
    chain_id: int
    market: str
    project: int
    round: int
    admitted: str
    model: str
    validation: str = to_hex(ZERO32)
    public_rows: str = to_hex(ZERO32)


class SigningMemory:
    """The record of one key. Holds a lock on the file as long as the process lives. Safe under threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise MemoryInUse(
                f"{path} is in use: a witness with this key runs already. End it, or use another key"
            ) from error
        self._signed = self._load()

    def close(self) -> None:
        """Gives the lock back."""
        os.close(self._file)

    def remember(self, market: MarketId, statement: SettlementStatement) -> None:
        """Records a statement that is about to be signed; durable when it returns. The same one again is fine.

        Raises `Equivocation` if another outcome of the round was recorded, `MemoryBroken`.
        """
        name = _name_of(market, statement)
        digest = _digest_of(statement)
        with self._lock:
            before = self._signed.get(name)
            if before is not None and before != digest:
                raise Equivocation(
                    f"another outcome of round {statement.project}/{statement.round} with these rows was signed "
                    f"before (statement {before}, now {digest}): a witness signs one"
                )
            if before is None:
                self._append({**name._asdict(), "statement": digest, "bundle": to_hex(statement.bundle_cid)})
                self._signed[name] = digest

    def _append(self, line: dict[str, object]) -> None:
        try:
            os.write(self._file, canonical_json(line) + b"\n")
            os.fsync(self._file)
        except OSError as error:
            raise MemoryBroken(f"{self.path} cannot be written: {error}") from error

    def _load(self) -> dict[_RoundName, str]:
        content = self.path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        if torn:
            # The process died while it wrote this line, hence before it signed. Take it away, so that what is
            # appended next stands on a line of its own.
            os.ftruncate(self._file, len(content) - len(torn))
        signed: dict[_RoundName, str] = {}
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                record = parse_json(line, MAX_LINE)
                facts = {field: record[field] for field in _RoundName._fields if field in record}
                name = _RoundName(**facts)
                signed[name] = record["statement"]
            except (CohortError, KeyError, TypeError, json.JSONDecodeError) as error:
                raise MemoryBroken(
                    f"line {number} of {self.path} cannot be read: {error}. Restore it from a backup; moving it away "
                    f"makes this witness forget what it signed"
                ) from error
        return signed


def _name_of(market: MarketId, statement: SettlementStatement) -> _RoundName:
    return _RoundName(
        market.chain_id,
        market.market,
        statement.project,
        statement.round,
        to_hex(statement.admitted_hash),
        to_hex(statement.previous_model),
        to_hex(statement.validation),
        to_hex(statement.public_rows),
    )


def _digest_of(statement: SettlementStatement) -> str:
    fields = {name: to_hex(value) if isinstance(value, bytes) else value for name, value in vars(statement).items()}
    return to_hex(keccak(canonical_json(fields)))
