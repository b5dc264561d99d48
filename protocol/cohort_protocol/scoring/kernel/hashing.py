"""keccak256 of all rows of a pass while their blocks are at hand.

The bytes of one row can only be hashed one after another, but rows are independent: the C extension hashes eight
(AVX-512) or four (AVX2) of them at once. Without it each is hashed by the library that the rest of Cohort uses; the
hashes are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from eth_hash.auto import keccak

from cohort_protocol.scoring.errors import KernelUnavailable, ScoringInputInvalid
from cohort_protocol.scoring.kernel.native import native_levels, native_library, row_pointers

RATE = 136
"""Bytes that keccak256 takes at a time."""

Seal = Callable[[bytes], None]
"""Is given the keccak256 (32 bytes) of a row's canonical bytes when all of it has been read, and may raise."""


class SealedSource(Protocol):
    """A source whose bytes are to be hashed as they are read."""

    seal: Seal | None
    """None: there is nothing to check (any more)."""
    last: np.ndarray
    """What was read last."""
    dtype: np.dtype


class LibraryHashes:
    """One hash for each of n rows, by eth_hash."""

    def __init__(self, n: int) -> None:
        self._hashes = [keccak.new(b"") for _ in range(n)]

    def update(self, blocks: Sequence[np.ndarray]) -> None:
        """blocks: the next bytes of every row, arrays uint8[k] of one length."""
        for hashed, block in zip(self._hashes, blocks, strict=True):
            hashed.update(block.tobytes())

    def digests(self) -> list[bytes]:
        """Of all that was given so far. The last call."""
        return [hashed.digest() for hashed in self._hashes]


class NativeHashes:
    """The same in the C extension. Raises `KernelUnavailable`."""

    def __init__(self, n: int, level: int | None = None) -> None:
        self._absorb_all = native_library().cohort_keccak_absorb
        self._level = native_levels()[-1] if level is None else level
        self._states = np.zeros((n, 25), np.uint64)
        self._rest = np.zeros((n, RATE), np.uint8)
        """Bytes of each row that do not fill a block yet; their number is the same for all."""
        self._filled = 0

    def update(self, blocks: Sequence[np.ndarray]) -> None:
        """See `LibraryHashes.update`."""
        length = blocks[0].size
        if len(blocks) != len(self._states) or any(
            block.dtype != np.uint8 or block.shape != (length,) or not block.flags.c_contiguous for block in blocks
        ):
            raise ScoringInputInvalid(f"{len(blocks)} blocks for {len(self._states)} hashes: they must be of one size")
        start = 0
        if self._filled:
            start = min(length, RATE - self._filled)
            for row, block in zip(self._rest, blocks, strict=True):
                row[self._filled : self._filled + start] = block[:start]
            self._filled += start
            if self._filled < RATE:
                return
            self._absorb(list(self._rest), 1)
            self._filled = 0
        whole = (length - start) // RATE
        if whole:
            self._absorb([block[start:] for block in blocks], whole)
        self._filled = length - start - whole * RATE
        if self._filled:
            for row, block in zip(self._rest, blocks, strict=True):
                row[: self._filled] = block[length - self._filled :]

    def digests(self) -> list[bytes]:
        """See `LibraryHashes.digests`. Keccak's padding: a bit after the last byte, and one at the end of the block."""
        self._rest[:, self._filled :] = 0
        self._rest[:, self._filled] = 1
        self._rest[:, -1] |= 0x80
        self._absorb(list(self._rest), 1)
        return [state.astype("<u8").tobytes()[:32] for state in self._states]

    def _absorb(self, data: Sequence[np.ndarray], blocks: int) -> None:
        self._absorb_all(self._level, self._states.ctypes.data, row_pointers(data), len(data), blocks)


def hashes(n: int) -> NativeHashes | LibraryHashes:
    """The faster of the two that is here."""
    try:
        return NativeHashes(n)
    except KernelUnavailable:
        return LibraryHashes(n)


class Seals:
    """Hashes the sealed ones among some sources, block by block, and tells each its hash in the end."""

    def __init__(self, sources: Sequence[SealedSource]) -> None:
        distinct = {id(source): source for source in sources if source.seal is not None}.values()
        widths = {source.dtype: [other for other in distinct if other.dtype == source.dtype] for source in distinct}
        self._groups = [(group, hashes(len(group))) for group in widths.values()]

    def block(self) -> None:
        """Takes what the sources read last: the next columns of all."""
        for group, hashed in self._groups:
            hashed.update([canonical_bytes(source.last) for source in group])

    def close(self) -> None:
        """All of every row has been taken. Raises what a seal raises."""
        for group, hashed in self._groups:
            for source, digest in zip(group, hashed.digests(), strict=True):
                if source.seal is not None:
                    source.seal(digest)
                    source.seal = None


def canonical_bytes(block: np.ndarray) -> np.ndarray:
    """uint8: the little-endian bytes of contiguous integers."""
    return (block if sys.byteorder == "little" else block.byteswap()).view(np.uint8)
