"""The payout tree: shape, proofs, and that nothing else proves."""

from __future__ import annotations

import pytest
from cohort_protocol.errors import InvalidInput
from cohort_protocol.payout import PayoutTree, payout_leaf, verify_proof
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

amounts = st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=32)


def tree_of(amounts: list[int], round: int = 3) -> PayoutTree:
    return PayoutTree(9, round, [(row + 1, amount) for row, amount in enumerate(amounts)])


def pair(left: bytes, right: bytes) -> bytes:
    return cut(keccak(b"".join(sorted((left, right)))))


def cut(hash: bytes) -> bytes:
    """A node of the tree: 27 bytes of the hash."""
    return hash[:27] + bytes(5)


def test_a_leaf_is_hashed_twice() -> None:
    once = keccak(encode(["uint256", "uint32", "uint8", "uint32", "uint256"], [1, 2, 3, 5, 4]))
    assert payout_leaf(1, 2, 3, 5, 4) == cut(keccak(once))


def test_the_shape_of_five_leaves() -> None:
    """Two pairs and an odd one that moves up twice."""
    tree = tree_of([10, 20, 30, 40, 50])
    a, b, c, d, e = (tree.leaf(row) for row in range(5))
    assert tree.root == pair(pair(pair(a, b), pair(c, d)), e)[:27]
    assert tree.proof(4) == (pair(pair(a, b), pair(c, d)),)
    assert tree.proof(1) == (a, pair(c, d), e)


def test_a_single_row_is_its_own_root() -> None:
    tree = tree_of([10])
    assert tree.root == tree.leaf(0)[:27]
    assert tree.proof(0) == ()
    assert tree.claim_item(0).amount == 10


@given(amounts)
def test_every_row_proves_and_no_other_content_does(amounts: list[int]) -> None:
    tree = tree_of(amounts)
    for row, amount in enumerate(amounts):
        item = tree.claim_item(row)
        assert (item.round, item.row, item.amount) == (3, row, amount)
        member = row + 1
        assert verify_proof(tree.root, payout_leaf(9, 3, row, member, amount), item.proof)
        for other in (
            payout_leaf(8, 3, row, member, amount),
            payout_leaf(9, 4, row, member, amount),
            payout_leaf(9, 3, row ^ 1, member, amount),
            payout_leaf(9, 3, row, 99, amount),
            payout_leaf(9, 3, row, member, amount ^ 1),
        ):
            assert not verify_proof(tree.root, other, item.proof)
        if item.proof:
            assert not verify_proof(tree.root, tree.leaf(row), item.proof[:-1])


@given(amounts)
def test_an_inner_node_is_no_leaf(amounts: list[int]) -> None:
    tree = tree_of(amounts)
    if len(amounts) > 1:
        inner = pair(tree.leaf(0), tree.leaf(1))
        assert verify_proof(tree.root, inner, tree.proof(0)[1:]), "the tree itself cannot tell them apart"
        assert inner not in [tree.leaf(row) for row in range(len(amounts))]


def test_bounds() -> None:
    with pytest.raises(InvalidInput):
        tree_of([])
    with pytest.raises(InvalidInput):
        tree_of([1] * 33)
    with pytest.raises(InvalidInput):
        tree_of([1, 2]).proof(2)
    with pytest.raises(InvalidInput):
        tree_of([1, 2]).proof(-1)
    assert not verify_proof(bytes(27), bytes(32), [bytes(32)] * 7)
    assert len(tree_of([1] * 32).proof(31)) == 5
