"""A block store as a reader of a private project sees it: sealed files open while they are read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentTooLarge
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.sealing.file import MAGIC, is_sealed, open_sealed, sealed_size
from cohort_protocol.sealing.readers import Readers


class OpeningStore(IpfsStore):
    """`store`, with files that are sealed for these readers given as their content. Everything else is as it was.

    Sizes are those of the content. Reading raises what `open_sealed` raises besides what the store raises."""

    def __init__(self, store: IpfsStore, private_key: bytes, readers: Readers, context: bytes) -> None:
        self._store, self._private_key, self._readers, self._context = store, private_key, readers, context

    def stream(self, cid: Cid, max_bytes: int) -> Iterator[bytes]:
        """See `IpfsStore.stream`."""
        source = self._store.stream(cid, sealed_size(max_bytes, self._readers))
        start = b""
        while len(start) < len(MAGIC) and (chunk := next(source, None)) is not None:
            start += chunk
        chunks: Iterator[bytes] = chain([start] if start else [], source)
        if is_sealed(start):
            chunks = open_sealed(chunks, self._private_key, self._readers, self._context)
        given = 0
        for chunk in chunks:
            given += len(chunk)
            if given > max_bytes:
                raise ContentTooLarge(f"{cid} has more than the {max_bytes} bytes that are allowed")
            yield chunk

    def put(self, source: bytes | Path | BinaryIO) -> Cid:
        """As it is: what is to be sealed was sealed before."""
        return self._store.put(source)

    def has(self, cid: Cid) -> bool:
        """See `IpfsStore.has`."""
        return self._store.has(cid)

    def pin(self, cid: Cid) -> None:
        """See `IpfsStore.pin`."""
        self._store.pin(cid)

    def unpin(self, cid: Cid) -> None:
        """See `IpfsStore.unpin`."""
        self._store.unpin(cid)

    def pinned(self, cid: Cid) -> bool:
        """See `IpfsStore.pinned`."""
        return self._store.pinned(cid)

    def name_and_version(self) -> str:
        """Of the store beneath."""
        return self._store.name_and_version()

    def close(self) -> None:
        """Closes the store beneath."""
        self._store.close()

    def _read_block(self, cid: Cid) -> bytes:
        return self._store._read_block(cid)

    def _read_held_block(self, cid: Cid) -> bytes:
        return self._store._read_held_block(cid)

    def _holds_block(self, cid: Cid) -> bool:
        return self._store._holds_block(cid)

    def _add_pin(self, cid: Cid) -> None:
        self._store._add_pin(cid)
