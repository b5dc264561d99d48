"""Values that an event packs into bytes or words, because every byte of an event costs gas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cohort_protocol.chain.types import Record
from cohort_protocol.commitments import cid_from_parts


@dataclass(frozen=True)
class AdmittedRow:
    """An opening that became a row."""

    row: int
    member: int
    update: bytes
    cid: bytes
    """36 bytes."""


@dataclass(frozen=True)
class SettledRow:
    """What a row of a settled round got."""

    row: int
    reason: int
    score: int
    pay: int
    record: Record
    """Of the member in the project, after this round."""


@dataclass(frozen=True)
class ClaimedItem:
    """A round that was paid out."""

    round: int
    row: int
    amount: int


_ADMITTED_ROW_BYTES = 69


def admitted_rows(first_row: int, packed: bytes) -> tuple[AdmittedRow, ...]:
    """69 bytes per row: member (4), codec (1), update (32), digest of the CID (32). Raises `ValueError`."""
    if len(packed) % _ADMITTED_ROW_BYTES:
        raise ValueError(f"{len(packed)} bytes of rows: each has {_ADMITTED_ROW_BYTES}")
    rows = []
    for position, start in enumerate(range(0, len(packed), _ADMITTED_ROW_BYTES)):
        entry = packed[start : start + _ADMITTED_ROW_BYTES]
        cid = cid_from_parts(entry[4], entry[37:])
        rows.append(AdmittedRow(first_row + position, int.from_bytes(entry[:4], "big"), entry[5:37], cid))
    return tuple(rows)


def settled_rows(words: Iterable[int]) -> tuple[SettledRow, ...]:
    """From the lowest bit: reason (8), score (64), pay (112), record (64)."""
    return tuple(
        SettledRow(
            row=row,
            reason=word & 0xFF,
            score=word >> 8 & (1 << 64) - 1,
            pay=word >> 72 & (1 << 112) - 1,
            record=Record.unpack(word >> 184 & (1 << 64) - 1),
        )
        for row, word in enumerate(words)
    )


def claimed_items(words: Iterable[int]) -> tuple[ClaimedItem, ...]:
    """From the lowest bit: amount (112), row (8), round (32)."""
    return tuple(
        ClaimedItem(round=word >> 120 & 0xFFFFFFFF, row=word >> 112 & 0xFF, amount=word & (1 << 112) - 1)
        for word in words
    )
