// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Opening} from "../types/Types.sol";

/// @title AdmittedRows: the packed rows of an UpdatesAdmitted event
/// @dev 69 bytes for each row: member (4), codec (1), update (32), digest of the CID (32). An event costs 8 gas a byte.
library AdmittedRows {
    uint256 internal constant ROW_BYTES = 69;

    struct Buffer {
        bytes data; // its length is right only after `finish`
        uint256 length; // bytes appended so far
    }

    function allocate(uint256 rows) internal pure returns (Buffer memory buffer) {
        buffer.data = new bytes(rows * ROW_BYTES);
    }

    /// @dev At most as many times as rows were allocated. `new bytes` rounds up to whole words, so that the words stored
    /// here never reach beyond the array's memory.
    function append(Buffer memory buffer, Opening calldata o) internal pure {
        uint256 head = (uint256(o.member) << 8 | o.cid.codec) << 216;
        bytes32 update = o.update;
        bytes32 digest = o.cid.digest;
        bytes memory data = buffer.data;
        uint256 at = buffer.length;
        assembly ("memory-safe") {
            let row := add(add(data, 32), at)
            mstore(row, head)
            mstore(add(row, 5), update)
            mstore(add(row, 37), digest)
        }
        buffer.length = at + ROW_BYTES;
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
