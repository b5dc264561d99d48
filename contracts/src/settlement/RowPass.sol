// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ISettlement} from "../interfaces/ISettlement.sol";

/// @title RowPass: what a settlement does with every row: pay, leaf of the payout tree, record, word of the event
/// @notice Three passes over arrays in memory, written out, because they run for up to 32 rows in every round: as calls of one
/// function per rule they cost three times as much. Tests compare them with the rules said plainly (test/support/PlainRules.sol).
/// Integers, floor everywhere:
/// - pay = min(floor(D score / max(sum of scores, S_floor)), floor(D cap / n), D).
/// - credit += floor(floor(1000 min(pay n, D) weight / D) / 2^16), unless the row was rejected: noise, whose share is next to
///   nothing, gains next to nothing.
/// - usefulness = floor((7 usefulness + min(40000, floor(10000 pay n / D))) / 8): moving average of share x n.
/// - rounds += 1; rejections += 1 if the row was rejected. Every count stops at its maximum, see RecordCell.
library RowPass {
    uint256 private constant FULL_BPS = 10_000;
    uint256 private constant ROUND_CREDIT = 1_000; // of a round with an average share or more
    uint256 private constant MOST_USEFUL = 40_000; // four average shares, basis points

    /// @notice What all rows of a round have in common. The assembly below reads the members at these places.
    struct Facts {
        uint256 distributable; // 0x00; D, base units, 0 < D < 2^112
        uint256 total; // 0x20; max(sum of scores, S_floor), > 0
        uint256 most; // 0x40; most pay of one row, base units
        uint256 rows; // 0x60; n
        uint256 weight; // 0x80; part of the full standing gain that the round's fee earns, in 1/65536, at most 65536
        // What a leaf of the payout tree is the hash of. The last three change with every row.
        uint256 project; // 0xa0
        uint256 round; // 0xc0
        uint256 row; // 0xe0
        uint256 member; // 0x100
        uint256 amount; // 0x120
    }

    /// @notice Facts of a round without standing and tree.
    /// @param total sum of the scores. `scoreFloor` > 0: below it pay is only in proportion.
    /// @param shareCap one row gets at most shareCap / n of D.
    function factsOf(
        uint256 rows,
        uint256 total,
        uint256 distributable,
        uint256 scoreFloor,
        uint256 shareCap
    ) internal pure returns (Facts memory facts) {
        facts.rows = rows;
        facts.distributable = distributable;
        facts.total = total < scoreFloor ? scoreFloor : total;
        facts.most = shareCap < rows ? distributable * shareCap / rows : distributable;
    }

    /// @notice Sum of the scores, and whether any row was rejected. An outcome is score (64 bits) << 8 | reason (8 bits), with a
    /// score of 0 if there is a reason; reverts at the first one that is not.
    function totalOf(uint256[] memory outcomes) internal pure returns (uint256 total, bool rejected) {
        // slither-disable-next-line uninitialized-local (nothing wrong so far)
        uint256 wrong;
        // slither-disable-next-line uninitialized-local (nothing rejected so far)
        uint256 reasons;
        assembly ("memory-safe") {
            let at := add(outcomes, 32)
            for { let end := add(at, mul(mload(outcomes), 32)) } lt(at, end) { at := add(at, 32) } {
                let outcome := mload(at)
                let reason := and(outcome, 0xff)
                let score := shr(8, outcome)
                total := add(total, score)
                reasons := or(reasons, reason)
                // If nothing stands above bit 72, a product of both is below 2^72, so it is zero only if one of them is.
                wrong := or(wrong, or(shr(72, outcome), mul(reason, score)))
            }
        }
        if (wrong != 0) _revertAtFirstWrong(outcomes);
        return (total, reasons != 0);
    }

    function _revertAtFirstWrong(uint256[] memory outcomes) private pure {
        for (uint256 i; i < outcomes.length; ++i) {
            uint256 outcome = outcomes[i];
            if (outcome >> 72 != 0) revert ISettlement.OutcomeTooLarge(i, outcome);
            if (outcome & 0xff != 0 && outcome >> 8 != 0) revert ISettlement.RejectedRowHasScore(i, outcome >> 8);
        }
    }

    /// @notice pay = min(floor(D score / total), most) for every row.
    /// @param outcomes as for `totalOf`. Each becomes outcome | pay << 72.
    /// @return paid sum of all pay.
    function pay(Facts memory facts, uint256[] memory outcomes) internal pure returns (uint256 paid) {
        assembly ("memory-safe") {
            let distributable := mload(facts)
            let total := mload(add(facts, 0x20))
            let most := mload(add(facts, 0x40))
            let at := add(outcomes, 32)
            for { let end := add(at, mul(mload(outcomes), 32)) } lt(at, end) { at := add(at, 32) } {
                let outcome := mload(at)
                let amount := div(mul(distributable, shr(8, outcome)), total)
                if gt(amount, most) { amount := most }
                paid := add(paid, amount)
                mstore(at, or(outcome, shl(72, amount)))
            }
        }
    }

    /// @notice Brings the record of every row's member up to date, see RecordCell: four to a slot. Rows stand mostly in order of
    /// member numbers, so that one slot is read and written for up to four of them. And makes the row's leaf, see PayoutTree.
    /// @param members of the rows. Each becomes the row's leaf.
    /// @param words as `pay` left them. Each becomes word | record << 184.
    function recordAndHash(
        mapping(uint256 => uint256) storage records,
        Facts memory facts,
        uint256[] memory members,
        uint256[] memory words
    ) internal {
        assembly ("memory-safe") {
            let cell := not(0) // of the slot that is held; no cell has this number
            let key := 0 // where it is kept
            let slot := 0
            for { let offset := mul(mload(words), 32) } offset { offset := sub(offset, 32) } {
                let member := mload(add(members, offset))
                let word := mload(add(words, offset))
                mstore(add(facts, 0xe0), sub(shr(5, offset), 1))
                mstore(add(facts, 0x100), member)
                mstore(add(facts, 0x120), shr(72, word))
                mstore(0, keccak256(add(facts, 0xa0), 160))
                mstore(add(members, offset), and(keccak256(0, 32), not(0xffffffffff)))

                member := sub(member, 1) // numbered from 1
                if iszero(eq(shr(2, member), cell)) {
                    if key { sstore(key, slot) }
                    cell := shr(2, member)
                    mstore(0, cell)
                    mstore(32, records.slot)
                    key := keccak256(0, 64)
                    slot := sload(key)
                }
                member := shl(6, and(member, 3)) // where the record begins in the slot
                let old := and(shr(member, slot), 0xffffffffffffffff)
                slot := xor(slot, shl(member, old)) // without it
                let shares := mul(shr(72, word), mload(add(facts, 0x60)))

                let x := div(mul(FULL_BPS, shares), mload(facts))
                if gt(x, MOST_USEFUL) { x := MOST_USEFUL }
                let updated := shl(24, shr(3, add(mul(7, and(shr(24, old), 0xffff)), x))) // usefulness
                x := and(shr(40, old), 0xffff)
                updated := or(updated, shl(40, add(x, lt(x, 0xffff)))) // rounds
                switch and(word, 0xff)
                case 0 {
                    if gt(shares, mload(facts)) { shares := mload(facts) }
                    x := div(mul(mul(ROUND_CREDIT, shares), mload(add(facts, 0x80))), mload(facts))
                    x := add(and(old, 0xffffff), shr(16, x))
                    if gt(x, 0xffffff) { x := 0xffffff }
                    updated := or(updated, or(x, shl(56, and(shr(56, old), 127)))) // credit; rejections as they were
                }
                default {
                    x := and(shr(56, old), 127)
                    x := add(x, lt(x, 127))
                    updated := or(updated, or(and(old, 0xffffff), shl(56, x))) // credit as it was; rejections
                }
                updated := or(updated, 0x8000000000000000)
                slot := or(slot, shl(member, updated))
                mstore(add(words, offset), or(word, shl(184, updated)))
            }
            if key { sstore(key, slot) }
        }
    }
}
