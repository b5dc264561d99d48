// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IDefaultPolicy} from "../interfaces/IDefaultPolicy.sol";
import {Medians} from "./Medians.sol";
import {COMPANY, LANES, ONE, Round, STRIDE, Table} from "./Table.sol";

/// @title Company: how much of what is new in a player points where what is new in the others does
/// @notice The square of the r-th largest of its cosines with the others, which stand in lanes (`Pairs`); r is two fifths of
/// them, more or less: (2 n + 1) / 5 among n players.
library Company {
    /// @notice Company of every player, 30 fraction bits.
    /// @param hints where those cosines begin in calldata: 2 bytes for each player.
    function fill(Round memory round, uint256 hints) internal pure {
        uint256 count = round.players;
        uint256 record = round.table;
        if (count == 1) return Table.set(record, COMPANY, ONE);
        unchecked {
            uint256 rank = (2 * count + 1) / 5;
            for (uint256 place; place < count; ++place) {
                Table.set(record, COMPANY, _square(record, rank, place, hints));
                hints += 2;
                record += STRIDE;
            }
        }
    }

    function _square(uint256 record, uint256 rank, uint256 place, uint256 hints) private pure returns (uint256) {
        uint256 hint;
        uint256 first;
        uint256 second;
        assembly ("memory-safe") {
            hint := shr(240, calldataload(hints))
            first := mload(add(record, LANES))
            second := mload(add(record, 0xe0)) // the word after it
        }
        if (!Medians.isRanked(first, second, hint, rank)) revert IDefaultPolicy.CompanyWrong(place, hint);
        unchecked {
            return hint * hint;
        }
    }
}
