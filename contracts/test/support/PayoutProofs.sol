// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ClaimItem, Row} from "./Packed.sol";

/// @notice Leaves, nodes and proofs of payout trees and of other Merkle trees, made without the contracts' own code.
abstract contract PayoutProofs {
    /// @dev Proof of leaf `index`: pairs sorted, an odd node moves up.
    function _proof(bytes32[] memory level, uint256 index) internal pure returns (bytes32[] memory) {
        return _proofBy(_pair, level, index);
    }

    /// @dev The same in a payout tree.
    function _payoutProof(bytes32[] memory level, uint256 index) internal pure returns (bytes32[] memory) {
        return _proofBy(_node, level, index);
    }

    function _proofBy(
        function(bytes32, bytes32) pure returns (bytes32) parent,
        bytes32[] memory level,
        uint256 index
    ) private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](8);
        uint256 length;
        while (level.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) proof[length++] = level[sibling];
            bytes32[] memory above = new bytes32[]((level.length + 1) / 2);
            for (uint256 i; i < above.length; ++i) {
                above[i] = 2 * i + 1 < level.length ? parent(level[2 * i], level[2 * i + 1]) : level[2 * i];
            }
            level = above;
            index /= 2;
        }
        bytes32[] memory cut = new bytes32[](length);
        for (uint256 i; i < length; ++i) cut[i] = proof[i];
        return cut;
    }

    function _pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    /// @dev A node of a payout tree: 27 bytes of the hash.
    function _node(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return bytes27(_pair(a, b));
    }

    function _payoutLeaves(uint256 project, uint32 round, Row[] memory rows, uint256[] memory pays)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](rows.length);
        for (uint256 i; i < rows.length; ++i) {
            bytes32 inner = keccak256(abi.encode(project, round, uint8(i), rows[i].member, pays[i]));
            leaves[i] = bytes27(keccak256(abi.encode(inner)));
        }
    }

    function _claimItem(uint256 project, uint32 round, Row[] memory rows, uint256[] memory pays, uint256 index)
        internal
        pure
        returns (ClaimItem memory)
    {
        bytes32[] memory leaves = _payoutLeaves(project, round, rows, pays);
        return ClaimItem(round, uint8(index), uint112(pays[index]), _payoutProof(leaves, index));
    }

    function _equalPays(uint256 n, uint256 pay) internal pure returns (uint256[] memory pays) {
        pays = new uint256[](n);
        for (uint256 i; i < n; ++i) pays[i] = pay;
    }
}
