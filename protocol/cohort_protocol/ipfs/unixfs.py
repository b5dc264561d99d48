"""Files as IPFS blocks: the one layout that Cohort writes and the only one it reads.

A file is cut into chunks of 256 KiB. Each chunk is a raw block. One chunk: its CID is the file's CID. More:
chunks are gathered, 174 to a node, into dag-pb nodes, those 174 to a node, and so on up to one root
("balanced" layout). Every subtree is full except the last one on each level. These are Kubo's defaults for
CIDv1 up to 0.39, so `ipfs add --cid-version=1 --raw-leaves --chunker=size-262144` gives the same CID.

Reading only this layout means that one content has exactly one CID, that a file's tree is fixed by its size,
and that a hostile tree cannot make a reader visit more than about one block per 256 KiB of declared size.

Sources: https://ipld.io/specs/codecs/dag-pb/spec/, https://specs.ipfs.tech/unixfs/,
boxo `ipld/unixfs/importer/balanced`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cohort_protocol.ipfs.cid import CID_BYTES, DAG_PB, RAW, Cid
from cohort_protocol.ipfs.errors import CidMalformed, ContentMalformed, SourceUnreadable

CHUNK_BYTES = 262_144
MAX_LINKS = 174
# Four levels of nodes hold 174^4 chunks, about 218 TiB: more than any file here, and a small recursion.
MAX_HEIGHT = 4
MAX_FILE_BYTES = CHUNK_BYTES * MAX_LINKS**MAX_HEIGHT

# dag-pb (PBNode, PBLink) and UnixFS (Data) field tags: field number << 3 | wire type.
_NODE_DATA = 0x0A
_NODE_LINK = 0x12
_LINK_HASH = 0x0A
_LINK_NAME = 0x12
_LINK_TSIZE = 0x18
_DATA_TYPE = 0x08
_DATA_FILESIZE = 0x18
_DATA_BLOCKSIZE = 0x20
_TYPE_FILE = 2


class Block(NamedTuple):
    """One block: its CID and its bytes (at most `CHUNK_BYTES`)."""

    cid: Cid
    data: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """An edge of the tree. `file_bytes`: content below it. `tree_bytes`: bytes of all blocks below it."""

    cid: Cid
    file_bytes: int
    tree_bytes: int


@dataclass(frozen=True, slots=True)
class Node:
    """A dag-pb block of a file: 1 to 174 links in order of content."""

    links: tuple[Link, ...]

    @property
    def file_bytes(self) -> int:
        """Length of the content below this node."""
        return sum(link.file_bytes for link in self.links)

    @property
    def tree_bytes(self) -> int:
        """Bytes of this block and of all blocks below it."""
        return len(self.encode()) + sum(link.tree_bytes for link in self.links)

    def encode(self) -> bytes:
        """The block's bytes: links first, then the UnixFS data, as Kubo writes them."""
        out = bytearray()
        for link in self.links:
            body = _field(_LINK_HASH, bytes(link.cid)) + _field(_LINK_NAME, b"")
            body += _number(_LINK_TSIZE, link.tree_bytes)
            out += _field(_NODE_LINK, body)
        data = _number(_DATA_TYPE, _TYPE_FILE) + _number(_DATA_FILESIZE, self.file_bytes)
        data += b"".join(_number(_DATA_BLOCKSIZE, link.file_bytes) for link in self.links)
        out += _field(_NODE_DATA, data)
        return bytes(out)

    @classmethod
    def decode(cls, block: bytes) -> Node:
        """Read a node; the exact inverse of `encode`, so that a node has one spelling.

        Raises `ContentMalformed` for everything else: unknown or repeated or misplaced fields, padded
        numbers, names, data in the node, sizes that do not add up, no links or more than 174.
        """
        reader = _Reader(block)
        edges: list[tuple[Cid, int]] = []
        while reader.next_is(_NODE_LINK):
            if len(edges) == MAX_LINKS:
                raise ContentMalformed(f"a node with more than {MAX_LINKS} links")
            edges.append(_decode_link(reader.field(_NODE_LINK)))
        data = reader.field(_NODE_DATA)
        reader.expect_end()
        if data.number(_DATA_TYPE) != _TYPE_FILE:
            raise ContentMalformed("a UnixFS node that is not a file; directories are not read here")
        declared = data.number(_DATA_FILESIZE)
        sizes = []
        while data.next_is(_DATA_BLOCKSIZE):
            if len(sizes) == len(edges):
                raise ContentMalformed(f"a node with {len(edges)} links and more sizes than that")
            sizes.append(data.number(_DATA_BLOCKSIZE))
        data.expect_end()
        if not edges or len(sizes) != len(edges):
            raise ContentMalformed(f"a node with {len(edges)} links and {len(sizes)} sizes")
        if sum(sizes) != declared or declared > MAX_FILE_BYTES:
            raise ContentMalformed(f"a node that declares {declared} bytes over parts of {sum(sizes)}")
        return cls(tuple(Link(cid, size, tree) for (cid, tree), size in zip(edges, sizes, strict=True)))


