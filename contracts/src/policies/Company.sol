// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IDefaultPolicy} from "../interfaces/IDefaultPolicy.sol";
import {Coordinates} from "./Coordinates.sol";
import {Medians} from "./Medians.sol";
import {Roots} from "./Roots.sol";
import {
    COMPANY, COSINES, INVERSE, LANES, NOTHING, NOVELTY, ONE, Round, STRIDE, Table, UNIT, X1, X2, Y1, Y2
} from "./Table.sol";

/// @title Company: how much of a player is new, and how much of that points where what is new in the others does
/// @notice With T_ab = W_ab - sum_k q_ak q_bk, below 2^43 in size: novelty is T_aa; company the median over b of T_ab^2 / (T_aa T_bb),
/// from cosines with 15 fraction bits. 1 / sqrt(T_aa) has 35 fraction bits and is at most 2^45, so that a cosine before its shift
/// stays below 2^133.
library Company {
    using Table for Round;

    uint256 private constant MOST_COSINE = 0x7fff;
    uint256 private constant TO_SCORE = 10; // from 40 to 30 fraction bits

    /// @notice Novelty, 30 fraction bits, and company, of every player.
    /// @param hints where those of the cosines begin in calldata: two medians of 2 bytes for each player.
    function fill(Round memory round, uint256 hints) internal pure {
        uint256 count = round.players;
        uint256 record = round.table;
        uint256 end = round.at(count);
        unchecked {
            for (; record < end; record += STRIDE) _measure(record);
            record = round.table;
            if (count == 1) return Table.set(record, COMPANY, ONE);
            for (uint256 place; place < count; ++place) {
                _fillRow(record, place, end);
                // The lanes of those before are whole, and so is this one: its own with later ones were written just now.
                Table.set(record, COMPANY, _median(record, count - 1, place, hints + 4 * place));
                record += STRIDE;
            }
        }
    }

    function _measure(uint256 record) private pure {
        int256 left;
        assembly ("memory-safe") {
            let products := mul(mload(add(record, X1)), mload(add(record, Y1)))
            products := add(products, mul(mload(add(record, X2)), mload(add(record, Y2))))
            left := sub(UNIT, sar(211, add(shl(170, 1), products)))
        }
        uint256 inverse = 0;
        uint256 novelty = 0;
        unchecked {
            if (left >= int256(NOTHING)) {
                inverse = (1 << 75) / Roots.floorOf(uint256(left) << 40);
                novelty = uint256(left) >> TO_SCORE;
            }
        }
        Table.set(record, INVERSE, inverse);
        Table.set(record, NOVELTY, novelty);
    }

    /// @dev Cosines of one player with those after it, into the lanes of both. A lane is written with zeros behind it, in order of
    /// the players, so that nothing that is there is overwritten. Two at a time: the record of zeros behind the last player has a
    /// cosine of zero with everybody.
    function _fillRow(uint256 record, uint256 place, uint256 end) private pure {
        assembly ("memory-safe") {
            let x1 := mload(add(record, X1))
            let x2 := mload(add(record, X2))
            let inverse := mload(add(record, INVERSE))
            // Pointers are to Y1, places in a record from there.
            let column := sub(add(COSINES, shl(5, place)), Y1)
            let lane := sub(add(LANES, shl(1, place)), Y1)
            let to := add(add(record, add(lane, Y1)), 2)
            end := add(end, Y1)
            for { let other := add(record, add(STRIDE, Y1)) } lt(other, end) {} {
                let t := add(add(shl(170, 1), mul(x1, mload(other))), mul(x2, mload(add(other, sub(Y2, Y1)))))
                t := sub(mload(add(other, column)), sar(211, t))
                let sign := sar(255, t)
                t := shr(95, mul(mul(xor(add(t, sign), sign), inverse), mload(add(other, sub(INVERSE, Y1)))))
                if gt(t, MOST_COSINE) { t := MOST_COSINE }
                t := shl(240, t)
                mstore(to, t)
                mstore(add(other, lane), t)

                other := add(other, STRIDE)
                t := add(add(shl(170, 1), mul(x1, mload(other))), mul(x2, mload(add(other, sub(Y2, Y1)))))
                t := sub(mload(add(other, column)), sar(211, t))
                sign := sar(255, t)
                t := shr(95, mul(mul(xor(add(t, sign), sign), inverse), mload(add(other, sub(INVERSE, Y1)))))
                if gt(t, MOST_COSINE) { t := MOST_COSINE }
                t := shl(240, t)
                mstore(add(to, 2), t)
                mstore(add(other, lane), t)
                to := add(to, 4)
                other := add(other, STRIDE)
            }
        }
    }

    /// @dev Median of the squares of the cosines with the others: half the sum of those of the two middle ones.
    function _median(uint256 record, uint256 others, uint256 place, uint256 hints) private pure returns (uint256) {
        uint256 hint;
        uint256 first;
        uint256 second;
        assembly ("memory-safe") {
            hint := shr(224, calldataload(hints))
            first := mload(add(record, LANES))
            second := mload(add(record, 0x120)) // the word after it
        }
        unchecked {
            uint256 low = hint >> 16;
            uint256 high = hint & 0xffff;
            if (!Medians.areMiddles(first, second, others, low, high)) {
                revert IDefaultPolicy.CompanyWrong(place, hint);
            }
            return (low * low + high * high) / 2;
        }
    }
}
