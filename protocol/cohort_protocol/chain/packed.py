"""Values that calls and events pack into bytes or words, because every byte of calldata or of an event costs gas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, TypeVar

from eth_utils import keccak

from cohort_protocol.chain.types import Admission, Record
from cohort_protocol.commitments import (
    PackedRow,
    cid_from_parts,
    compact_signature,
    openings_hash,
    pack_leaf,
    pack_members,
)
from cohort_protocol.errors import InvalidInput

_LEAF_BYTES = 36
_ROW_BYTES = 69
_AMOUNT = (1 << 112) - 1


# -- commitments


@dataclass(frozen=True)
class CommitLeaf:
    """One entry of a batch of commitments."""

    member: int
    commitment: bytes
    """32 bytes."""


@dataclass(frozen=True)
class Batch:
    """A batch as it was posted, and which of its leaves count now. `Batch()`: none was posted."""

    leaves: tuple[CommitLeaf, ...] = ()
    """Strictly increasing by member."""
    bits: int = 0
    """Bit i: leaf i counts. The others were skipped, or their trainers posted another commitment in their place."""

    @property
    def packed(self) -> bytes:
        """What calls repeat. Raises `InvalidInput`."""
        return pack_leaves(self.leaves)

    @property
    def hash(self) -> bytes:
        """What the market keeps of it, 32 bytes."""
        return keccak(self.packed)

    def counting(self) -> dict[int, bytes]:
        """Commitment by member, of the leaves that count."""
        return {leaf.member: leaf.commitment for bit, leaf in enumerate(self.leaves) if self.bits >> bit & 1}

    def beside(self, opened: Mapping[int, bytes]) -> bytes:
        """The leaves that a call has to bring which opens the commitments `opened` (by member): the market makes the
        other ones again from what is opened. All of them if somebody's commitment is opened who has no leaf at all:
        whether it has posted one itself cannot be seen here. Raises `InvalidInput`."""
        if not opened.keys() <= {leaf.member for leaf in self.leaves}:
            return self.packed
        made = {member for member, commitment in self.counting().items() if opened.get(member) == commitment}
        return pack_leaves([leaf for leaf in self.leaves if leaf.member not in made])


def pack_leaves(leaves: Iterable[CommitLeaf]) -> bytes:
    """36 bytes per leaf: member (4), commitment (32). Raises `InvalidInput`."""
    return b"".join(pack_leaf(leaf.member, leaf.commitment) for leaf in leaves)


def pack_signatures(signatures: Iterable[bytes]) -> bytes:
    """64 bytes per signature of 65: r, vs (EIP-2098). Raises `SignatureInvalid`."""
    return b"".join(b"".join(compact_signature(signature)) for signature in signatures)


def commit_leaves(packed: bytes) -> tuple[CommitLeaf, ...]:
    """The leaves of a batch. Raises `ValueError`."""
    return tuple(
        CommitLeaf(int.from_bytes(entry[:4], "big"), entry[4:]) for entry in _entries(packed, _LEAF_BYTES, "leaves")
    )


# -- openings and rows


@dataclass(frozen=True)
class Opening:
    """What opens a commitment."""

    member: int
    update: bytes
    """keccak256 of the canonical bytes of the update."""
    cid: bytes
    """36-byte CIDv1 where the update can be fetched."""
    salt: bytes


@dataclass(frozen=True)
class AdmittedRow:
    """An opening that became a row."""

    row: int
    """Position in order of admission, from 0."""
    member: int
    update: bytes
    cid: bytes
    """36 bytes."""


class NumberedRow(Protocol):
    """A row that knows the call of `reveal` that admitted it."""

    @property
    def first_row(self) -> int:
        """Position of the first row that the same call admitted."""


Numbered = TypeVar("Numbered", bound=NumberedRow)


def admitted_rows(first_row: int, packed: bytes) -> tuple[AdmittedRow, ...]:
    """The reverse of `commitments.pack_rows`. Raises `ValueError`."""
    return tuple(
        AdmittedRow(
            first_row + position, int.from_bytes(entry[:4], "big"), entry[5:37], cid_from_parts(entry[4], entry[37:])
        )
        for position, entry in enumerate(_entries(packed, _ROW_BYTES, "rows"))
    )


def admission(rows: Sequence[PackedRow]) -> Admission:
    """Of the rows that one call of `reveal` admitted. Raises `InvalidInput`."""
    return Admission(pack_members(row.member for row in rows), openings_hash(rows))


def by_admission(rows: Iterable[Numbered]) -> list[list[Numbered]]:
    """Rows in order of admission, in groups: a group for each call of `reveal` that admitted any."""
    return [list(group) for _, group in groupby(rows, key=lambda row: row.first_row)]


def _entries(packed: bytes, size: int, what: str) -> list[bytes]:
    if len(packed) % size:
        raise ValueError(f"{len(packed)} bytes of {what}: each has {size}")
    return [packed[start : start + size] for start in range(0, len(packed), size)]


# -- settlement and claims


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
class ClaimItem:
    """A claim on one round."""

    round: int
    row: int
    """Of the trainer in that round."""
    amount: int
    proof: tuple[bytes, ...]


def settled_rows(words: Iterable[int]) -> tuple[SettledRow, ...]:
    """From the lowest bit: reason (8), score (64), pay (112), record (64)."""
    return tuple(
        SettledRow(
            row=row,
            reason=word & 0xFF,
            score=word >> 8 & (1 << 64) - 1,
            pay=word >> 72 & _AMOUNT,
            record=Record.unpack(word >> 184 & (1 << 64) - 1),
        )
        for row, word in enumerate(words)
    )


def pack_claims(items: Iterable[ClaimItem]) -> tuple[list[int], list[bytes]]:
    """(words, proofs one after another). A word from the lowest bit: amount (112), row (8), round (32), number of proof
    nodes (8). Raises `InvalidInput` for what does not fit."""
    words, proofs = [], []
    for item in items:
        nodes = len(item.proof)
        if not 0 <= item.amount <= _AMOUNT or not 0 <= item.row < 2**8 or not 0 <= item.round < 2**32 or nodes > 255:
            raise InvalidInput(
                f"a claim has 112 bits for the amount, 8 for the row, 32 for the round and 8 for the nodes of the "
                f"proof: got {item.amount}, {item.row}, {item.round} and {nodes}"
            )
        words.append(nodes << 152 | item.round << 120 | item.row << 112 | item.amount)
        proofs += item.proof
    return words, proofs


def claimed_rounds(word: int, bits: int) -> tuple[int, ...]:
    """Rounds of the bits of one word of claimed rounds: bit i is round 256 * word + i."""
    return tuple(256 * word + i for i in range(256) if bits >> i & 1)
