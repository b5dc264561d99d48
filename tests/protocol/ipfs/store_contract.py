"""What every store must do. `TestEmbeddedStore` and `TestKuboStore` run all of it, each on its own `rig`."""

from __future__ import annotations

import io
import multiprocessing
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import pytest
from cohort_protocol.errors import InvalidInput, NotFound, Unavailable
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.errors import (
    ContentCorrupt,
    ContentMalformed,
    ContentNotFound,
    ContentTooLarge,
    IpfsError,
    SourceUnreadable,
)
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import CHUNK_BYTES, MAX_LINKS, Block, cid_of

from tests.protocol.ipfs.trees import blocks_of, content, dag_pb, link, node, raw

SIZES = [
    0,
    1,
    2,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    2 * CHUNK_BYTES,
    3_000_001,
    MAX_LINKS * CHUNK_BYTES - 1,
    MAX_LINKS * CHUNK_BYTES,
    MAX_LINKS * CHUNK_BYTES + 1,
    (MAX_LINKS + 1) * CHUNK_BYTES,
]
# Content that only one test adds, so that the tests may share a node.
ABSENT, LARGE, PARTIAL, PINNED, SHARED, DAMAGED, HELD = range(100, 107)


class Rig(Protocol):
    """A store under test and the ways to spoil it."""

    url: str
    store: IpfsStore

    def plant(self, *blocks: Block) -> None:
        """Make the store hold these blocks, without importing anything."""

    def damaged(self, cid: Cid) -> IpfsStore:
        """The same store as seen once one byte of the block `cid` is flipped."""


def put_shared(url: str, seed: int, times: int) -> str:
    """Run by other processes: add the same content again and again, read it back."""
    data = content(3 * CHUNK_BYTES + 5, seed)
    with connect_store(url) as store:
        for _ in range(times):
            cid = store.put(data)
            assert store.get(cid, len(data)) == data
    return str(cid)