class FileImport:
    """Turns the chunks of a file, in order, into its blocks. Holds at most 174 links per level.

    Feed `add` with chunks of exactly `CHUNK_BYTES` (the last one may be shorter, not empty), then call
    `finish` once. Every block comes out exactly once, children before their parents.
    """

    def __init__(self) -> None:
        self._levels: list[list[Link]] = [[]]

    def add(self, chunk: bytes) -> list[Block]:
        """The blocks that are complete once `chunk` is in: the chunk's own, then any filled nodes."""
        leaf = Block(Cid.of_block(RAW, chunk), chunk)
        blocks = [leaf]
        self._push(0, Link(leaf.cid, len(chunk), len(chunk)), blocks)
        return blocks

    def finish(self) -> tuple[list[Block], Cid]:
        """The blocks still missing, and the CID of the file."""
        blocks: list[Block] = []
        if not self._levels[0]:
            blocks += self.add(b"")
        level = 0
        while level + 1 < len(self._levels) or len(self._levels[level]) > 1:
            self._close(level, blocks)
            level += 1
        return blocks, self._levels[level][0].cid

    def _push(self, level: int, link: Link, blocks: list[Block]) -> None:
        # A full level becomes a node only when one more link arrives, so that 174 chunks make one node.
        if len(self._levels[level]) == MAX_LINKS:
            self._close(level, blocks)
        self._levels[level].append(link)

    def _close(self, level: int, blocks: list[Block]) -> None:
        node = Node(tuple(self._levels[level]))
        data = node.encode()
        block = Block(Cid.of_block(DAG_PB, data), data)
        blocks.append(block)
        self._levels[level] = []
        if level + 1 == len(self._levels):
            self._levels.append([])
        tree_bytes = len(data) + sum(link.tree_bytes for link in node.links)
        self._push(level + 1, Link(block.cid, node.file_bytes, tree_bytes), blocks)


def chunks_of(source: bytes | Path | BinaryIO) -> Iterator[bytes]:
    """Cut bytes, a file or an open binary stream into chunks; constant memory. An empty source has none.

    Raises `SourceUnreadable` when the file or stream fails.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        view = memoryview(source).cast("B")
        for start in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[start : start + CHUNK_BYTES])
        return
    try:
        if isinstance(source, Path):
            with source.open("rb") as stream:
                yield from _chunks_of_stream(stream)
        else:
            yield from _chunks_of_stream(source)
    except OSError as error:
        raise SourceUnreadable(f"could not read what was to be added: {error}; nothing was pinned") from error


def _chunks_of_stream(stream: BinaryIO) -> Iterator[bytes]:
    while True:
        chunk = stream.read(CHUNK_BYTES)
        # Pipes and sockets return short reads before their end.
        while 0 < len(chunk) < CHUNK_BYTES:
            more = stream.read(CHUNK_BYTES - len(chunk))
            if not more:
                break
            chunk += more
        if not chunk:
            return
        yield chunk


def cid_of(source: bytes | Path | BinaryIO) -> Cid:
    """The CID that any store gives these bytes. Raises `SourceUnreadable`."""
    importer = FileImport()
    for chunk in chunks_of(source):
        importer.add(chunk)
    return importer.finish()[1]


def height_of(file_bytes: int) -> int:
    """Levels of nodes above the chunks: 0 for one chunk, 1 up to 174 chunks, 2 up to 174^2, ..."""
    height = 0
    while CHUNK_BYTES * MAX_LINKS**height < file_bytes:
        height += 1
    return height


def part_sizes(file_bytes: int, height: int) -> list[int]:
    """Content bytes below each link of a node at `height` (>= 1) that holds `file_bytes` (> 0) of content."""
    full = CHUNK_BYTES * MAX_LINKS ** (height - 1)
    count, rest = divmod(file_bytes, full)
    return [full] * count + ([rest] if rest else [])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(tag: int, value: int) -> bytes:
    return bytes((tag,)) + _varint(value)


def _field(tag: int, body: bytes) -> bytes:
    return bytes((tag,)) + _varint(len(body)) + body


def _decode_link(reader: _Reader) -> tuple[Cid, int]:
    raw = reader.field(_LINK_HASH).rest(CID_BYTES)
    try:
        cid = Cid.from_bytes(raw)
    except CidMalformed as error:
        raise ContentMalformed(f"a link to something that Cohort does not read: {error}") from error
    reader.field(_LINK_NAME).expect_end()
    tree_bytes = reader.number(_LINK_TSIZE)
    reader.expect_end()
    return cid, tree_bytes


class _Reader:
    """Reads protobuf fields in the order the caller expects; every surprise is `ContentMalformed`.

    All tags used here fit one byte. Numbers are unsigned, in the shortest spelling, below 2^63.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def next_is(self, tag: int) -> bool:
        return self._at < len(self._data) and self._data[self._at] == tag

    def number(self, tag: int) -> int:
        self._tag(tag)
        return self._varint()

    def field(self, tag: int) -> _Reader:
        self._tag(tag)
        length = self._varint()
        start, end = self._at, self._at + length
        if end > len(self._data):
            raise ContentMalformed(f"a node field of {length} bytes where {len(self._data) - start} are left")
        self._at = end
        return _Reader(self._data[start:end])

    def rest(self, length: int) -> bytes:
        if len(self._data) - self._at != length:
            found = len(self._data) - self._at
            raise ContentMalformed(f"a node field of {found} bytes where {length} belong")
        start, self._at = self._at, len(self._data)
        return self._data[start:]

    def expect_end(self) -> None:
        if self._at != len(self._data):
            raise ContentMalformed(f"{len(self._data) - self._at} bytes too many in a node field")

    def _tag(self, tag: int) -> None:
        if not self.next_is(tag):
            found = self._data[self._at : self._at + 1].hex() or "the end"
            raise ContentMalformed(f"node field {tag:#04x} is missing; found {found} at byte {self._at}")
        self._at += 1

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            if self._at == len(self._data):
                raise ContentMalformed("a node ends inside a number")
            byte = self._data[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift > 0:
                    raise ContentMalformed("a number in a node is padded with zeros")
                return value
        raise ContentMalformed("a number in a node has more than 63 bits")
