// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Roots} from "./Roots.sol";
import {AGREED, LANES, ONE, Round, STRIDE, SUM, Table, UNIT, VALUE, VOTE} from "./Table.sol";

/// @title Opposition: who agrees with the others, and who is rejected for opposing them
/// @notice agreement = cos(u_a, sum of the others at equal length) = S / sqrt(T - 2 S - 1), with S the sum of a's cosines with the
/// others and T that of all cosines, a player's with itself included; 30 fraction bits, towards zero, within -1 .. 1. |S| is below
/// 2^45, T below 2^50, S^2 with 20 bits more below 2^110.
library Opposition {
    using Table for Round;

    int256 private constant LEAST = -107374183; // floor(-0.1 * 2^30)
    uint256 private constant MOST_SQUARED = 1 << 60; // of an agreement

    /// @notice Rejects players of no value, and better left out where a row says who is, whose agreement is below -0.1: the most
    /// opposed first, those that tie together, and the others' agreement anew after each. Keeps the records of the others.
    /// @param playing records of players, a bit each.
    /// @return all whether nobody was rejected
    function reject(Round memory round, uint256 playing) internal pure returns (bool all) {
        uint256 suspects = _suspects(round) & playing;
        uint256 kept = playing;
        unchecked {
            uint256 left = suspects == 0 ? 0 : _count(playing);
            while (left > 1 && suspects & kept != 0) {
                uint256 worst = _mostOpposed(round, kept, suspects & kept, left);
                if (worst == 0) break;
                kept &= ~worst;
                for (uint256 place; worst >> place != 0; ++place) {
                    if (worst >> place & 1 == 0) continue;
                    _leave(round, place);
                    --left;
                }
            }
            if (kept != (1 << round.players) - 1) round.keep(kept);
            return kept == playing;
        }
    }

    function _count(uint256 bits) private pure returns (uint256 count) {
        unchecked {
            for (; bits != 0; bits &= bits - 1) ++count;
        }
    }

    /// @dev Takes the record at a place out of the sums and lanes of all others.
    function _leave(Round memory round, uint256 place) private pure {
        uint256 count = round.players;
        uint256 links = round.links;
        uint256 record = round.table;
        unchecked {
            uint256 lane = LANES + 32 * (place >> 4);
            uint256 others = ~(uint256(0xffff) << 240 - 16 * (place & 15));
            for (uint256 other; other < count; ++other) {
                uint256 w = 0;
                if (other < place) {
                    w = Table.get(links, 32 * (place - 1 - other));
                    links += 32 * (count - 1 - other);
                } else if (other > place) {
                    w = Table.get(links, 32 * (other - 1 - place));
                }
                Table.set(record, SUM, Table.get(record, SUM) - w);
                Table.set(record, lane, Table.get(record, lane) & others);
                record += STRIDE;
            }
        }
    }

    /// @notice Agreement of every player; 1 for a lone one.
    /// @return total of all cosines but those of players with themselves
    /// @return most the largest agreement in size
    /// @return positive sum of the agreements above 0
    function agree(Round memory round) internal pure returns (uint256 total, uint256 most, uint256 positive) {
        uint256 count = round.players;
        uint256 record = round.table;
        if (count == 1) {
            Table.set(record, AGREED, ONE);
            return (0, ONE, ONE);
        }
        uint256 end = round.at(count);
        assembly ("memory-safe") {
            for { let at := record } lt(at, end) { at := add(at, STRIDE) } { total := add(total, mload(at)) }
        }
        unchecked {
            int256 all = int256(total + count * UNIT);
            for (; record < end; record += STRIDE) {
                int256 agreement = _agreement(Table.getSigned(record, SUM), all);
                Table.setSigned(record, AGREED, agreement);
                uint256 size = uint256(agreement);
                if (agreement < 0) size = uint256(-agreement);
                else positive += size;
                if (size > most) most = size;
            }
        }
    }

    function _suspects(Round memory round) private pure returns (uint256 suspects) {
        uint256 record = round.table;
        uint256 end = round.at(round.players);
        bool voted = round.values != 0;
        assembly ("memory-safe") {
            for { let bit := 1 } lt(record, end) { bit := shl(1, bit) } {
                let good := or(sgt(mload(add(record, VALUE)), 0), and(voted, sgt(mload(add(record, VOTE)), 0)))
                suspects := or(suspects, mul(bit, iszero(good)))
                record := add(record, STRIDE)
            }
        }
    }

    /// @dev Of the suspects, a bit each; 0 if none opposes the others enough.
    function _mostOpposed(Round memory round, uint256 kept, uint256 suspects, uint256 left)
        private
        pure
        returns (uint256 worst)
    {
        int256 total = _total(round, kept, left);
        int256 lowest = LEAST;
        unchecked {
            for (uint256 place; suspects >> place != 0; ++place) {
                if (suspects >> place & 1 == 0) continue;
                int256 sum = Table.getSigned(round.at(place), SUM);
                if (sum >= 0) continue; // agrees, or stands across: an agreement of 0 or more
                int256 agreement = _agreement(sum, total);
                if (agreement < lowest) (lowest, worst) = (agreement, 1 << place);
                else if (agreement == lowest && worst != 0) worst |= 1 << place;
            }
        }
    }

    function _total(Round memory round, uint256 kept, uint256 left) private pure returns (int256 total) {
        unchecked {
            total = int256(left * UNIT);
            for (uint256 place; kept >> place != 0; ++place) {
                if (kept >> place & 1 == 1) total += Table.getSigned(round.at(place), SUM);
            }
        }
    }

    function _agreement(int256 sum, int256 total) private pure returns (int256) {
        unchecked {
            int256 others = total - 2 * sum - int256(UNIT);
            if (others <= 0) return 0;
            uint256 squared = (uint256(sum * sum) << 20) / uint256(others);
            if (squared > MOST_SQUARED) squared = MOST_SQUARED;
            int256 size = int256(Roots.floorOf60(squared));
            return sum < 0 ? -size : size;
        }
    }
}
