"""Blocks made by hand, for trees that no import would make."""

from __future__ import annotations

import hashlib

from cohort_protocol.ipfs.cid import DAG_PB, RAW, Cid
from cohort_protocol.ipfs.unixfs import Block, FileImport, Link, Node, chunks_of


def content(size: int, seed: int = 0) -> bytes:
    """`size` bytes that look random and are the same everywhere, for ever (SHAKE-128 of size and seed)."""
    return hashlib.shake_128(f"{size} {seed}".encode()).digest(size)


def raw(data: bytes) -> Block:
    """A raw block."""
    return Block(Cid.of_block(RAW, data), data)


def dag_pb(data: bytes) -> Block:
    """A dag-pb block of any bytes."""
    return Block(Cid.of_block(DAG_PB, data), data)


def node(*links: Link) -> Block:
    """A dag-pb block over `links`, whatever they claim."""
    return dag_pb(Node(tuple(links)).encode())


def link(block: Block, file_bytes: int, tree_bytes: int | None = None) -> Link:
    """A link that claims `file_bytes` of content (and as many bytes of blocks, unless told)."""
    return Link(block.cid, file_bytes, file_bytes if tree_bytes is None else tree_bytes)


def blocks_of(data: bytes) -> list[Block]:
    """All blocks of a file; the root is the last."""
    importer = FileImport()
    blocks = [block for chunk in chunks_of(data) for block in importer.add(chunk)]
    return blocks + importer.finish()[0]


# What `ipfs add --cid-version=1 --raw-leaves --chunker=size-262144` of Kubo 0.39.0 printed for `content(size)`.
KUBO_CIDS = {
    0: "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    1: "bafkreicoa5aikyv63ofwbtqfyhpm7y5nc23semewpxqb6zalpzdstne7zy",
    2: "bafkreiauonuhmsa6bty7fynhowafpmui2uyawbhutabvnudrxwmj2itely",
    262143: "bafkreidydvxf5ah76mvuxrpgbuvbwtwpek4z67f6wcnzvteswaop2bj4ci",
    262144: "bafkreiheyuabfbis5vtzbieadlmu4z5xq26ray3p4fdclkk6gcwmkbja4u",
    262145: "bafybeib6hppdmghzqugekm265idl6xamrb3e4zda7lnrgnntmyueedjclm",
    524288: "bafybeiaiciypq6nmohz3ufgcflf2ka3w3kduyryxe7gtxnvv4ybqw57js4",
    3000001: "bafybeib3nfwf7w4dk3tfd5kbw7cdrdsica2yh2by3qmiebocsqtkyol3am",
    45613055: "bafybeifugbzuenfcvibb72qfz5b6wnkclmiihalucwhc5dckmdoum7q3wm",
    45613056: "bafybeiamd74vvcmnmoxutqtlzk2dzzjrbaacsxv4cluwr65bqfeptzwvee",
    45613057: "bafybeicrmmhh3tq3mws3s7ykmwhcbkan35objbw7aw4gd3cxho2krmt4cq",
    45875200: "bafybeierkn3i2wpzdzl65wtn2a2nk5qfkhcmc2shmdnav3x2c74odyphry",
    100000000: "bafybeialw2lh5brrls3ektgqmo54czvcx6aqpr5bnlxrko7yjtobj374om",
}
