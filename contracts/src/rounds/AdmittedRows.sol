// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Opening} from "../types/Types.sol";

/// @title AdmittedRows: the packed rows of an UpdatesAdmitted event
/// @dev 69 bytes for each row: member (4), codec (1), update (32), digest of the CID (32). An event costs 8 gas a byte.
library AdmittedRows {
    uint256 internal constant ROW_BYTES = 69;

    struct Buffer {
        bytes data; // word 0: where the rows are; the length there is right only after `finish`
        uint256 length; // word 1: bytes appended so far
    }

    function allocate(uint256 rows) internal pure returns (Buffer memory buffer) {
        buffer.data = new bytes(rows * ROW_BYTES);
    }

    /// @dev At most as many times as rows were allocated. `new bytes` rounds up to whole words, so that the words stored
    /// here never reach beyond the array's memory.
    /// @param member of the opening; codec of its CID: one byte.
    function append(Buffer memory buffer, Opening calldata o, uint256 member, uint256 codec) internal pure {
        assembly ("memory-safe") {
            let at := mload(add(buffer, 32))
            let row := add(add(mload(buffer), 32), at)
            mstore(row, shl(216, or(shl(8, member), codec)))
            calldatacopy(add(row, 5), add(o, 32), 32) // update: the second word of an opening
            calldatacopy(add(row, 37), add(o, 96), 32) // digest: the fourth
            mstore(add(buffer, 32), add(at, 69))
        }
    }

    /// @notice The rows appended, as one byte string.
    function finish(Buffer memory buffer) internal pure returns (bytes memory data) {
        data = buffer.data;
        uint256 length = buffer.length;
        assembly ("memory-safe") {
            mstore(data, length)
        }
    }
}
