"""What a witness has signed, on disk before the signature leaves the process: it never signs two outcomes of a round.

One line of JSON per signed settlement, appended and synced. "A round" is what the chain says of it: chain, market,
project, round, admitted rows, starting model, validation batch and public rows. After a reorg that admitted other rows
the round is another one, and a signature for the rows that are gone can never be used with those that came.

Whoever asks for a second outcome of a round is asked why: both are kept in a file beside it (`equivocations.jsonl`, or
the record's name with that ending), in full.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except (OSError, ValueError) as error:
            # ValueError: a path with a zero in it.
            raise MemoryBroken(f"the record {str(path)[:300]!a} cannot be opened: {error}") from error
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
                self._keep_evidence(name, statement)
                raise Equivocation(
                    f"another outcome of round {statement.project}/{statement.round} with these rows was signed "
                    f"before (statement {before}, now {digest}): a witness signs one"
                )
            if before is None:
                line = {**name._asdict(), "statement": digest, "bundle": to_hex(statement.bundle_cid)}
                self._append({**line, "outcome": _outcome_of(statement)})
                self._signed[name] = digest

    def _keep_evidence(self, name: _RoundName, second: SettlementStatement) -> None:
        """Both outcomes, once for each second one."""
        path = evidence_path(self.path)
        first = next((line for line in _lines(self.path) if _name_in(line) == name), {})
        evidence = {**name._asdict(), "signed": first.get("outcome", {}), "asked_for": _outcome_of(second)}
        try:
            if evidence in _lines(path):
                return
            with path.open("ab") as file:
                file.write(canonical_json(evidence) + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise MemoryBroken(f"{path} cannot be written: {error}") from error

    def _append(self, line: dict[str, object]) -> None:
        content = canonical_json(line) + b"\n"
        try:
            before = os.fstat(self._file).st_size
            written = os.write(self._file, content)
            if written != len(content):
                # A full disk takes a part of it. What is half written would count as never written.
                os.ftruncate(self._file, before)
                raise MemoryBroken(f"{self.path}: only {written} of {len(content)} bytes could be written: free space")
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
                name = _name_in(record)
                signed[name] = record["statement"]
            except (CohortError, KeyError, TypeError, json.JSONDecodeError) as error:
                raise MemoryBroken(
                    f"line {number} of {self.path} cannot be read: {error}. Restore it from a backup; moving it away "
                    f"makes this witness forget what it signed"
                ) from error
        return signed


def evidence_path(signed: Path) -> Path:
    """Where evidence of equivocation stands, beside the record of what was signed."""
    return signed.with_name(signed.name.removesuffix("signed.jsonl") + "equivocations.jsonl")


def recorded(signed: Path) -> list[dict[str, Any]]:
    """What was signed, then who asked for two outcomes of one round; each with `kind`. Raises `MemoryBroken`."""
    found = [{"kind": "signed", **line} for line in _lines(signed)]
    return found + [{"kind": "equivocation", **line} for line in _lines(evidence_path(signed))]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise MemoryBroken(f"{path} cannot be read: {error}") from error
    lines: list[dict[str, Any]] = []
    for number, line in enumerate(content.rpartition(b"\n")[0].splitlines(), start=1):
        try:
            lines.append(dict(parse_json(line, MAX_LINE)))
        except (CohortError, TypeError, ValueError) as error:
            raise MemoryBroken(f"line {number} of {path} cannot be read: {error}") from error
    return lines


def _name_in(record: Mapping[str, Any]) -> _RoundName:
    return _RoundName(**{field: record[field] for field in _RoundName._fields if field in record})


def _outcome_of(statement: SettlementStatement) -> dict[str, Any]:
    """All of a statement, for people."""
    return {name: to_hex(value) if isinstance(value, bytes) else value for name, value in vars(statement).items()}


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
    return to_hex(keccak(canonical_json(_outcome_of(statement))))
