"""The file layout: Kubo's CIDs without Kubo, one spelling per node, and readers that nothing can surprise."""

from __future__ import annotations

import io

import pytest
from cohort_protocol.ipfs.cid import DAG_PB, RAW, Cid
from cohort_protocol.ipfs.errors import ContentMalformed, ContentNotFound, ContentTooLarge, IpfsError
from cohort_protocol.ipfs.reader import leaves, read_file
from cohort_protocol.ipfs.unixfs import (
    CHUNK_BYTES,
    MAX_FILE_BYTES,
    MAX_HEIGHT,
    MAX_LINKS,
    Block,
    FileImport,
    Link,
    Node,
    chunks_of,
    cid_of,
    height_of,
    part_sizes,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.protocol.ipfs.store_contract import Repeating, hostile_trees
from tests.protocol.ipfs.trees import KUBO_CIDS, blocks_of, content, dag_pb, raw

cids = st.builds(Cid, st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))
links = st.builds(Link, cids, st.integers(0, 2**40), st.integers(0, 2**63 - 1))
nodes = st.builds(lambda found: Node(tuple(found)), st.lists(links, min_size=1, max_size=12))


@pytest.mark.parametrize("size", KUBO_CIDS)
def test_cids_are_those_of_kubo(size: int) -> None:
    assert str(cid_of(content(size))) == KUBO_CIDS[size]


def test_blocks_come_children_first_and_are_small() -> None:
    seen: set[Cid] = set()
    blocks = blocks_of(content((MAX_LINKS + 2) * CHUNK_BYTES))
    for block in blocks:
        assert block.cid.matches(block.data)
        assert len(block.data) <= CHUNK_BYTES
        if block.cid.codec == DAG_PB:
            assert {link.cid for link in Node.decode(block.data).links} <= seen
        seen.add(block.cid)
    assert [block.cid.codec for block in blocks].count(DAG_PB) == 3


def test_three_levels_are_written_and_read() -> None:
    # Every chunk the same, so that 8 GB of content are one block.
    chunk = content(CHUNK_BYTES)
    leaf = Link(Cid.of_block(RAW, chunk), CHUNK_BYTES, CHUNK_BYTES)
    importer, held = FileImport(), {leaf.cid: chunk}
    count = MAX_LINKS**2 + 1
    for _ in range(count):
        blocks: list[Block] = []
        importer._push(0, leaf, blocks)
        held.update(blocks)
    last, cid = importer.finish()
    held.update(last)
    assert list(leaves(cid, 10**10, held.__getitem__)) == [leaf] * count
    # 3 full-level-1 kinds, 2 of level 2, the root
    assert len(held) == 1 + 2 + 2 + 1
    with pytest.raises(ContentTooLarge):
        next(leaves(cid, count * CHUNK_BYTES - 1, held.__getitem__))


@settings(deadline=None)
@given(st.integers(1, MAX_FILE_BYTES))
def test_part_sizes_add_up_and_fill_from_the_left(size: int) -> None:
    height = height_of(size)
    assert 0 <= height <= MAX_HEIGHT
    if height == 0:
        assert size <= CHUNK_BYTES
        return
    parts = part_sizes(size, height)
    full = CHUNK_BYTES * MAX_LINKS ** (height - 1)
    assert sum(parts) == size
    assert 2 <= len(parts) <= MAX_LINKS
    assert all(part == full for part in parts[:-1])
    assert 0 < parts[-1] <= full


@settings(deadline=None)
@given(nodes)
def test_nodes_round_trip(node: Node) -> None:
    if node.file_bytes <= MAX_FILE_BYTES:
        assert Node.decode(node.encode()) == node


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_node_or_malformed(block: bytes) -> None:
    check_decoder(block)


@settings(deadline=None)
@given(nodes, st.data())
def test_a_node_with_changed_bytes_is_another_node_or_malformed(node: Node, data: st.DataObject) -> None:
    block = bytearray(node.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(block) - 1))
        match data.draw(st.sampled_from(["change", "delete", "insert", "cut"])):
            case "change":
                block[at] = data.draw(st.integers(0, 255))
            case "delete" if len(block) > 1:
                del block[at]
            case "insert":
                block[at:at] = data.draw(st.binary(min_size=1, max_size=3))
            case _:
                block = block[: max(at, 1)]
    check_decoder(bytes(block))


def check_decoder(block: bytes) -> None:
    try:
        node = Node.decode(block)
    except ContentMalformed:
        return
    assert node.encode() == block
    assert 1 <= len(node.links) <= MAX_LINKS


LEAF = bytes(Cid.of_block(RAW, b"x"))
LINK = b"\x12\x2a\x0a\x24" + LEAF + b"\x12\x00\x18\x01"
DATA = b"\x0a\x06\x08\x02\x18\x01\x20\x01"


def test_a_node_written_by_hand_is_read() -> None:
    assert Node.decode(LINK + DATA) == Node((Link(Cid.from_bytes(LEAF), 1, 1),))
    # As many links as are allowed: 174 = 0xae 0x01, data of 353 bytes = 0xe1 0x02.
    full = Node.decode(LINK * 174 + b"\x0a\xe1\x02\x08\x02\x18\xae\x01" + b"\x20\x01" * 174)
    assert len(full.links) == MAX_LINKS