class Repeating(io.RawIOBase):
    """A stream of `size` bytes, made as they are read, in reads shorter than asked for."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        count = min(self._left, size, 100_000)
        self._left -= count
        return bytes([self._left % 251]) * count


class FailingStream(io.RawIOBase):
    """A stream whose disk fails after the first chunk."""

    def __init__(self) -> None:
        self._reads = 0

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads > 1:
            raise OSError("the disk went away")
        return b"x" * size


class StoreContract:
    """Subclasses give a fixture `rig`."""

    @pytest.mark.parametrize("size", SIZES)
    def test_what_is_put_comes_back_under_the_cid_of_its_bytes(self, rig: Rig, size: int) -> None:
        data = content(size)
        cid = rig.store.put(data)
        assert cid == cid_of(data)
        assert rig.store.get(cid, size) == data
        assert rig.store.has(cid)

    @pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1])
    def test_paths_and_streams_are_put_like_bytes(self, rig: Rig, size: int, tmp_path: Path) -> None:
        data = content(size, seed=1)
        path = tmp_path / "file"
        path.write_bytes(data)
        assert rig.store.put(path) == rig.store.put(io.BytesIO(data)) == rig.store.put(data) == cid_of(data)

    def test_a_limit_of_exactly_the_size_is_enough(self, rig: Rig) -> None:
        for size in (0, 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1):
            cid = rig.store.put(content(size))
            assert len(rig.store.get(cid, size)) == size
            with pytest.raises(ContentTooLarge, match=f"has {size} bytes; at most {size - 1} are allowed"):
                rig.store.get(cid, size - 1)

    def test_too_large_is_known_from_the_root_alone(self, rig: Rig) -> None:
        # The store holds the root and no chunk: had a chunk been asked for, the error would be another.
        root = blocks_of(content(5 * CHUNK_BYTES, LARGE))[-1]
        rig.plant(root)
        with pytest.raises(ContentTooLarge):
            rig.store.get(root.cid, 5 * CHUNK_BYTES - 1)
        with pytest.raises(ContentNotFound):
            rig.store.get(root.cid, 5 * CHUNK_BYTES)

    @pytest.mark.parametrize("size", [9, 2 * CHUNK_BYTES])
    def test_missing_content(self, rig: Rig, size: int) -> None:
        cid = cid_of(content(size, ABSENT))
        with pytest.raises(ContentNotFound, match=str(cid)) as missing:
            rig.store.get(cid, 10**9)
        assert isinstance(missing.value, NotFound)
        assert not rig.store.has(cid)
        assert not rig.store.pinned(cid)
        with pytest.raises(ContentNotFound, match="get it first"):
            rig.store.pin(cid)
        rig.store.unpin(cid)

    def test_content_with_one_chunk_missing(self, rig: Rig) -> None:
        first, missing, *rest = blocks_of(content(3 * CHUNK_BYTES, PARTIAL))
        rig.plant(first, *rest)
        cid = rest[-1].cid
        stream = rig.store.stream(cid, 10**9)
        assert next(stream) == first.data
        with pytest.raises(ContentNotFound, match=str(missing.cid)):
            next(stream)
        assert not rig.store.has(cid)
        with pytest.raises(ContentNotFound):
            rig.store.pin(cid)
        assert not rig.store.pinned(cid)

    @pytest.mark.parametrize("which", [0, 1, -1], ids=["first chunk", "second chunk", "root"])
    def test_a_flipped_byte_is_found_and_its_block_named(self, rig: Rig, which: int) -> None:
        data = content(3 * CHUNK_BYTES, DAMAGED + which)
        cid = rig.store.put(data)
        hurt = blocks_of(data)[which].cid
        with pytest.raises(ContentCorrupt, match=str(hurt)) as corrupt:
            rig.damaged(hurt).get(cid, len(data))
        # Our fault or our disk's: nobody may be blamed for it.
        assert isinstance(corrupt.value, Unavailable)
        assert not isinstance(corrupt.value, InvalidInput)

    def test_a_flipped_byte_in_a_single_block(self, rig: Rig) -> None:
        cid = rig.store.put(content(1000, DAMAGED))
        with pytest.raises(ContentCorrupt, match=str(cid)):
            rig.damaged(cid).get(cid, 1000)

    def test_pins(self, rig: Rig) -> None:
        data = content(2 * CHUNK_BYTES, PINNED)
        cid = rig.store.put(data)
        assert rig.store.pinned(cid)
        assert not rig.store.pinned(blocks_of(data)[0].cid)
        rig.store.unpin(cid)
        rig.store.unpin(cid)
        assert not rig.store.pinned(cid)
        assert rig.store.get(cid, len(data)) == data
        rig.store.pin(cid)
        rig.store.pin(cid)
        assert rig.store.pinned(cid)
        assert connect_store(rig.url).pinned(cid)

    def test_held_content_is_pinned_without_being_put(self, rig: Rig) -> None:
        blocks = blocks_of(content(3 * CHUNK_BYTES + 1, HELD))
        rig.plant(*blocks)
        cid = blocks[-1].cid
        rig.store.unpin(cid)
        assert rig.store.has(cid)
        assert not rig.store.pinned(cid)
        rig.store.pin(cid)
        assert rig.store.pinned(cid)

    def test_many_processes_add_the_same_content(self, rig: Rig) -> None:
        with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
            cids = set(pool.map(put_shared, [rig.url] * 4, [SHARED] * 4, [5] * 4))
        assert cids == {str(cid_of(content(3 * CHUNK_BYTES + 5, SHARED)))}

    def test_many_threads_share_a_store(self, rig: Rig) -> None:
        datas = [content(CHUNK_BYTES + seed, seed) for seed in range(12)]
        with ThreadPoolExecutor(6) as pool:
            cids = list(pool.map(rig.store.put, datas))
            back = list(pool.map(lambda cid: rig.store.get(cid, 2 * CHUNK_BYTES), cids))
        assert back == datas

    def test_memory_does_not_grow_with_the_content(self, rig: Rig) -> None:
        size = 128 * CHUNK_BYTES
        tracemalloc.start()
        try:
            cid = rig.store.put(Repeating(size))
            assert sum(len(chunk) for chunk in rig.store.stream(cid, size)) == size
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 24 * CHUNK_BYTES

    def test_a_source_that_fails_is_not_the_stores_fault(self, rig: Rig, tmp_path: Path) -> None:
        for source in (FailingStream(), tmp_path / "no such file", tmp_path):
            with pytest.raises(SourceUnreadable) as failed:
                rig.store.put(source)
            assert not isinstance(failed.value, Unavailable)
        # The store still works, on the same connection or a new one.
        assert rig.store.get(rig.store.put(b"after a failure"), 100) == b"after a failure"

    def test_trees_that_no_import_makes_are_refused(self, rig: Rig) -> None:
        for blocks in hostile_trees():
            rig.plant(*blocks)
            cid = blocks[-1].cid
            with pytest.raises(ContentMalformed) as refused:
                rig.store.get(cid, 10**9)
            assert isinstance(refused.value, InvalidInput)
            assert not isinstance(refused.value, Unavailable)

    def test_endless_and_oversized_blocks_are_refused(self, rig: Rig) -> None:
        big = raw(content(1_000_000, LARGE))
        rig.plant(big)
        with pytest.raises(ContentTooLarge):
            rig.store.get(big.cid, 999_999)
        with pytest.raises(ContentMalformed, match="one raw block of 1000000 bytes"):
            rig.store.get(big.cid, 1_000_000)

    def test_name_and_version(self, rig: Rig) -> None:
        name, version = rig.store.name_and_version().rsplit(" ", 1)
        assert name in ("embedded block store", "kubo")
        assert version[0].isdigit()

    def test_a_closed_store_can_be_used_again(self, rig: Rig) -> None:
        with connect_store(rig.url) as store:
            cid = store.put(b"closed")
        assert store.get(cid, 6) == b"closed"
        store.close()
        store.close()

    def test_garbage_under_a_dag_pb_cid(self, rig: Rig) -> None:
        for data in (b"", b"\x00", b"garbage", content(5000, 7), b"\x0a\x02\x08\x02"):
            block = dag_pb(data)
            rig.plant(block)
            with pytest.raises(IpfsError):
                rig.store.get(block.cid, 10**9)


def hostile_trees() -> list[list[Block]]:
    """Trees whose blocks all match their CIDs; the last block of each is its root."""
    full, other = raw(content(CHUNK_BYTES, 50)), raw(content(CHUNK_BYTES, 51))
    small, empty = raw(b"small"), raw(b"")
    pair = node(link(full, CHUNK_BYTES), link(other, CHUNK_BYTES))
    mebibyte = raw(content(4 * CHUNK_BYTES, 52))
    # Two levels over few blocks: 174 times the same chunk, then one chunk more.
    many, last = node(*[link(full, CHUNK_BYTES)] * MAX_LINKS), node(link(full, CHUNK_BYTES))
    below, beside = MAX_LINKS * CHUNK_BYTES, link(last, CHUNK_BYTES, CHUNK_BYTES + len(last.data))
    unfilled = link(pair, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + len(pair.data))
    return [
        # one chunk does not need a node
        [small, node(link(small, 5))],
        # nothing, many times over: would be a bomb if empty parts were followed
        [empty, node(*[link(empty, 0)] * MAX_LINKS)],
        # other chunk sizes
        [small, node(link(small, 5), link(small, 5))],
        [small, full, node(link(small, 5), link(full, CHUNK_BYTES))],
        [mebibyte, node(link(mebibyte, 4 * CHUNK_BYTES), link(mebibyte, 4 * CHUNK_BYTES))],
        # sizes that lie about the chunks
        [full, small, node(link(full, CHUNK_BYTES), link(small, 6))],
        [full, small, node(link(full, CHUNK_BYTES), link(small, 4))],
        [full, small, node(link(full, CHUNK_BYTES), link(small, 5, 7))],
        # nodes where chunks belong, half-filled nodes, a chunk under a node's CID
        [full, other, pair, node(unfilled, unfilled)],
        [full, other, pair, node(unfilled)],
        [full, node(link(full, CHUNK_BYTES), link(dag_pb(full.data), CHUNK_BYTES))],
        # sizes that lie about the nodes, a chunk where a node belongs
        [full, many, last, node(link(many, below, below), beside)],
        [full, many, last, node(link(many, below, below + len(many.data)), link(last, 5, beside.tree_bytes))],
        [full, many, last, node(beside, link(many, below, below + len(many.data)))],
        [full, many, node(link(many, below, below + len(many.data)), link(full, CHUNK_BYTES))],
    ]
