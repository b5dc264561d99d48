"""Merkle trees as OpenZeppelin's MerkleProof verifies them: sorted pairs, an odd node moves up as it is.

Leaves are hashed twice by whoever makes them, so that no inner node can pass for a leaf. `kept`: bytes that a node
keeps of its hash; zeros stand behind them.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_utils import keccak


class MerkleTree:
    """leaves: at least one, 32 bytes each; the order is part of the tree."""

    def __init__(self, leaves: Sequence[bytes], kept: int = 32) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            level = self._levels[-1]
            above = [_parent(level[i], level[i + 1], kept) for i in range(0, len(level) - 1, 2)]
            self._levels.append(above + level[len(level) & ~1 :])

    @property
    def leaves(self) -> Sequence[bytes]:
        return self._levels[0]

    @property
    def root(self) -> bytes:
        """32 bytes."""
        return self._levels[-1][0]

    def proof(self, position: int) -> tuple[bytes, ...]:
        """The siblings from the leaf at `position` up to the root; levels on which it moves up alone have none."""
        siblings = []
        for level in self._levels[:-1]:
            if position ^ 1 < len(level):
                siblings.append(level[position ^ 1])
            position //= 2
        return tuple(siblings)


def root_above(leaf: bytes, proof: Sequence[bytes], kept: int = 32) -> bytes:
    """Root of the tree in which `proof` leads up from `leaf`, 32 bytes."""
    node = leaf
    for sibling in proof:
        node = _parent(node, sibling, kept)
    return node


def _parent(left: bytes, right: bytes, kept: int) -> bytes:
    return keccak(min(left, right) + max(left, right))[:kept].ljust(32, b"\0")
