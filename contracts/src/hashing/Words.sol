// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Words: keccak256 of a few words that lie in memory
/// @notice A loop that hashes the same structure many times fills one array again and again; abi.encode would copy it to fresh
/// memory each time, at several times the price. hashOf(w) == keccak256(abi.encode(w)) for every size (tested).
library Words {
    /// @notice keccak256(abi.encodePacked(words)).
    function hashOf(uint256[] memory words) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            digest := keccak256(add(words, 32), mul(mload(words), 32))
        }
    }

}
