"""The payout tree of a round: a Merkle tree over (project, round, row, member, amount).

Leaf: keccak256(bytes.concat(keccak256(abi.encode(...)))), hashed twice so that no inner node can pass for a leaf
(OpenZeppelin MerkleProof). Inner nodes: keccak256 of the two children, the smaller first. Leaves stand in row order;
the last node of a level with an odd number of nodes moves up as it is. Every node keeps the first 27 bytes of its hash
and has five zeros behind them: a second tree for a root takes 2^216 tries.
"""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi import encode
from eth_utils import keccak

from cohort_protocol.chain.packed import ClaimItem
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import MAX_SLOTS
from cohort_protocol.merkle import MerkleTree, root_above

MAX_PROOF = MAX_SLOTS.bit_length()
"""Most siblings in a proof: the tree has at most `MAX_SLOTS` leaves."""


NODE_BYTES = 27
"""Of the hash of a leaf or an inner node; the market keeps these bytes of the root."""


def payout_leaf(project: int, round: int, row: int, member: int, amount: int) -> bytes:
    """The leaf of one row; twin of `IPayouts.payoutLeafOf`."""
    packed = encode(["uint256", "uint32", "uint8", "uint32", "uint256"], [project, round, row, member, amount])
    return keccak(keccak(packed))[:NODE_BYTES].ljust(32, b"\0")


class PayoutTree:
    """The tree of one round. `rows`: (member, amount in base units) in row order, 1 to 32 of them."""

    def __init__(self, project: int, round: int, rows: Sequence[tuple[int, int]]):
        if not 0 < len(rows) <= MAX_SLOTS:
            raise InvalidInput(f"a payout tree has 1 to {MAX_SLOTS} rows, got {len(rows)}")
        self.round = round
        self._amounts = [amount for _, amount in rows]
        self._tree = MerkleTree(
            [payout_leaf(project, round, row, member, amount) for row, (member, amount) in enumerate(rows)],
            NODE_BYTES,
        )

    @property
    def root(self) -> bytes:
        """27 bytes."""
        return self._tree.root[:NODE_BYTES]

    def leaf(self, row: int) -> bytes:
        return self._tree.leaves[row]

    def proof(self, row: int) -> tuple[bytes, ...]:
        """The siblings from the leaf of `row` up to the root; levels on which it moves up alone have none."""
        if not 0 <= row < len(self._tree.leaves):
            raise InvalidInput(f"there is no row {row}: the round has {len(self._tree.leaves)}")
        return self._tree.proof(row)

    def claim_item(self, row: int) -> ClaimItem:
        """What the market's `claim` takes for this row."""
        proof = self.proof(row)
        return ClaimItem(self.round, row, self._amounts[row], proof)


def verify_proof(root: bytes, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof leads from the leaf to the root of 27 bytes (as OpenZeppelin `MerkleProof.processProof`)."""
    if len(proof) > MAX_PROOF:
        return False
    return root_above(leaf, proof, NODE_BYTES)[:NODE_BYTES] == root
