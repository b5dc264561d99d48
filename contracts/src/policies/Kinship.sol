// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Roots} from "./Roots.sol";
import {KIN, NOTHING, ONE, Round, STRIDE, SUM, Table, UNIT} from "./Table.sol";

/// @title Kinship: what two players have in common beyond what all have in common
/// @notice k is the cosine of a and b without their projections on the sum of all others. With O the square of that sum, w_a and
/// w_b their products with it, and everything times O:
///     k^2 = P^2 / (A B),   P = W O - w_a w_b,   A = O - w_a^2,   B = O - w_b^2
/// Looked at only where P / O exceeds 3/10 of the least part that anybody has beyond the direction of all others. From 0.45 to
/// 0.7 it counts more and more, and adds to the kinship of both. |w| < 2^45, O < 2^50, |P| < 2^91, so that P^2 with 60 bits more
/// stays below 2^242.
library Kinship {
    using Table for Round;

    uint256 private constant LOW = 483183820; // floor(0.45 * 2^30)
    uint256 private constant SPAN = 268435456; // floor(0.25 * 2^30)
    uint256 private constant LOW_SQUARED = 0x33d70a3e28f5c29; // (LOW + 1)^2: the least square with a root above it
    uint256 private constant FEWEST = 4; // players of whom two have others that tell what all have in common

    /// @notice Adds up the kinship of every player with all others, each at most 1, 30 fraction bits.
    /// @param total of all cosines but those of players with themselves
    /// @param most the largest agreement in size
    function fill(Round memory round, uint256 total, uint256 most) internal pure {
        uint256 count = round.players;
        if (count < FEWEST) return;
        uint256 record = round.table;
        uint256 end = round.at(count);
        uint256 links = round.links;
        unchecked {
            // 3/10 of the least part of a player beyond the direction of all others, 40 fraction bits.
            uint256 least = 3 * (ONE * ONE - most * most) / 10 >> 20;
            total += (count - 2) * UNIT;
            // O = T - 2 S_a - 2 - 2 (S_b - W): what does not change with b.
            for (; count > 1; record += STRIDE) {
                --count;
                uint256 rest = total - 2 * Table.get(record, SUM);
                if (_isAny(record, end, links, rest, least)) _fillRow(record, end, links, rest, least);
                links += 32 * count;
            }
        }
    }

    /// @dev Whether P exceeds `least` O, that is (W - least) O exceeds w_a w_b, for a player after this one. With S_b the sum of
    /// the other one's cosines, O = rest - 2 (S_b - W) and w_a w_b = (S_a - W) (S_b - W), that is
    ///     W (W + rest + S_a - 2 least - S_b) > least rest + (S_a - 2 least) S_b
    function _isAny(uint256 record, uint256 end, uint256 links, uint256 rest, uint256 least)
        private
        pure
        returns (bool any)
    {
        assembly ("memory-safe") {
            let slope := sub(mload(record), shl(1, least))
            let base := mul(least, rest)
            rest := add(rest, slope)
            least := 0 // negative once one of the differences is
            let alone := iszero(and(div(sub(end, record), STRIDE), 1)) // an odd number of others: the first one
            record := add(record, STRIDE)
            if alone {
                let w := mload(links)
                let b := mload(record)
                least := sub(add(base, mul(slope, b)), mul(w, sub(add(w, rest), b)))
                record := add(record, STRIDE)
                links := add(links, 32)
            }
            for {} lt(record, end) { record := add(record, STRIDE) } {
                let w := mload(links)
                let b := mload(record)
                least := or(least, sub(add(base, mul(slope, b)), mul(w, sub(add(w, rest), b))))
                record := add(record, STRIDE)
                w := mload(add(links, 32))
                b := mload(record)
                least := or(least, sub(add(base, mul(slope, b)), mul(w, sub(add(w, rest), b))))
                links := add(links, 64)
            }
            any := shr(255, least)
        }
    }

    /// @dev Kinship of one player with those after it. rest: T - 2 S_a - 2.
    function _fillRow(uint256 record, uint256 end, uint256 links, uint256 rest, uint256 least) private pure {
        uint256 sum = Table.get(record, SUM);
        unchecked {
            for (uint256 other = record + STRIDE; other < end; other += STRIDE) {
                uint256 squared = _squared(other, Table.get(links, 0), rest, sum, least);
                links += 32;
                if (squared < LOW_SQUARED) continue;
                uint256 kin = Roots.floorOf(squared) - LOW;
                kin = kin > SPAN ? ONE : kin * ONE / SPAN;
                Table.set(record, KIN, Table.get(record, KIN) + kin);
                Table.set(other, KIN, Table.get(other, KIN) + kin);
            }
        }
    }

    /// @dev k^2 with 60 fraction bits; 0 if P does not exceed `least` O, if O < 2^-20, or if less than 2^-20 of a or b is left:
    /// A < 2^-20 O.
    function _squared(uint256 other, uint256 w, uint256 rest, uint256 sum, uint256 least)
        private
        pure
        returns (uint256 squared)
    {
        assembly ("memory-safe") {
            let b := sub(mload(other), w)
            let a := sub(sum, w)
            let o := sub(rest, shl(1, b))
            w := sub(mul(w, o), mul(a, b)) // P
            if sgt(w, mul(least, o)) {
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
}
