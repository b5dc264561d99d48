// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {Words} from "../hashing/Words.sol";

/// @title PayoutTree: the Merkle tree over one round's pay, built on chain
/// @dev Leaves are hashed twice, so that no inner node can pass for a leaf. Pairs are sorted; an odd node moves up as
/// it is. Proofs verify with OpenZeppelin's MerkleProof.
library PayoutTree {
    function leafOf(uint256 project, uint256 round, uint256 row, uint256 member, uint256 amount)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(bytes.concat(keccak256(abi.encode(project, round, row, member, amount))));
    }

    /// @notice leafOf for every row of a round.
    function leavesOf(uint256 project, uint256 round, uint256[] memory members, uint256[] memory amounts)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](members.length);
        uint256[5] memory words;
        words[0] = project;
        words[1] = round;
        for (uint256 i; i < members.length; ++i) {
            words[2] = i;
            words[3] = members[i];
            words[4] = amounts[i];
            leaves[i] = Words.hashOf(Words.hashOf(words));
        }
    }

    /// @notice Root of `nodes` (at least one), cut to 27 bytes: beside it, outcome and claims fit in one slot. A second tree
    /// for these 27 bytes takes 2^216 tries, any two trees with the same 27 bytes 2^108, and all that anybody can choose in
    /// a tree are the members. Overwrites the array.
    function rootOf(bytes32[] memory nodes) internal pure returns (bytes27) {
        uint256 count = nodes.length;
        unchecked {
            // No index reaches `count`, which only falls.
            while (count > 1) {
                uint256 half = count >> 1;
                for (uint256 i; i < half; ++i) {
                    nodes[i] = Hashes.commutativeKeccak256(nodes[2 * i], nodes[2 * i + 1]);
                }
                if (count & 1 == 1) nodes[half] = nodes[count - 1];
                count = half + (count & 1);
            }
        }
        return bytes27(nodes[0]);
    }
}
