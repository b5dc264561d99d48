// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Roots} from "./Roots.sol";
import {KIN, NOTHING, ONE, Round, STRIDE, SUM, TWINS, Table, UNIT} from "./Table.sol";

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
    uint256 private constant TWIN = 375809639; // floor(0.8 * 2^30) - LOW
    uint256 private constant LOW_SQUARED = 0x33d70a3e28f5c29; // (LOW + 1)^2: the least square with a root above it
    uint256 private constant FEWEST = 4; // players of whom two have others that tell what all have in common

    /// @notice Adds up the kinship of every player with all others, each at most 1, 30 fraction bits, and, 128 bits higher, those
    /// of at least 0.8.
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
                _fillRow(record, end, links, rest, least);
                links += 32 * count;
            }
        }
    }

    /// @dev Kinship of one player with those after it. rest: T - 2 S_a - 2.
    function _fillRow(uint256 record, uint256 end, uint256 links, uint256 rest, uint256 least) private pure {
        unchecked {
            uint256 sum = Table.get(record, SUM);
            uint256 slope = sum - 2 * least;
            uint256 other = record + STRIDE;
            while (true) {
                (other, links) = _next(other, end, links, rest + slope, slope, least * rest);
                if (other >= end) return;
                uint256 squared = _squared(other, Table.get(links, 0), rest, sum);
                if (squared >= LOW_SQUARED) _add(record, other, Roots.floorOf(squared) - LOW);
                links += 32;
                other += STRIDE;
            }
        }
    }

    /// @dev more: kinship beyond what counts.
    function _add(uint256 record, uint256 other, uint256 more) private pure {
        unchecked {
            uint256 kin = more > SPAN ? ONE : more * ONE / SPAN;
            if (more >= TWIN) kin += 1 << TWINS;
            Table.set(record, KIN, Table.get(record, KIN) + kin);
            Table.set(other, KIN, Table.get(other, KIN) + kin);
        }
    }

    /// @dev The next player with whom P exceeds `least` O, that is (W - least) O exceeds w_a w_b, and where its link stands; `end` or
    /// behind if there is none. With S_b the sum of the other one's cosines, O = rest - 2 (S_b - W) and w_a w_b = (S_a - W) (S_b -
    /// W), that is
    ///     W (W + rest + S_a - 2 least - S_b) > least rest + (S_a - 2 least) S_b
    /// Two at a time: what is read behind the last one is not believed by the caller.
    /// @param rest rest + S_a - 2 least
    /// @param slope S_a - 2 least
    /// @param base least rest
    function _next(uint256 other, uint256 end, uint256 links, uint256 rest, uint256 slope, uint256 base)
        private
        pure
        returns (uint256, uint256)
    {
        assembly ("memory-safe") {
            for {} lt(other, end) {} {
                let w := mload(links)
                let b := mload(other)
                if sgt(mul(w, sub(add(w, rest), b)), add(base, mul(slope, b))) { break }
                other := add(other, STRIDE)
                links := add(links, 32)
                w := mload(links)
                b := mload(other)
                if sgt(mul(w, sub(add(w, rest), b)), add(base, mul(slope, b))) { break }
                other := add(other, STRIDE)
                links := add(links, 32)
            }
        }
        return (other, links);
    }

    /// @dev k^2 with 60 fraction bits; 0 if O < 2^-20, or less than 2^-20 of a or b is left: A < 2^-20 O.
    function _squared(uint256 other, uint256 w, uint256 rest, uint256 sum) private pure returns (uint256 squared) {
        assembly ("memory-safe") {
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
