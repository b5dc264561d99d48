// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../interfaces/IRounds.sol";

/// @title Leaves: a batch of commitments, 36 bytes each: member (4), commitment (32)
/// @notice Packed as the event and the batch hash have them: a byte of calldata costs 4 or 16 gas, and what the caller has packed
/// nobody has to take apart and put together again. keccak256 of these bytes is the batch hash.
library Leaves {
    uint256 internal constant BYTES = 36;
    uint256 internal constant MOST = 32; // bits of batchBits

    /// @notice No leaf.
    uint256 internal constant NONE = 255;

    /// @dev Reverts unless `leaves` is a whole number of them, at most MOST.
    function count(bytes calldata leaves) internal pure returns (uint256 found) {
        if (leaves.length % BYTES != 0) revert IRounds.LeavesMalformed(leaves.length);
        found = leaves.length / BYTES;
        if (found > MOST) revert IRounds.BatchTooLong(found, MOST);
    }

    /// @notice Where the first leaf lies in calldata, and where the last one ends. The leaves are BYTES apart.
    function span(bytes calldata leaves) internal pure returns (uint256 start, uint256 end) {
        assembly ("memory-safe") {
            start := leaves.offset
            end := add(start, leaves.length)
        }
    }

    /// @dev Of the leaf at `at` in calldata, which must be within a batch, as below.
    function memberAt(uint256 at) internal pure returns (uint256 member) {
        assembly ("memory-safe") {
            member := shr(224, calldataload(at))
        }
    }

    function commitmentAt(uint256 at) internal pure returns (bytes32 commitment) {
        assembly ("memory-safe") {
            commitment := calldataload(add(at, 4))
        }
    }

    /// @notice Position of `member` in a batch, or NONE.
    function find(bytes calldata leaves, uint256 member) internal pure returns (uint256) {
        (uint256 at, uint256 end) = span(leaves);
        for (uint256 i; at < end; ++i) {
            if (memberAt(at) == member) return i;
            at += BYTES;
        }
        return NONE;
    }
}
