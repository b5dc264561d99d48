"""Rows of a round by blocks of columns: from memory, memory maps, files, or streams of verified chunks.

A source reads forwards. Reading the first column again starts over, so that a second pass needs nothing new. None of
them keeps more than one block.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from cohort_protocol.scoring.errors import RowUnreadable, ScoringInputInvalid
from cohort_protocol.scoring.kernel.hashing import Seal, SealedSource, Seals


class RowSource(Protocol):
    """One row: int16[d] (an update) or int64[d] (a past step, a public row)."""

    @property
    def dimension(self) -> int:
        """d."""

    @property
    def dtype(self) -> np.dtype:
        """int16 or int64."""

    @property
    def slow(self) -> bool:
        """Whether reading takes time (a disk, a network, a hash), so that it is worth a thread of its own."""

    def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
        """Columns start .. stop - 1, contiguous. Read-only for the caller.

        into: memory that may be used for them (contiguous, of the row's dtype, stop - start long), so that a pass need
        not ask the system for new pages at every block. What is returned stays valid as long as that does."""

    def sealed(self) -> Sequence[SealedSource]:
        """What this row is read from and is to be hashed on the way; a pass over all columns does that."""


Row = RowSource | np.ndarray


def as_source(row: Row) -> RowSource:
    """A source for an array, one that gives memory back for a memory map; a source as it is. Raises
    `ScoringInputInvalid` for anything else."""
    if not isinstance(row, np.ndarray):
        if not hasattr(row, "read"):
            raise ScoringInputInvalid(
                f"a row is a {type(row).__name__}, it must be a numpy array of one axis or a source (`scoring.kernel`)"
            )
        return row
    if isinstance(row, np.memmap) and row.ndim == 1 and row.mode in ("r", "r+") and isinstance(row.base, mmap.mmap):
        return MapRow(row)
    return ArrayRow(row)


def blocks(row: Row, columns: int) -> Iterator[np.ndarray]:
    """A row in blocks of so many columns, hashed on the way if it is sealed."""
    source = as_source(row)
    seals = Seals(source.sealed())
    for start in range(0, source.dimension, columns):
        block = source.read(start, min(start + columns, source.dimension))
        seals.block()
        yield block
    seals.close()


def whole(row: Row) -> np.ndarray:
    """All of a row in memory, for rules that need it."""
    return row if isinstance(row, np.ndarray) else next(iter(list(blocks(row, row.dimension))))


class _Unsealed:
    def sealed(self) -> Sequence[SealedSource]:
        """See `RowSource.sealed`."""
        return ()


class ArrayRow(_Unsealed):
    """An array in memory: blocks are views of it."""

    slow = False

    def __init__(self, array: np.ndarray) -> None:
        if array.ndim != 1:
            raise ScoringInputInvalid(f"a row is {array.dtype}{list(array.shape)}, it must have one axis")
        self._array = array
        self.dimension, self.dtype, self.contiguous = array.size, array.dtype, array.flags.c_contiguous

    def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
        """See `RowSource.read`."""
        return np.ascontiguousarray(self._array[start:stop])


class MapRow(_Unsealed):
    """A shared memory map of a file (`np.memmap`, mode r or r+). Blocks are views of it. Pages that were read are given
    back with the next block, since they would count as this process's memory until somebody else needs it; where the
    system caches files in huge pages, up to 2 MiB of each map count nevertheless (`FileRow` has no such remainder)."""

    slow = False

    def __init__(self, array: np.memmap) -> None:
        self._array = array
        self.dimension, self.dtype = array.size, array.dtype
        self._map: mmap.mmap = array.base
        self._before = array.offset % mmap.ALLOCATIONGRANULARITY
        """Bytes of the map before the array."""
        self._read = (0, 0)
        """Columns of the last block."""

    def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
        """See `RowSource.read`. What is returned stays valid; it is read from the file again if need be."""
        before, self._read = self._read, (start, stop)
        if hasattr(mmap, "MADV_DONTNEED") and before[0] < before[1]:
            width = self.dtype.itemsize
            first = (self._before + before[0] * width) // mmap.PAGESIZE * mmap.PAGESIZE
            length = self._before + before[1] * width - first
            # The pages stay in the system's cache, changed ones too: the map is shared with the file.
            self._map.madvise(mmap.MADV_DONTNEED, first, length)
        return self._array[start:stop].view(np.ndarray)


MAX_KEPT_HANDLES = 200
"""Files that stay open from block to block; beyond that each is opened anew, so that any number of rows can be read."""


class FileRow(_Unsealed):
    """`dimension` little-endian values of a file, from byte `offset` on, read block by block.

    Raises `RowUnreadable` if the file cannot be read, `ScoringInputInvalid` if it is too short."""

    slow = True
    _kept = 0
    _count = threading.Lock()

    def __init__(self, path: Path, dimension: int, dtype: type = np.int16, offset: int = 0) -> None:
        self._path, self._offset = path, offset
        self.dimension, self.dtype = dimension, np.dtype(dtype)
        self._handle: int | None = None

    def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
        """See `RowSource.read`. The file is closed when its last column was read."""
        width = self.dtype.itemsize
        block = np.empty(stop - start, self.dtype) if into is None else into
        view, filled = memoryview(block).cast("B"), 0
        try:
            handle = self._opened()
            try:
                while filled < len(view):
                    count = os.preadv(handle, [view[filled:]], self._offset + start * width + filled)
                    if not count:
                        break
                    filled += count
            finally:
                if self._handle is None:
                    os.close(handle)
        except OSError as error:
            raise RowUnreadable(f"{self._path} could not be read: {error}") from error
        if filled < len(view):
            raise ScoringInputInvalid(
                f"{self._path} ends inside column {start + filled // width}, it must have {self.dimension} columns of "
                f"{width} bytes from byte {self._offset} on"
            )
        if stop == self.dimension:
            self.close()
        return _native(block)

    def close(self) -> None:
        """Gives the file back. Reading again opens it again."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            with FileRow._count:
                FileRow._kept -= 1

    def __del__(self) -> None:
        self.close()

    def _opened(self) -> int:
        if self._handle is not None:
            return self._handle
        handle = os.open(self._path, os.O_RDONLY)
        with FileRow._count:
            if FileRow._kept < MAX_KEPT_HANDLES:
                FileRow._kept += 1
                self._handle = handle
        return handle


class StreamRow:
    """A row that arrives as chunks of its little-endian bytes, such as from a block store.

    open_stream: called for each pass from the first column on. Its iterator yields the bytes of `dimension` values and
    nothing else; it is asked for more after the last value, so that it can check what it handed out and raise.
    seal: is given the keccak256 of all bytes when a pass has read them, once, and may raise.
    Raises what these raise, and `ScoringInputInvalid` if there are too few or too many bytes."""

    slow = True

    def __init__(
        self,
        open_stream: Callable[[], Iterator[bytes]],
        dimension: int,
        dtype: type = np.int16,
        seal: Seal | None = None,
    ) -> None:
        self._open = open_stream
        self.dimension, self.dtype, self.seal = dimension, np.dtype(dtype), seal
        self.last = np.empty(0, dtype)
        self._chunks: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")
        """Of the last chunk, what was not handed out."""
        self._next = dimension
        """The column that comes next from the stream; the dimension if the stream is at its end, or failed."""

    def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
        """See `RowSource.read`. Columns that are skipped are read and dropped."""
        if start < self._next:
            self._chunks, self._rest, self._next = iter(self._open()), memoryview(b""), 0
        at, self._next = self._next, self.dimension
        while at < start:
            # In pieces: a shard may begin far into the row.
            columns = min(start - at, 1 << 16)
            self._take(np.empty(columns, self.dtype), at)
            at += columns
        block = np.empty(stop - start, self.dtype) if into is None else into
        self._take(block, at)
        if stop == self.dimension:
            self._finish()
        self._next = stop
        self.last = _native(block)
        return self.last

    def sealed(self) -> Sequence[SealedSource]:
        """See `RowSource.sealed`."""
        return (self,)

    def _take(self, block: np.ndarray, at: int) -> None:
        data, filled = memoryview(block).cast("B"), 0
        while filled < len(data):
            if not self._rest:
                chunk = next(self._chunks, None)
                if chunk is None:
                    raise ScoringInputInvalid(
                        f"a row ends after {at * self.dtype.itemsize + filled} bytes, it must have "
                        f"{self.dimension * self.dtype.itemsize}"
                    )
                self._rest = memoryview(chunk)
            part = self._rest[: len(data) - filled]
            data[filled : filled + len(part)] = part
            filled += len(part)
            self._rest = self._rest[len(part) :]

    def _finish(self) -> None:
        if self._rest or any(len(chunk) for chunk in self._chunks):
            raise ScoringInputInvalid(f"a row has more than {self.dimension * self.dtype.itemsize} bytes")


def _native(block: np.ndarray) -> np.ndarray:
    """A block of little-endian bytes as numbers of this machine."""
    return block if sys.byteorder == "little" else block.byteswap(inplace=True)


class SharedRow:
    """A row that several others are made of: what it read last is kept, so that they do not read it again."""

    def __init__(self, row: Row) -> None:
        self._row = as_source(row)
        self.dimension, self.dtype, self.slow = self._row.dimension, self._row.dtype, self._row.slow
        self._lock = threading.Lock()
        self._range: tuple[int, int] | None = None
        self._block = np.empty(0, self.dtype)

    def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
        """See `RowSource.read`."""
        with self._lock:
            if self._range != (start, stop):
                self._block = self._row.read(start, stop)
                self._range = (start, stop)
            return self._block

    def sealed(self) -> Sequence[SealedSource]:
        """See `RowSource.sealed`."""
        return self._row.sealed()


class DifferenceRow:
    """after - before, as `difference` computes it of two blocks; it may raise."""

    def __init__(
        self, before: SharedRow, after: SharedRow, difference: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> None:
        if before.dimension != after.dimension:
            raise ScoringInputInvalid(f"a difference of rows of {before.dimension} and {after.dimension} columns")
        self._before, self._after, self._difference = before, after, difference
        self.dimension, self.dtype, self.slow = before.dimension, before.dtype, before.slow or after.slow

    def read(self, start: int, stop: int, into: np.ndarray | None = None) -> np.ndarray:
        """See `RowSource.read`."""
        return self._difference(self._before.read(start, stop), self._after.read(start, stop))

    def sealed(self) -> Sequence[SealedSource]:
        """See `RowSource.sealed`."""
        return (*self._before.sealed(), *self._after.sealed())
