// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Roots} from "./Roots.sol";
import {AGREED, KIN, NOTHING, ONE, Round, STRIDE, SUM, Table, UNIT} from "./Table.sol";

/// @title Kinship: what two players have in common beyond what all have in common
/// @notice k is the cosine of a and b without their projections on the sum of all others. With O the square of that sum, w_a and
/// w_b their products with it, and everything times O:
///     k^2 = P^2 / (A B),   P = W O - w_a w_b,   A = O - w_a^2,   B = O - w_b^2
/// Looked at only where P / O exceeds 3/10 of the least part that anybody has beyond the direction of all others. From 0.45 to 0.7 it counts more and more, and adds to the kinship of both. |w| < 2^45, O < 2^50, |P| < 2^91, so that P^2 with 60
/// bits more stays below 2^242.
library Kinship {
    using Table for Round;

    uint256 private constant LOW = 483183820; // floor(0.45 * 2^30)
    uint256 private constant SPAN = 268435456; // floor(0.25 * 2^30)
    uint256 private constant LOW_SQUARED = 0x33d70a3e28f5c29; // (LOW + 1)^2: the least square with a root above it
    uint256 private constant FEWEST = 4; // players of whom two have others that tell what all have in common

    /// @notice Adds up the kinship of every player with all others, each at most 1, 30 fraction bits. Agreements are there.
    function fill(Round memory round) internal pure {
        uint256 count = round.players;
        if (count < FEWEST) return;
        uint256 record = round.table;
        uint256 end = round.at(count);
        (uint256 total, uint256 least) = _common(record, end);
        unchecked {
            total += (count - 2) * UNIT;
            uint256 column = Table.column(0);
            // O = T - 2 S_a - 2 - 2 (S_b - W): what does not change with b.
            for (; record < end; record += STRIDE) {
                _fillRow(record, column, end, total - 2 * Table.get(record, SUM), least);
                column += 32;
            }
        }
    }

    /// @dev Sum of all cosines but those of players with themselves, and 3/10 of the least part of a player beyond the direction of
    /// all others, 40 fraction bits.
    function _common(uint256 record, uint256 end) private pure returns (uint256 total, uint256 least) {
        assembly ("memory-safe") {
            let most := 0 // square of an agreement, 60 fraction bits
            for {} lt(record, end) { record := add(record, STRIDE) } {
                total := add(total, mload(record))
                let square := mload(add(record, AGREED))
                square := mul(square, square)
                if gt(square, most) { most := square }
            }
            least := shr(20, div(mul(3, sub(shl(60, 1), most)), 10))
        }
    }

    /// @dev One player with those after it. column: where records keep the cosine with it. rest: T - 2 S_a - 2.
    function _fillRow(uint256 record, uint256 column, uint256 end, uint256 rest, uint256 least) private pure {
        uint256 sum = Table.get(record, SUM);
        uint256 other = record;
        while (true) {
            other = _next(other, column, end, rest, sum, least);
            if (other >= end) return;
            uint256 squared = _squared(other, column, rest, sum);
            if (squared < LOW_SQUARED) continue;
            unchecked {
                uint256 kin = Roots.floorOf(squared) - LOW;
                kin = kin > SPAN ? ONE : kin * ONE / SPAN;
                Table.set(record, KIN, Table.get(record, KIN) + kin);
                Table.set(other, KIN, Table.get(other, KIN) + kin);
            }
        }
    }

    /// @dev The next player with whom P exceeds `least` O, or (W - least) O exceeds w_a w_b; `end` or behind if there is none. Two at a time: the record of zeros
    /// behind the last one has no cosine and no sum.
    function _next(uint256 other, uint256 column, uint256 end, uint256 rest, uint256 sum, uint256 least)
        private
        pure
        returns (uint256)
    {
        assembly ("memory-safe") {
            for { other := add(other, STRIDE) } lt(other, end) { other := add(other, STRIDE) } {
                let w := mload(add(other, column))
                let b := sub(mload(other), w)
                let o := sub(rest, shl(1, b))
                if sgt(mul(sub(w, least), o), mul(sub(sum, w), b)) { break }
                other := add(other, STRIDE)
                w := mload(add(other, column))
                b := sub(mload(other), w)
                o := sub(rest, shl(1, b))
                if sgt(mul(sub(w, least), o), mul(sub(sum, w), b)) { break }
            }
        }
        return other;
    }

    /// @dev k^2 with 60 fraction bits; 0 if O < 2^-20, or less than 2^-20 of a or b is left: A < 2^-20 O.
    function _squared(uint256 other, uint256 column, uint256 rest, uint256 sum) private pure returns (uint256 squared) {
        assembly ("memory-safe") {
            let w := mload(add(other, column))
            let b := sub(mload(other), w)
            let a := sub(sum, w)
            let o := sub(rest, shl(1, b))
            w := sub(mul(w, o), mul(a, b)) // P
            let whole := shl(40, o)
            a := sub(whole, mul(a, a)) // A
            b := sub(whole, mul(b, b)) // B
            let part := shl(20, o)
            if iszero(or(slt(o, NOTHING), or(slt(a, part), slt(b, part)))) {
                squared := div(shl(60, mul(w, w)), mul(a, b))
            }
        }
    }
}
