"""The store interface: put bytes in, get the same bytes out, or learn exactly why not.

`IpfsStore` fixes everything that must not differ between stores: which trees are files, what is verified, in
which order limits are checked, which error means what. A store only supplies blocks. One test suite
(`tests/protocol/ipfs/store_contract.py`) runs on every store.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from cohort_protocol.deadlines import Pace
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentNotFound, IpfsUnavailable
from cohort_protocol.ipfs.reader import ReadBlock, leaves, read_file
from cohort_protocol.ipfs.unixfs import MAX_FILE_BYTES


class IpfsStore(ABC):
    """Content by CID. Safe to use from many threads and many processes at once.

    Every method may raise `IpfsUnavailable`: the store does not answer or its disk fails.
    """

    _pace: Pace | None = None
    """How slowly a file may come, for stores that are on a network."""
    _where: str = ""
    """The store, for messages."""

    @abstractmethod
    def put(self, source: bytes | Path | BinaryIO) -> Cid:
        """Add a file, pin it, return its CID (the same on every store). Streams: memory does not grow.

        When it returns, the content is readable and pinned. Raises `SourceUnreadable`; `ContentCorrupt` if
        the store came to another CID than `unixfs.cid_of`.
        """

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        """The content of `cid`, verified, if it has at most `max_bytes` bytes.

        Raises `ContentNotFound`; `ContentTooLarge` (before the content is read); `ContentMalformed` (not a
        file as `put` makes it); `ContentCorrupt` (the store returned bytes that do not match the CID).
        """
        return b"".join(self.stream(cid, max_bytes))

    def stream(self, cid: Cid, max_bytes: int) -> Iterator[bytes]:
        """As `get`, in chunks of at most 256 KiB, each verified before it is handed out.

        The errors of `get` come while iterating; what was handed out before one is genuine but incomplete. What comes
        over a network too slowly to end in a time that fits its size is `IpfsUnavailable`.
        """
        if self._pace is None:
            return read_file(cid, max_bytes, self._read_block)
        return read_file(cid, max_bytes, _Paced(self._read_block, self._pace, f"{cid} from {self._where}"))

    def has(self, cid: Cid) -> bool:
        """Whether all blocks of `cid` are held by this store itself, so that `get` needs nobody else.

        Verifies the tree but not the chunks. Raises `ContentMalformed`, `ContentCorrupt`.
        """
        try:
            return all(self._holds_block(leaf.cid) for leaf in leaves(cid, MAX_FILE_BYTES, self._read_held_block))
        except ContentNotFound:
            return False

    def pin(self, cid: Cid) -> None:
        """Keep content that the store holds. Pinning twice is pinning once.

        Never fetches: `get` first what may be elsewhere, with a bound. Raises `ContentNotFound` if a block is
        not held, `ContentMalformed`, `ContentCorrupt`.
        """
        if not self.has(cid):
            raise ContentNotFound(f"{cid} cannot be pinned: this store does not hold all of it; get it first")
        self._add_pin(cid)

    @abstractmethod
    def unpin(self, cid: Cid) -> None:
        """No longer keep `cid`. Nothing happens if it was not pinned.

        Its blocks stay until the store collects garbage: Kubo when told to, the embedded store never.
        """

    @abstractmethod
    def pinned(self, cid: Cid) -> bool:
        """Whether `cid` itself is pinned."""

    @abstractmethod
    def name_and_version(self) -> str:
        """For reports, such as "embedded block store 1" or "kubo 0.39.0"."""

    def close(self) -> None:  # noqa: B027 - a store without connections has nothing to close
        """Give back connections. The store can still be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _read_block(self, cid: Cid) -> bytes:
        """A block's bytes, unverified, from wherever the store finds it; see `reader.ReadBlock`.

        Raises `ContentNotFound`; `ContentTooLarge` or `ContentCorrupt` for more than MAX_BLOCK_BYTES.
        """

    @abstractmethod
    def _read_held_block(self, cid: Cid) -> bytes:
        """As `_read_block`, only from what this store holds itself."""

    @abstractmethod
    def _holds_block(self, cid: Cid) -> bool:
        """Whether this store holds the block itself."""

    @abstractmethod
    def _add_pin(self, cid: Cid) -> None:
        """Record a pin on content that is held."""


class _Paced:
    """Reads blocks of one file, and gives up when they have taken longer than `pace` allows for their bytes. Each block
    has a deadline of its own below; a file has thousands. Only the reading counts, not what is done with the blocks."""

    def __init__(self, read_block: ReadBlock, pace: Pace, what: str) -> None:
        self._read_block, self._pace, self._what = read_block, pace, what
        self._seconds, self._bytes = 0.0, 0

    def __call__(self, cid: Cid) -> bytes:
        started = time.monotonic()
        block = self._read_block(cid)
        self._seconds += time.monotonic() - started
        self._bytes += len(block)
        if self._seconds > self._pace.seconds(self._bytes):
            raise IpfsUnavailable(
                f"{self._what}: {self._bytes} bytes came in {self._seconds:.0f} s, which is given up as too slow "
                f"(allowed are {self._pace.grace_s:g} s and one more for each {self._pace.min_rate:g} bytes). Try "
                "another store, or again later; for a slow line set a lower rate (COHORT_IPFS_MIN_RATE, ipfs_min_rate)"
            )
        return block
