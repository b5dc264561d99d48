// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Words: keccak256 of a few words that lie in memory
/// @notice A loop that hashes the same structure many times fills one array again and again; abi.encode would copy it to fresh
/// memory each time, at several times the price. hashOf(w) == keccak256(abi.encode(w)) for every size (tested).
library Words {
    function hashOf(uint256[3] memory words) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(words, 96)
        }
    }

    function hashOf(uint256[5] memory words) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(words, 160)
        }
    }

    function hashOf(uint256[6] memory words) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(words, 192)
        }
    }

    function hashOf(uint256[10] memory words) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(words, 320)
        }
    }

    /// @notice keccak256(abi.encode(word)).
    function hashOf(bytes32 word) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            mstore(0, word)
            digest := keccak256(0, 32)
        }
    }
}
