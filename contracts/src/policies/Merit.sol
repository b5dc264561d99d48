// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Medians} from "./Medians.sol";
import {
    AGREED, BASIS, COMPANY, COUNT, HALF, KIN, NOVELTY, ONE, ROWS, Round, SCORE, STRIDE, TWINS, Table, VALUE, VOTE
} from "./Table.sol";

/// @title Merit: from what is known of each player to its score and its weight
/// @notice Numbers are in units of 2^-30 where nothing else is said. Values are below 2^106, relative ones clamped to 2^40.
library Merit {
    using Table for Round;

    int256 private constant MOST_RELATIVE = 1 << 40;
    int256 private constant VALUE_CAP = 5368709120; // 5
    uint256 private constant PEER_CAP = 1073741824; // 1
    uint256 private constant AGREEMENT_FLOOR = 21474836; // 0.02
    uint256 private constant BELIEF_BPS = 9_000;
    uint256 private constant DOUBT_BPS = 20_000;
    int256 private constant SUSPECT_WIDTH = 805306368; // 0.75
    int256 private constant MORE_WIDTH = 805306368; // of others: 1.5
    uint256 private constant GROUP = 644245094; // 0.6
    uint256 private constant NOVELTY_FROM_BPS = 3_500;
    uint256 private constant NOVELTY_FULL_BPS = 6_000;
    uint256 private constant COMPANY_FROM_BPS = 500;
    uint256 private constant COMPANY_FULL_BPS = 2_000;
    uint256 private constant SHARES = 2; // equal ones that a player gets at most
    uint256 private constant TRUST_GAIN = 2;

    /// @notice What all players have in common. The assembly below reads the members at these places.
    struct Facts {
        uint256 belief; // 0x00
        uint256 average; // 0x20; agreement
        uint256 novelty; // 0x40; BASIS times the value from which the gate is open; 1 if the median is 0
        uint256 noveltySpan; // 0x60; BASIS times what is from where it opens to there; 0 if the median is 0
        uint256 company; // 0x80; the same
        uint256 companySpan; // 0xa0
        bool measured; // 0xc0; whether there are value rows
    }

    /// @notice Scores of all players. hint: places of the two middle ones for novelty, then for company, a byte each. agreed: sum of
    /// the agreements above 0, of which an average agreement is the mean, but at least the floor.
    function score(Round memory round, uint256 hint, uint256 agreed) internal pure returns (Facts memory facts) {
        uint256 count = round.players;
        uint256 table = round.table;
        facts.measured = round.values != 0;
        facts.average = agreed / count < AGREEMENT_FLOOR ? AGREEMENT_FLOOR : agreed / count;
        if (facts.measured) facts.belief = _belief(table, count);
        unchecked {
            uint256 median = Medians.middle(Medians.NOVELTIES, table + NOVELTY, count, false, hint >> 16);
            facts.novelty = median == 0 ? 1 : NOVELTY_FULL_BPS * median;
            facts.noveltySpan = (NOVELTY_FULL_BPS - NOVELTY_FROM_BPS) * median;
            median = Medians.middle(Medians.COMPANIES, table + COMPANY, count, false, hint & 0xffff);
            facts.company = median == 0 ? 1 : COMPANY_FULL_BPS * median;
            facts.companySpan = (COMPANY_FULL_BPS - COMPANY_FROM_BPS) * median;
            uint256 total = _scoreAll(facts, table, table + count * STRIDE);
            _cap(table, count, total * SHARES / round.n);
        }
    }

    /// @dev Every score: agreement in parts of the average, or with values
    ///     f(z), z = belief value + (1 - belief) agreement, both capped; f(z) = 0 for z <= -w, (z + w)^2 / 4 w for |z| < w, else z
    /// times both gates, kinship, and what groups and twins keep, rounded down after each. |z| is below 2^34, no product reaches 2^128.
    // slither-disable-next-line divide-before-multiply (rounding after each is the rule)
    function _scoreAll(Facts memory facts, uint256 record, uint256 end) private pure returns (uint256 total) {
        assembly ("memory-safe") {
            // Of points what a gate that is not fully open lets through: value and `full` BASIS times. With a median of 0 only 0 is
            // below `full`, and lets nothing through.
            // slither-disable-next-line divide-before-multiply (rounding after each is the rule)
            function through(points, value, full, span) -> left {
                value := sub(value, sub(full, span))
                left := shr(30, mul(points, div(mul(mul(value, sgt(value, 0)), ONE), span)))
            }
            for {} lt(record, end) { record := add(record, STRIDE) } {
                let points := mload(add(record, AGREED))
                points := div(mul(mul(points, sgt(points, 0)), ONE), mload(add(facts, 0x20)))
                if mload(add(facts, 0xc0)) {
                    if gt(points, PEER_CAP) { points := PEER_CAP }
                    let z := mload(add(record, HALF))
                    if sgt(z, VALUE_CAP) { z := VALUE_CAP }
                    if slt(z, sub(0, mul(3, VALUE_CAP))) { z := sub(0, mul(3, VALUE_CAP)) }
                    let belief := mload(facts)
                    z := sdiv(add(mul(belief, z), mul(sub(ONE, belief), points)), ONE)
                    points := z
                    // Of no value, and better left out: a suspect.
                    let good := or(sgt(mload(add(record, VALUE)), 0), sgt(mload(add(record, VOTE)), 0))
                    let width := add(SUSPECT_WIDTH, mul(good, MORE_WIDTH))
                    if slt(z, width) {
                        z := add(z, width)
                        points := mul(div(mul(z, z), mul(4, width)), sgt(z, 0))
                    }
                }
                let value := mul(BASIS, mload(add(record, NOVELTY)))
                if lt(value, mload(add(facts, 0x40))) {
                    points := through(points, value, mload(add(facts, 0x40)), mload(add(facts, 0x60)))
                }
                value := mul(BASIS, mload(add(record, COMPANY)))
                if lt(value, mload(add(facts, 0x80))) {
                    points := through(points, value, mload(add(facts, 0x80)), mload(add(facts, 0xa0)))
                }
                value := mload(add(record, KIN))
                let alone := lt(mload(add(record, COUNT)), 2)
                if value {
                    alone := and(alone, iszero(shr(TWINS, value)))
                    value := shr(TWINS, shl(TWINS, value)) // the lower half of the word
                    points := shr(30, mul(points, div(shl(60, 1), add(ONE, value))))
                }
                if iszero(alone) { points := shr(30, mul(points, GROUP)) }
                mstore(add(record, SCORE), points)
                total := add(total, points)
            }
        }
    }

    /// @dev Puts values in parts of their mean size, x n / sum |x|, towards zero and clamped, in the place of those on half the
    /// examples; zeros if all are zero.
    /// @return belief max(0, 0.9 - 2 sum D^2 / sum x^2), with D what half the examples say less x, in the same parts.
    function _belief(uint256 table, uint256 count) private pure returns (uint256 belief) {
        uint256 own;
        uint256 noise;
        assembly ("memory-safe") {
            function part(value, scale, size) -> result {
                result := sdiv(mul(value, scale), size) // below 2^(107 + 35)
                if gt(add(result, MOST_RELATIVE), shl(1, MOST_RELATIVE)) {
                    result := sub(MOST_RELATIVE, mul(slt(result, 0), shl(1, MOST_RELATIVE)))
                }
            }
            let end := add(table, mul(count, STRIDE))
            let size := 0
            for { let record := table } lt(record, end) { record := add(record, STRIDE) } {
                let value := mload(add(record, VALUE))
                let sign := sar(255, value)
                size := add(size, xor(add(value, sign), sign))
            }
            let scale := mul(ONE, count)
            for { let record := table } lt(record, end) { record := add(record, STRIDE) } {
                let at := add(record, HALF)
                let value := mload(add(record, VALUE))
                let x := part(sub(mload(at), value), scale, size)
                noise := add(noise, mul(x, x)) // below 2^85
                x := part(value, scale, size)
                own := add(own, mul(x, x))
                mstore(at, x)
            }
        }
        unchecked {
            if (own == 0 || BELIEF_BPS * own <= DOUBT_BPS * noise) return 0;
            return (BELIEF_BPS * own - DOUBT_BPS * noise) * ONE / (BASIS * own);
        }
    }

    function _cap(uint256 record, uint256 count, uint256 most) private pure {
        assembly ("memory-safe") {
            record := add(record, SCORE)
            for { let end := add(record, mul(count, STRIDE)) } lt(record, end) { record := add(record, STRIDE) } {
                if gt(mload(record), most) { mstore(record, most) }
            }
        }
    }

    /// @notice Puts the outcome of every player's rows into `words`: score, reason 0, weight.
    /// @param hint places of the two middle scores above 0, a byte each; read without value rows only.
    function weigh(Round memory round, Facts memory facts, uint256 hint, uint256[] memory words) internal pure {
        uint256 count = round.players;
        uint256 total = facts.measured
            ? _follow(facts, round.table, round.at(count))
            : _trust(round, count, hint);
        _write(round.table, round.at(count), total, round.clips, words);
    }

    /// @dev Without votes: trust in proportion to the score, in full from half the median on. The step is shorter if it adds up to
    /// less than three quarters of the players. In the place of votes.
    function _trust(Round memory round, uint256 count, uint256 hint) private pure returns (uint256 total) {
        uint256 record = round.table;
        uint256 middle = Medians.middle(Medians.SCORES, record + SCORE, count, true, hint);
        unchecked {
            for (uint256 place; place < count; ++place) {
                uint256 trust = middle == 0 ? 0 : TRUST_GAIN * Table.get(record, SCORE) * ONE / middle;
                if (trust > ONE) trust = ONE;
                Table.set(record, VOTE, trust);
                total += trust;
                record += STRIDE;
            }
            if (total < ONE * count * 3 / 4) return ONE * count * 3 / 4;
        }
    }

    /// @dev In full for whom the votes are, unless it has no value and the gate of company is shut: noise harms too little to be voted
    /// out, and shortens the step. In the place of votes.
    function _follow(Facts memory facts, uint256 record, uint256 end) private pure returns (uint256 total) {
        assembly ("memory-safe") {
            for {} lt(record, end) { record := add(record, STRIDE) } {
                let span := mload(add(facts, 0xa0))
                let beyond := sub(mul(BASIS, mload(add(record, COMPANY))), sub(mload(add(facts, 0x80)), span))
                // Open by 2^-30 or more, which is what its factor has.
                let useful := and(sgt(beyond, 0), iszero(lt(mul(beyond, ONE), span)))
                useful := or(useful, sgt(mload(add(record, VALUE)), 0))
                let at := add(record, VOTE)
                let trust := mul(ONE, and(sgt(mload(at), 0), useful))
                mstore(at, trust)
                total := add(total, trust)
            }
            total := add(total, iszero(total))
        }
    }

    /// @dev Weight = floor(2^16 trust clip / (total rows)), below 2^(16 + 60) before the division. The first row of a player is not
    /// before its place.
    function _write(uint256 record, uint256 end, uint256 total, uint256 clips, uint256[] memory words) private pure {
        assembly ("memory-safe") {
            total := mul(ONE, total)
            words := add(words, 32)
            for { let place := 0 } lt(record, end) { place := add(place, 1) } {
                let count := mload(add(record, COUNT))
                let word := shl(8, div(mload(add(record, SCORE)), count))
                let trust := shl(16, mload(add(record, VOTE)))
                let parts := mul(total, count)
                let offset := shl(5, place)
                for { let rows := shr(place, mload(add(record, ROWS))) } rows { rows := shr(1, rows) } {
                    if and(rows, 1) {
                        mstore(add(words, offset), or(word, shl(72, div(mul(trust, mload(add(clips, offset))), parts))))
                    }
                    offset := add(offset, 32)
                }
                record := add(record, STRIDE)
            }
        }
    }
}
