// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clones} from "./Clones.sol";
import {Cosines} from "./Cosines.sol";
import {Roots} from "./Roots.sol";
import {AGREED, ONE, Round, STRIDE, SUM, Table, UNIT, VALUE, VOTE} from "./Table.sol";

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
    function reject(Round memory round) internal pure {
        uint256 count = round.players;
        uint256 suspects = _suspects(round);
        if (suspects == 0) return;
        uint256 all = (1 << count) - 1;
        uint256 kept = all;
        unchecked {
            uint256 left = count;
            while (left > 1) {
                uint256 worst = _mostOpposed(round, kept, suspects & kept, left);
                if (worst == 0) break;
                Cosines.mirror(round);
                kept &= ~worst;
                for (uint256 place; worst >> place != 0; ++place) {
                    if (worst >> place & 1 == 0) continue;
                    Clones.leave(round, place);
                    --left;
                }
            }
        }
        if (kept != all) round.keep(kept);
    }

    /// @notice Agreement of every player; 1 for a lone one.
    function agree(Round memory round) internal pure {
        uint256 count = round.players;
        if (count == 1) {
            Table.set(round.table, AGREED, ONE);
            return;
        }
        int256 total = _total(round, (1 << count) - 1, count);
        uint256 record = round.table;
        unchecked {
            for (uint256 place; place < count; ++place) {
                Table.setSigned(record, AGREED, _agreement(Table.getSigned(record, SUM), total));
                record += STRIDE;
            }
        }
    }

    function _suspects(Round memory round) private pure returns (uint256 suspects) {
        bool voted = round.values != 0;
        unchecked {
            for (uint256 place; place < round.players; ++place) {
                uint256 record = round.at(place);
                if (Table.getSigned(record, VALUE) > 0 || (voted && Table.getSigned(record, VOTE) > 0)) continue;
                suspects |= 1 << place;
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
            int256 size = int256(Roots.floorOf(squared));
            return sum < 0 ? -size : size;
        }
    }
}