MISSPELT = [
    DATA + LINK,
    LINK + DATA + DATA,
    LINK + DATA + b"\x1a\x00",
    LINK,
    DATA,
    b"",
    LINK * 175 + b"\x0a\xe3\x02\x08\x02\x18\xaf\x01" + b"\x20\x01" * 175,
    # type raw (0), directory (1), symlink (4)
    LINK + DATA.replace(b"\x08\x02", b"\x08\x00"),
    LINK + DATA.replace(b"\x08\x02", b"\x08\x01"),
    LINK + DATA.replace(b"\x08\x02", b"\x08\x04"),
    # content inside the node; sizes missing, too many, packed, wrong, padded, over 63 bits
    LINK + b"\x0a\x09\x08\x02\x12\x01x\x18\x01\x20\x01",
    LINK + b"\x0a\x04\x08\x02\x18\x01",
    LINK + b"\x0a\x08\x08\x02\x18\x01\x20\x01\x20\x00",
    LINK + b"\x0a\x07\x08\x02\x18\x01\x22\x01\x01",
    LINK + b"\x0a\x06\x08\x02\x18\x02\x20\x01",
    LINK + b"\x0a\x07\x08\x02\x18\x81\x00\x20\x01",
    LINK + b"\x0a\x1a\x08\x02\x18" + b"\xff" * 10 + b"\x01\x20" + b"\xff" * 10 + b"\x01",
    LINK + b"\x0a\x18\x08\x02\x18" + b"\xff" * 9 + b"\x01\x20" + b"\xff" * 9 + b"\x01",
    LINK + b"\x0a\x16\x08\x02\x18" + b"\xff" * 8 + b"\x7f\x20" + b"\xff" * 8 + b"\x7f",
    # links with a name, without a hash, without a size, to another kind of CID
    b"\x12\x2b\x0a\x24" + LEAF + b"\x12\x01a\x18\x01" + DATA,
    b"\x12\x04\x12\x00\x18\x01" + DATA,
    b"\x12\x28\x0a\x24" + LEAF + b"\x12\x00" + DATA,
    b"\x12\x2a\x0a\x24" + b"\x01\x71" + LEAF[2:] + b"\x12\x00\x18\x01" + DATA,
    b"\x12\x28\x0a\x22" + LEAF[2:] + b"\x12\x00\x18\x01" + DATA,
    # lengths beyond the end
    b"\x12\x7f" + LINK[2:] + DATA,
    LINK + b"\x0a\xff\xff\xff\xff\x07\x08\x02",
    LINK + b"\x0a",
    LINK + b"\x0a\x80",
]


@pytest.mark.parametrize("block", MISSPELT, ids=range(len(MISSPELT)))
def test_misspelt_nodes_are_refused(block: bytes) -> None:
    with pytest.raises(ContentMalformed):
        Node.decode(block)


def test_trees_that_no_import_makes_are_refused() -> None:
    for blocks in hostile_trees():
        held = dict(blocks)
        with pytest.raises(ContentMalformed):
            b"".join(read_file(blocks[-1].cid, 10**9, held.__getitem__))


@st.composite
def trees(draw: st.DrawFn) -> list[Block]:
    """Blocks that match their CIDs, in trees made of real chunks, small chunks and lies about sizes."""
    data = content(CHUNK_BYTES * draw(st.integers(1, 4)) + draw(st.integers(-1, 1)))
    blocks = blocks_of(data)
    blocks += [raw(b""), raw(b"x")]
    for _ in range(draw(st.integers(0, 4))):
        chosen = draw(st.lists(st.sampled_from(blocks), min_size=1, max_size=4))
        edges = []
        for block in chosen:
            honest = len(block.data)
            tree = honest
            if block.cid.codec == DAG_PB:
                below = Node.decode(block.data)
                honest, tree = below.file_bytes, below.tree_bytes
            edges.append(Link(block.cid, honest + draw(st.sampled_from([0, 0, 0, -1, 1, 5])), tree))
        edges = [edge for edge in edges if edge.file_bytes >= 0]
        if edges:
            blocks.append(dag_pb(Node(tuple(edges)).encode()))
    return blocks


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees(), st.data(), st.integers(0, 6 * CHUNK_BYTES))
def test_what_can_be_read_has_no_other_cid(blocks: list[Block], data: st.DataObject, limit: int) -> None:
    held = dict(blocks)
    for _ in range(data.draw(st.integers(0, 1))):
        held.pop(data.draw(st.sampled_from(blocks)).cid, None)
    reads = 0

    def read_block(cid: Cid) -> bytes:
        nonlocal reads
        reads += 1
        if cid not in held:
            raise ContentNotFound(str(cid))
        return held[cid]

    for root, _ in blocks:
        reads = 0
        try:
            found = b"".join(read_file(root, limit, read_block))
        except IpfsError:
            pass
        else:
            assert len(found) <= limit
            assert cid_of(found) == root
        assert reads <= 2 + limit // CHUNK_BYTES + 2


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_chunks_do_not_depend_on_how_a_stream_is_read(size: int) -> None:
    chunks = list(chunks_of(Repeating(size)))
    whole = b"".join(chunks)
    assert len(whole) == size
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK_BYTES] * (len(chunks) - 1)
    assert list(chunks_of(whole)) == list(chunks_of(io.BytesIO(whole))) == list(chunks_of(memoryview(whole))) == chunks
