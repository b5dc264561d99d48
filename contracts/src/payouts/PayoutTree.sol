// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title PayoutTree: the Merkle tree over one round's pay, built on chain
/// @dev Leaves are hashed twice, so that no inner node can pass for a leaf. Pairs are sorted; an odd node moves up as it is. Every
/// node keeps the first 27 bytes of its hash and five zeros: the root then fits into one slot with the outcome, and a claim pays for
/// 27 bytes of each node. A second tree for a root takes 2^216 tries, two trees with the same root 2^108, and all that anybody
/// can choose in a tree are the members. Proofs verify with OpenZeppelin's MerkleProof, given this hash for its nodes.
library PayoutTree {
    /// @notice keccak256(bytes.concat(keccak256(abi.encode(project, round, row, member, amount)))), cut to 27 bytes.
    function leafOf(uint256 project, uint256 round, uint256 row, uint256 member, uint256 amount)
        internal
        pure
        returns (bytes32 leaf)
    {
        assembly ("memory-safe") {
            let words := mload(0x40) // behind the free memory: nothing is kept
            mstore(words, project)
            mstore(add(words, 32), round)
            mstore(add(words, 64), row)
            mstore(add(words, 96), member)
            mstore(add(words, 128), amount)
            mstore(0, keccak256(words, 160))
            leaf := and(keccak256(0, 32), not(0xffffffffff))
        }
    }

    /// @notice Root of the tree in which `proof` leads up from `leaf`. OpenZeppelin's MerkleProof.processProof.
    function rootAbove(bytes32 leaf, bytes32[] calldata proof) internal pure returns (bytes27 root) {
        assembly ("memory-safe") {
            root := leaf
            for { let at := proof.offset let end := add(at, mul(proof.length, 32)) } lt(at, end) { at := add(at, 32) } {
                let sibling := calldataload(at)
                let swap := shl(5, lt(sibling, root))
                mstore(swap, root)
                mstore(sub(32, swap), sibling)
                root := and(keccak256(0, 64), not(0xffffffffff))
            }
        }
    }

    /// @notice Root of the tree over `nodes` (at least one), which are leaves as `leafOf` makes them. Overwrites the array.
    function rootOf(uint256[] memory nodes) internal pure returns (bytes27 root) {
        assembly ("memory-safe") {
            let first := add(nodes, 32)
            for { let count := mload(nodes) } gt(count, 1) {} {
                let to := first
                let from := first
                // Pairs; the place that is written lies never behind one that is still to be read.
                for { let end := add(first, shl(6, shr(1, count))) } lt(from, end) { from := add(from, 64) } {
                    let left := mload(from)
                    let right := mload(add(from, 32))
                    let swap := lt(right, left)
                    mstore(shl(5, swap), left)
                    mstore(shl(5, iszero(swap)), right)
                    mstore(to, and(keccak256(0, 64), not(0xffffffffff)))
                    to := add(to, 32)
                }
                if and(count, 1) {
                    mstore(to, mload(from))
                    to := add(to, 32)
                }
                count := shr(5, sub(to, first))
            }
            root := mload(first)
        }
    }
}
