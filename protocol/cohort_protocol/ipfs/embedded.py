"""The embedded store: a folder of blocks, with the CIDs that Kubo gives, and no process to run.

    version                     "cohort block store 1"
    blocks/<xx>/<cid>           one block each; <xx>: 3rd and 2nd characters from the CID's end, as in Kubo
    pins/<cid>                  an empty file: this CID is pinned
    tmp/                        files being written

A block appears by rename after its bytes are on the disk, so a crash leaves whole blocks or nothing (and a
file in tmp/, removed later). Two processes that write one block both rename the same bytes to the same name.
Readers verify every block, so a flipped bit on the disk is an error that names the block. Nothing is deleted.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentCorrupt, ContentNotFound, IpfsUnavailable, StoreUrlInvalid
from cohort_protocol.ipfs.reader import MAX_BLOCK_BYTES
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import CHUNK_BYTES, Block, FileImport, chunks_of

FORMAT = 1
_MARK = f"cohort block store {FORMAT}\n".encode()
# A writer holds a temporary file for milliseconds; one this old was left by a crash.
_STALE_SECONDS = 3600.0


class EmbeddedStore(IpfsStore):
    """Blocks in a folder of the local disk. `root` is created if missing.

    Raises `StoreUrlInvalid` if the folder holds a store of another format, `IpfsUnavailable` if the disk
    fails.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blocks = root / "blocks"
        self._pins = root / "pins"
        self._tmp = root / "tmp"
        with self._disk("open the store"):
            for folder in (self._blocks, self._pins, self._tmp):
                folder.mkdir(parents=True, exist_ok=True)
            self._check_format()
            self._drop_stale()

    @property
    def root(self) -> Path:
        """The store's folder."""
        return self._root

    def put(self, source: bytes | Path | BinaryIO) -> Cid:
        importer = FileImport()
        touched: set[Path] = set()
        for chunk in chunks_of(source):
            for block in importer.add(chunk):
                touched.add(self._write_block(block))
        last, cid = importer.finish()
        for block in last:
            touched.add(self._write_block(block))
        # Renames are durable once their folder is; the pin comes last, so a pin never names missing blocks.
        with self._disk("sync the store"):
            for folder in touched:
                _sync(folder)
        self._add_pin(cid)
        return cid

    def unpin(self, cid: Cid) -> None:
        with self._disk(f"unpin {cid}"):
            (self._pins / str(cid)).unlink(missing_ok=True)
            _sync(self._pins)

    def pinned(self, cid: Cid) -> bool:
        with self._disk(f"look for the pin of {cid}"):
            return (self._pins / str(cid)).is_file()

    def name_and_version(self) -> str:
        return f"embedded block store {FORMAT}"

    def _read_block(self, cid: Cid) -> bytes:
        path = self._path(cid)
        with self._disk(f"read block {cid}"):
            try:
                with path.open("rb") as stream:
                    block = stream.read(MAX_BLOCK_BYTES + 1)
            except FileNotFoundError as error:
                raise ContentNotFound(f"block {cid} is not in the store at {self._root}") from error
        if len(block) > MAX_BLOCK_BYTES:
            # `put` never writes more than 256 KiB, so this is damage and not somebody's content.
            raise ContentCorrupt(f"block {cid}: {path} has more than {MAX_BLOCK_BYTES} bytes; delete it")
        return block

    def _read_held_block(self, cid: Cid) -> bytes:
        return self._read_block(cid)

    def _holds_block(self, cid: Cid) -> bool:
        with self._disk(f"look for block {cid}"):
            return self._path(cid).is_file()

    def _add_pin(self, cid: Cid) -> None:
        with self._disk(f"pin {cid}"):
            (self._pins / str(cid)).touch()
            _sync(self._pins)

    def _path(self, cid: Cid) -> Path:
        name = str(cid)
        return self._blocks / name[-3:-1] / name

    def _write_block(self, block: Block) -> Path:
        """Make sure the block is there, whole. Returns its folder, to be synced."""
        path = self._path(block.cid)
        with self._disk(f"write block {block.cid}"):
            if not self._is_whole(path, block):
                if not path.parent.is_dir():
                    path.parent.mkdir(exist_ok=True)
                    _sync(self._blocks)
                self._write_file(path, block.data)
        return path.parent

    def _is_whole(self, path: Path, block: Block) -> bool:
        # Compared, not trusted: adding content again repairs a damaged block.
        try:
            with path.open("rb") as stream:
                return stream.read(CHUNK_BYTES + 1) == block.data
        except FileNotFoundError:
            return False

    def _write_file(self, path: Path, data: bytes) -> None:
        temporary = self._tmp / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _check_format(self) -> None:
        mark = self._root / "version"
        if not mark.exists():
            self._write_file(mark, _MARK)
        with mark.open("rb") as stream:
            found = stream.read(100)
        if found != _MARK:
            raise StoreUrlInvalid(
                f"{self._root} holds {found!a}, not a block store of format {FORMAT}; use another folder"
            )

    def _drop_stale(self) -> None:
        oldest = time.time() - _STALE_SECONDS
        for left in self._tmp.iterdir():
            try:
                if left.stat().st_mtime < oldest:
                    left.unlink()
            except FileNotFoundError:
                continue  # another process removed or renamed it first

    @contextmanager
    def _disk(self, action: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise IpfsUnavailable(f"the block store at {self._root} could not {action}: {error}") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
