// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PayoutTree} from "../../src/payouts/PayoutTree.sol";
import {RecordCell} from "../../src/standing/RecordCell.sol";

/// @notice What RowPass does in assembly, rule by rule and as plainly as it can be said. Tests compare the two.

/// @title PayRule: scores to pay, integers only, floor everywhere
library PayRule {
    /// @notice pay_a = min(floor(D c_a / max(sum c, S_floor)), floor(D cap / n), D).
    /// @param outcomes one word per row: score (64 bits) << 8 | reason (8 bits).
    /// @param distributable D, base units, below 2^112.
    /// @param shareCap one row gets at most shareCap / n of D.
    /// @return pays base units, one per outcome; their sum never exceeds D.
    function paysOf(uint256[] memory outcomes, uint256 distributable, uint256 scoreFloor, uint256 shareCap)
        internal
        pure
        returns (uint256[] memory pays, uint256 sum)
    {
        uint256 n = outcomes.length;
        pays = new uint256[](n);
        unchecked {
            // n <= 32, scores < 2^64, D < 2^112: nothing here reaches 2^256.
            // slither-disable-next-line uninitialized-local (a sum begins at zero)
            uint256 total;
            for (uint256 i; i < n; ++i) total += outcomes[i] >> 8;
            if (total < scoreFloor) total = scoreFloor;
            uint256 most = shareCap < n ? distributable * shareCap / n : distributable;
            for (uint256 i; i < n; ++i) {
                uint256 pay = distributable * (outcomes[i] >> 8) / total;
                if (pay > most) pay = most;
                pays[i] = pay;
                sum += pay;
            }
        }
    }
}

/// @title RecordRule: what one settled row makes of its member's record
library RecordRule {
    uint256 internal constant FULL_BPS = 10_000;
    uint256 internal constant FULL_WEIGHT = 1 << 16;
    uint256 internal constant ROUND_CREDIT = 1_000; // of a round with an average share or more
    uint256 internal constant MOST_USEFUL = 40_000; // four average shares, basis points

    /// @notice floor(1000 min(pay n, D) weight / (D 2^16)): noise, whose share is next to nothing, gains next to nothing.
    /// @param shares pay of the row times rows of the round, base units, below 2^117.
    /// @param distributable D of the round, base units, > 0.
    /// @param weight part of the full gain that the round's fee earns, in 1/65536, at most 65536.
    function creditOf(uint256 shares, uint256 distributable, uint256 weight) internal pure returns (uint256) {
        if (shares > distributable) shares = distributable;
        unchecked {
            return ROUND_CREDIT * shares * weight / distributable / FULL_WEIGHT; // below 2^(10 + 117 + 17)
        }
    }

    /// @notice Moving average of share x n: floor((7 u + x) / 8) with x = min(40000, floor(10000 pay n / D)).
    /// @param shares pay of the row times rows of the round, base units, below 2^117.
    function usefulnessAfter(uint256 u, uint256 shares, uint256 distributable) internal pure returns (uint256) {
        unchecked {
            uint256 x = FULL_BPS * shares / distributable; // below 2^(14 + 117)
            if (x > MOST_USEFUL) x = MOST_USEFUL;
            return (7 * u + x) / 8;
        }
    }

    function pack(uint256 credit, uint256 usefulness, uint256 rounds, uint256 rejections)
        internal
        pure
        returns (uint256)
    {
        return credit | usefulness << 24 | rounds << 40 | rejections << 56 | RecordCell.KNOWN;
    }

    /// @notice What all rows of a round have in common.
    struct RoundFacts {
        uint256 rows; // n
        uint256 distributable; // D
        uint256 weight;
    }

    /// @notice The record after one settled row.
    function afterRow(uint256 record, uint256 pay, bool rejected, RoundFacts memory facts)
        internal
        pure
        returns (uint256)
    {
        uint256 shares = pay * facts.rows;
        uint256 credit = uint24(record);
        uint256 usefulness = usefulnessAfter(uint16(record >> 24), shares, facts.distributable);
        uint256 rounds = uint16(record >> 40);
        uint256 rejections = record >> 56 & RecordCell.MOST_REJECTIONS;
        unchecked {
            // Every count stays below its maximum, as tested before each step.
            if (rejected) {
                if (rejections < RecordCell.MOST_REJECTIONS) rejections += 1;
            } else {
                credit += creditOf(shares, facts.distributable, facts.weight);
                if (credit > type(uint24).max) credit = type(uint24).max;
            }
            if (rounds < type(uint16).max) rounds += 1;
        }
        return pack(credit, usefulness, rounds, rejections);
    }
}

/// @title PlainTree: the payout tree, by the words of PayoutTree
library PlainTree {
    /// @notice leafOf for every row of a round.
    function leavesOf(uint256 project, uint256 round, uint256[] memory members, uint256[] memory amounts)
        internal
        pure
        returns (uint256[] memory leaves)
    {
        leaves = new uint256[](members.length);
        for (uint256 i; i < members.length; ++i) {
            leaves[i] = uint256(PayoutTree.leafOf(project, round, i, members[i], amounts[i]));
        }
    }

    function rootOf(uint256[] memory level) internal pure returns (bytes27) {
        while (level.length > 1) {
            uint256[] memory above = new uint256[]((level.length + 1) / 2);
            for (uint256 i; i < above.length; ++i) {
                above[i] = 2 * i + 1 < level.length ? _pair(level[2 * i], level[2 * i + 1]) : level[2 * i];
            }
            level = above;
        }
        return bytes27(bytes32(level[0]));
    }

    function _pair(uint256 a, uint256 b) private pure returns (uint256) {
        return uint256(bytes32(bytes27(a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a)))));
    }
}
