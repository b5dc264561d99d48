"""Packed bytes and words: what goes in comes out, what does not fit is refused, which leaves a call has to bring."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from cohort_protocol.chain.packed import (
    AdmittedRow,
    Batch,
    ClaimItem,
    CommitLeaf,
    admission,
    admitted_rows,
    by_admission,
    claimed_rounds,
    commit_leaves,
    pack_claims,
    pack_leaves,
    pack_signatures,
)
from cohort_protocol.commitments import cid_from_parts, openings_hash, pack_rows
from cohort_protocol.errors import InvalidInput, SignatureInvalid
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

MEMBERS = st.integers(0, 2**32 - 1)
WORDS = st.binary(min_size=32, max_size=32)
CIDS = st.builds(cid_from_parts, st.integers(0, 255), WORDS)
LEAVES = st.builds(CommitLeaf, MEMBERS, WORDS)
ROWS = st.lists(st.tuples(MEMBERS, WORDS, CIDS), max_size=8)
ITEMS = st.builds(
    ClaimItem,
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.integers(0, 2**112 - 1),
    st.lists(WORDS, max_size=6).map(tuple),
)


@given(st.lists(LEAVES, max_size=32))
def test_leaves_come_back(leaves: list[CommitLeaf]) -> None:
    packed = pack_leaves(leaves)
    assert len(packed) == 36 * len(leaves)
    assert commit_leaves(packed) == tuple(leaves)
    assert Batch(tuple(leaves)).hash == keccak(packed)


@given(ROWS, st.integers(0, 31))
def test_rows_come_back(values: list[tuple[int, bytes, bytes]], first: int) -> None:
    rows = tuple(AdmittedRow(first + position, *value) for position, value in enumerate(values))
    packed = pack_rows(rows)
    assert len(packed) == 69 * len(rows)
    assert admitted_rows(first, packed) == rows
    found = admission(rows)
    assert (found.rows, len(found.members)) == (openings_hash(rows), 4 * len(rows))


@pytest.mark.parametrize("decode", [commit_leaves, lambda packed: admitted_rows(0, packed)])
def test_a_part_of_an_entry_is_none(decode) -> None:
    with pytest.raises(ValueError, match="each has"):
        decode(bytes(70))


@given(st.integers(0, 2**24 - 1), st.sets(st.integers(0, 255)))
def test_rounds_of_a_word_come_back(word: int, rounds: set[int]) -> None:
    found = claimed_rounds(word, sum(1 << i for i in rounds))
    assert found == tuple(256 * word + i for i in sorted(rounds))


@given(st.lists(ITEMS, max_size=5))
def test_claims_come_back(items: list[ClaimItem]) -> None:
    words, proofs = pack_claims(items)
    assert [(word & 2**112 - 1, word >> 112 & 0xFF, word >> 120 & 0xFFFFFFFF) for word in words] == [
        (one.amount, one.row, one.round) for one in items
    ]
    lengths = [word >> 152 for word in words]
    assert [proofs[sum(lengths[:i]) : sum(lengths[: i + 1])] for i in range(len(items))] == [
        list(one.proof) for one in items
    ]


@pytest.mark.parametrize(
    "item",
    [
        ClaimItem(2**32, 0, 0, ()),
        ClaimItem(0, 256, 0, ()),
        ClaimItem(0, 0, 2**112, ()),
        ClaimItem(0, 0, -1, ()),
        ClaimItem(0, 0, 0, (bytes(32),) * 256),
    ],
)
def test_a_claim_that_does_not_fit_is_refused(item: ClaimItem) -> None:
    with pytest.raises(InvalidInput, match="112 bits"):
        pack_claims([item])


def test_signatures_are_64_bytes_each() -> None:
    assert pack_signatures([b"r" * 32 + b"\x01" * 32 + b"\x1c"]) == b"r" * 32 + b"\x81" + b"\x01" * 31
    with pytest.raises(SignatureInvalid):
        pack_signatures([bytes(64)])


@dataclass(frozen=True)
class Numbered:
    row: int
    first_row: int


def test_rows_are_grouped_by_the_call_that_admitted_them() -> None:
    rows = [Numbered(0, 0), Numbered(1, 1), Numbered(2, 1), Numbered(3, 3)]
    assert by_admission(rows) == [rows[:1], rows[1:3], rows[3:]]
    assert by_admission([]) == []


LEAF = {member: CommitLeaf(member, bytes([member]) * 32) for member in (2, 3, 5, 7)}
POSTED = Batch(tuple(LEAF.values()), 0b1011)
"""The leaf of member 5 does not count."""


def right(*members: int) -> dict[int, bytes]:
    return {member: LEAF[member].commitment for member in members}


@pytest.mark.parametrize(
    ("opened", "left"),
    [
        (right(2, 3, 7), (5,)),
        (right(3), (2, 5, 7)),
        (
            right(2, 3, 5, 7),
            (5,),
        ),  # 5 has posted the same commitment itself
        (right(2, 3) | {7: b"x" * 32}, (5, 7)),  # does not open its leaf
        (right(2, 3) | {4: b"x" * 32}, (2, 3, 5, 7)),  # has no leaf: the whole batch
    ],
)
def test_a_call_brings_the_leaves_that_it_does_not_open(opened: dict[int, bytes], left: tuple[int, ...]) -> None:
    assert POSTED.beside(opened) == pack_leaves(LEAF[member] for member in left)


def test_without_a_batch_a_call_brings_nothing() -> None:
    assert Batch().beside({4: b"x" * 32}) == b""
    assert Batch().packed == b""
    assert POSTED.counting() == right(2, 3, 7)
