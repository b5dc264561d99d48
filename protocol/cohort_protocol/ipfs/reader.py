"""Reading a file back from blocks that nobody vouches for.

Every block is checked against its CID before a byte of it is believed, every size against the layout that the
file's size fixes (see `unixfs`). So the number of blocks read is bounded by the size that the verified root
declares, and that is compared with the caller's limit before the first chunk is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cohort_protocol.ipfs.cid import DAG_PB, RAW, Cid
from cohort_protocol.ipfs.errors import ContentCorrupt, ContentMalformed, ContentTooLarge
from cohort_protocol.ipfs.unixfs import CHUNK_BYTES, Link, Node, height_of, part_sizes

# The largest block that IPFS nodes exchange (Bitswap). Blocks over 256 KiB are never valid here, but they are
# read whole to know whether the publisher made them so or the store damaged them.
MAX_BLOCK_BYTES = 2 * 1024 * 1024

ReadBlock = Callable[[Cid], bytes]
"""Returns a block's bytes, unverified, at most MAX_BLOCK_BYTES of them; raises an `IpfsError`."""


def read_file(cid: Cid, max_bytes: int, read_block: ReadBlock) -> Iterator[bytes]:
    """The content of `cid` in order, in verified chunks of at most 256 KiB.

    Raises `ContentTooLarge` before the first chunk if the content has more than `max_bytes`;
    `ContentCorrupt` for a block that does not match its CID, `ContentMalformed` for a tree that the import
    would not have made, and whatever `read_block` raises. What came before an error was verified.
    """
    if cid.codec == RAW:
        block = read_verified(cid, read_block)
        if len(block) > max_bytes:
            raise _too_large(cid, len(block), max_bytes)
        if len(block) > CHUNK_BYTES:
            raise ContentMalformed(f"{cid} is one raw block of {len(block)} bytes; {_HOW}")
        yield block
        return
    for leaf in leaves(cid, max_bytes, read_block):
        block = read_verified(leaf.cid, read_block)
        if len(block) != leaf.file_bytes:
            raise ContentMalformed(
                f"{cid}: block {leaf.cid} has {len(block)} bytes, its parent says {leaf.file_bytes}; {_HOW}"
            )
        yield block


def leaves(cid: Cid, max_bytes: int, read_block: ReadBlock) -> Iterator[Link]:
    """The links to the chunks of `cid`, in order, without reading the chunks. Raises as `read_file` does."""
    if cid.codec == RAW:
        # A single block says nothing about its size before it is read.
        yield Link(cid, 0, 0)
        return
    root = _read_node(cid, read_block)
    if root.file_bytes > max_bytes:
        raise _too_large(cid, root.file_bytes, max_bytes)
    height = height_of(root.file_bytes)
    if height == 0:
        raise ContentMalformed(f"{cid} is a node over {root.file_bytes} bytes, which fit one chunk; {_HOW}")
    yield from _leaves_below(cid, root, height, read_block)


def read_verified(cid: Cid, read_block: ReadBlock) -> bytes:
    """One block whose bytes match `cid`. Raises `ContentCorrupt` otherwise."""
    block = read_block(cid)
    if not cid.matches(block):
        raise ContentCorrupt(
            f"block {cid}: the store returned {len(block)} bytes that do not match it. The store's disk is "
            "damaged or the node lies; add the content again or use another store"
        )
    return block


def _leaves_below(root: Cid, node: Node, height: int, read_block: ReadBlock) -> Iterator[Link]:
    if [link.file_bytes for link in node.links] != part_sizes(node.file_bytes, height):
        raise ContentMalformed(f"{root}: a node at height {height} is not cut as the import does; {_HOW}")
    codec = RAW if height == 1 else DAG_PB
    for link in node.links:
        if link.cid.codec != codec:
            raise ContentMalformed(f"{root}: {link.cid} has the wrong codec for height {height - 1}; {_HOW}")
        if height == 1:
            if link.tree_bytes != link.file_bytes:
                raise ContentMalformed(f"{root}: link {link.cid} does not count its chunk")
            yield link
            continue
        child = _read_node(link.cid, read_block)
        if child.file_bytes != link.file_bytes or child.tree_bytes != link.tree_bytes:
            raise ContentMalformed(f"{root}: node {link.cid} has other sizes than its parent says; {_HOW}")
        yield from _leaves_below(root, child, height - 1, read_block)


def _read_node(cid: Cid, read_block: ReadBlock) -> Node:
    block = read_verified(cid, read_block)
    try:
        return Node.decode(block)
    except ContentMalformed as error:
        raise ContentMalformed(f"{cid}: {error}; {_HOW}") from error


def _too_large(cid: Cid, found: int, allowed: int) -> ContentTooLarge:
    return ContentTooLarge(f"{cid} has {found} bytes; at most {allowed} are allowed here")


_HOW = "add files with CID version 1, raw leaves, chunks of 262144 bytes and 174 links per node"
