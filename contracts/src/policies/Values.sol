// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Cosines} from "./Cosines.sol";
import {HALF, Round, STRIDE, VALUE, VOTE} from "./Table.sol";

/// @title Values: what the value rows say of each update
library Values {
    /// @notice Products of v, v' and k with every clipped row, 30 fraction bits, below 2^(71 + 30); zeros without value rows.
    function fill(Round memory round) internal pure {
        uint256 n = round.n;
        uint256 clips = round.clips;
        uint256 place = round.gram + Cosines.UPDATE_BYTES * n + Cosines.ACROSS_BYTES * round.basis;
        uint256 step = Cosines.rowBytes(round, 1); // a row has one entry less than the one before
        bool measured = round.values != 0;
        uint256 record = round.table;
        assembly ("memory-safe") {
            for {} n { n := sub(n, 1) } {
                let clip := mul(mload(clips), measured)
                mstore(add(record, VALUE), mul(clip, sar(184, calldataload(place))))
                mstore(add(record, HALF), mul(clip, sar(184, calldataload(add(place, 9)))))
                mstore(add(record, VOTE), mul(clip, sar(184, calldataload(add(place, 18)))))
                clips := add(clips, 32)
                record := add(record, STRIDE)
                place := add(place, step)
                step := sub(step, 7)
            }
        }
    }
}
