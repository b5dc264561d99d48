// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {IStanding} from "../../src/interfaces/IStanding.sol";
import {PayoutTree} from "../../src/payouts/PayoutTree.sol";
import {RowPass} from "../../src/settlement/RowPass.sol";
import {RecordCell} from "../../src/standing/RecordCell.sol";
import {PayRule, PlainTree, RecordRule} from "../support/PlainRules.sol";
import {CheatCodes} from "../support/Vm.sol";

/// @notice The passes over the rows, by hand and against the rules said plainly.
contract RowPassTest is CheatCodes {
    uint256 private constant FULL = 1 << 16;
    uint256 private constant PROJECT = 7;
    uint256 private constant ROUND = 9;

    mapping(uint256 => uint256) private _records;

    // ---- totalOf

    function test_TotalOf_WhenNobodyIsRejected() public pure {
        (uint256 total, bool rejected) = RowPass.totalOf(_scores(3, 2, type(uint64).max));
        vm.assertEq(total, 5 + uint256(type(uint64).max));
        vm.assertFalse(rejected);
    }

    function test_TotalOf_WhenARowIsRejected() public pure {
        uint256[] memory outcomes = _scores(3, 0, 1);
        outcomes[1] = 2; // reason 2
        (uint256 total, bool rejected) = RowPass.totalOf(outcomes);
        vm.assertEq(total, 4);
        vm.assertTrue(rejected);
    }

    function test_TotalOf_RevertWhen_ARejectedRowHasAScore() public {
        uint256[] memory outcomes = _scores(3, 2, 1);
        outcomes[1] |= 1;
        _refused(outcomes, abi.encodeWithSelector(ISettlement.RejectedRowHasScore.selector, 1, 2));
    }

    function test_TotalOf_RevertWhen_AnOutcomeIsTooLarge() public {
        uint256[] memory outcomes = _scores(3, 2, 1);
        outcomes[2] = 1 << 72;
        _refused(outcomes, abi.encodeWithSelector(ISettlement.OutcomeTooLarge.selector, 2, uint256(1) << 72));
        // A score of 2^248 and a reason of 256 - so to say - whose product is zero.
        outcomes[2] = 1 << 255 | 2;
        _refused(outcomes, abi.encodeWithSelector(ISettlement.OutcomeTooLarge.selector, 2, outcomes[2]));
    }

    /// @dev Exactly the outcomes that are not score << 8 | reason, with one of them zero, are refused, and the first is named.
    function testFuzz_TotalOf_WhenAnything(uint256[] memory outcomes, uint256 shapes) public {
        uint256 sum;
        bytes memory expected;
        for (uint256 i; i < outcomes.length; ++i) {
            uint256 shape = shapes >> (2 * (i % 128)) & 3;
            if (shape == 0) outcomes[i] &= type(uint64).max << 8;
            else if (shape == 1) outcomes[i] &= 0xff;
            else if (shape == 2) outcomes[i] &= (1 << 72) - 1;
        }
        for (uint256 i; i < outcomes.length && expected.length == 0; ++i) {
            if (outcomes[i] >> 72 != 0) {
                expected = abi.encodeWithSelector(ISettlement.OutcomeTooLarge.selector, i, outcomes[i]);
            } else if (outcomes[i] & 0xff != 0 && outcomes[i] >> 8 != 0) {
                expected = abi.encodeWithSelector(ISettlement.RejectedRowHasScore.selector, i, outcomes[i] >> 8);
            }
            sum += expected.length == 0 ? outcomes[i] >> 8 : 0;
        }
        if (expected.length != 0) return _refused(outcomes, expected);
        (uint256 total,) = RowPass.totalOf(outcomes);
        vm.assertEq(total, sum);
    }

    // ---- pay

    function test_Pay_WhenSharesAreUneven() public pure {
        (uint256[] memory pays, uint256 paid) = _pay(_scores(3, 2, 1), 1_000, 1, 3);
        vm.assertEq(pays[0], 500);
        vm.assertEq(pays[1], 333);
        vm.assertEq(pays[2], 166);
        vm.assertEq(paid, 999);
    }

    function test_Pay_WhenScoresAreBelowTheFloor() public pure {
        (uint256[] memory pays,) = _pay(_scores(3, 2, 1), 1_000, 12, 3);
        vm.assertEq(pays[0], 250);
        vm.assertEq(pays[2], 83);
    }

    function test_Pay_WhenOneIsAboveTheCap() public pure {
        (uint256[] memory pays, uint256 paid) = _pay(_scores(8, 1, 1), 1_000, 1, 1);
        vm.assertEq(pays[0], 333);
        vm.assertEq(pays[1], 100);
        vm.assertEq(paid, 533);
    }

    function test_Pay_WhenNobodyScores() public pure {
        (, uint256 paid) = _pay(_scores(0, 0, 0), 1_000, 1, 3);
        vm.assertEq(paid, 0);
    }

    /// @dev Pay never exceeds the budget, follows the scores, and leaves only dust where nothing limits it.
    function testFuzz_Pay_WhenAnything(uint64[] memory scores, uint112 d, uint64 floor, uint8 cap) public pure {
        uint256 n = scores.length < 32 ? scores.length : 32;
        if (n == 0) return;
        uint256 distributable = _bound(d, 1, type(uint112).max);
        uint256 least = _bound(floor, 1, type(uint64).max);
        uint256 shareCap = _bound(cap, 1, 255);
        uint256[] memory outcomes = new uint256[](n);
        uint256 total;
        for (uint256 i; i < n; ++i) total += (outcomes[i] = uint256(scores[i]) << 8) >> 8;
        (uint256[] memory plain, uint256 sum) = PayRule.paysOf(outcomes, distributable, least, shareCap);
        (uint256[] memory pays, uint256 paid) = _pay(outcomes, distributable, least, shareCap);
        vm.assertEq(abi.encode(pays), abi.encode(plain));
        vm.assertEq(paid, sum);
        vm.assertLe(paid, distributable, "budget");
        if (shareCap >= n && total >= least) vm.assertLt(distributable - paid, n, "only dust is left");
        for (uint256 i = 1; i < n; ++i) {
            if (scores[i] >= scores[i - 1]) vm.assertGe(pays[i], pays[i - 1], "more score, no less pay");
        }
    }

    // ---- recordAndHash

    function test_RecordAndHash_WhenSharesDiffer() public {
        vm.assertEq(_creditAfter(1_000, 1_000, FULL), 1_000); // an average share
        vm.assertEq(_creditAfter(4_000, 1_000, FULL), 1_000, "more earns no more");
        vm.assertEq(_creditAfter(500, 1_000, FULL), 500);
        vm.assertEq(_creditAfter(1, 1_000, FULL), 1, "noise");
        vm.assertEq(_creditAfter(0, 1_000, FULL), 0);
        vm.assertEq(_creditAfter(1_000, 1_000, FULL / 2), 500, "half the fee");
        vm.assertEq(_creditAfter(1_000, 1_000, 0), 0, "a token that is not listed");
        vm.assertEq(_usefulnessAfter(0, 1_000, 1_000), 1_250);
        vm.assertEq(_usefulnessAfter(8_000, 1_000, 1_000), 8_250);
        vm.assertEq(_usefulnessAfter(8_000, 0, 1_000), 7_000);
        vm.assertEq(_usefulnessAfter(0, 9_000, 1_000), 5_000, "capped at four shares");
        vm.assertEq(_usefulnessAfter(40_000, 9_000, 1_000), 40_000);
    }

    function test_RecordAndHash_WhenCountsAreAtTheirMaximum() public {
        uint256 full = RecordRule.pack(type(uint24).max, 40_000, type(uint16).max, 127);
        vm.assertEq(_after(full, 1, 1, FULL, 0), RecordRule.pack(type(uint24).max, 36_250, 65_535, 127));
        vm.assertEq(_after(full, 0, 1, FULL, 1), RecordRule.pack(type(uint24).max, 35_000, 65_535, 127));
    }

    /// @dev Any rows in any order, over records of which others share the slots: words, records and leaves are those of the plain
    /// rules, and the records of everybody else are as they were.
    function testFuzz_RecordAndHash_WhenAnything(uint256 seed, uint8 count, uint112 d, uint32 weight, uint16 from) public {
        uint256 n = _bound(count, 1, 32);
        RowPass.Facts memory facts = RowPass.factsOf(
            n, _bound(seed % 2 ** 70, 0, 2 ** 69), _bound(d, 1, type(uint112).max), 1 + seed % 97, 1 + seed % 5
        );
        (facts.weight, facts.project, facts.round) = (_bound(weight, 0, FULL), PROJECT, ROUND);
        uint256[] memory members = _shuffled(seed, n, from);
        uint256[] memory words = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            words[i] = random % 5 == 0 ? 1 + random % 200 : uint256(uint64(random >> 128)) << 8;
        }
        RowPass.pay(facts, words);
        uint256[] memory expected = _expected(facts, members, words, seed);
        uint256[] memory leaves = PlainTree.leavesOf(PROJECT, ROUND, members, _paysIn(words));
        uint256[] memory numbers = _copy(members);
        RowPass.recordAndHash(_records, facts, members, words);
        for (uint256 i; i < n; ++i) {
            vm.assertEq(words[i] >> 184, expected[i], "record in the word");
            vm.assertEq(RecordCell.get(_records[RecordCell.cellOf(numbers[i])], numbers[i]), expected[i], "record kept");
            vm.assertEq(members[i], leaves[i], "leaf");
        }
        _othersAreAsTheyWere(numbers, seed);
        vm.assertTrue(PayoutTree.rootOf(members) == PlainTree.rootOf(leaves), "root");
    }

    // ---- by hand

    function _pay(uint256[] memory outcomes, uint256 distributable, uint256 floor, uint256 cap)
        private
        pure
        returns (uint256[] memory pays, uint256 paid)
    {
        uint256[] memory words = _copy(outcomes);
        (uint256 total,) = RowPass.totalOf(words);
        paid = RowPass.pay(RowPass.factsOf(words.length, total, distributable, floor, cap), words);
        for (uint256 i; i < words.length; ++i) vm.assertEq(words[i] & ((1 << 72) - 1), outcomes[i], "outcome kept");
        pays = _paysIn(words);
    }

    /// @dev The record of member 6, the only row, after pay `shares` of D.
    function _after(uint256 record, uint256 shares, uint256 d, uint256 weight, uint256 reason)
        private
        returns (uint256)
    {
        RowPass.Facts memory facts = RowPass.factsOf(1, 1, d, 1, 255);
        facts.weight = weight;
        uint256[] memory members = new uint256[](1);
        uint256[] memory words = new uint256[](1);
        (members[0], words[0]) = (6, shares << 72 | reason);
        _records[1] = record << 64 | 5 | uint256(7) << 192;
        RowPass.recordAndHash(_records, facts, members, words);
        vm.assertEq(_records[1] & type(uint64).max, 5, "the record below");
        vm.assertEq(_records[1] >> 192, 7, "the record above");
        return words[0] >> 184;
    }

    function _creditAfter(uint256 shares, uint256 d, uint256 weight) private returns (uint256) {
        return RecordCell.unpack(_after(0, shares, d, weight, 0)).credit;
    }

    function _usefulnessAfter(uint16 before, uint256 shares, uint256 d) private returns (uint256) {
        return RecordCell.unpack(_after(RecordRule.pack(0, before, 0, 0), shares, d, FULL, 0)).usefulness;
    }

    // ---- against the plain rules

    function _expected(RowPass.Facts memory facts, uint256[] memory members, uint256[] memory words, uint256 seed)
        private
        returns (uint256[] memory records)
    {
        RecordRule.RoundFacts memory plain = RecordRule.RoundFacts(facts.rows, facts.distributable, facts.weight);
        records = new uint256[](members.length);
        for (uint256 i; i < members.length; ++i) {
            uint256 cell = RecordCell.cellOf(members[i]);
            _records[cell] = uint256(keccak256(abi.encode(seed, "cell", cell)));
            uint256 before = RecordCell.get(_records[cell], members[i]);
            uint256 pay = uint112(words[i] >> 72);
            records[i] = RecordRule.afterRow(before, pay, words[i] & 0xff != 0, plain);
        }
    }

    function _othersAreAsTheyWere(uint256[] memory members, uint256 seed) private view {
        for (uint256 i; i < members.length; ++i) {
            uint256 cell = RecordCell.cellOf(members[i]);
            uint256 slot = uint256(keccak256(abi.encode(seed, "cell", cell)));
            for (uint256 m = 4 * cell + 1; m <= 4 * cell + 4; ++m) {
                bool took;
                for (uint256 j; j < members.length; ++j) took = took || members[j] == m;
                if (!took) vm.assertEq(RecordCell.get(_records[cell], m), RecordCell.get(slot, m), "another member");
            }
        }
    }

    /// @dev n different members from `from` + 1 on, with gaps, in any order.
    function _shuffled(uint256 seed, uint256 n, uint256 from) private pure returns (uint256[] memory members) {
        members = new uint256[](n);
        uint256 member = from;
        for (uint256 i; i < n; ++i) {
            member += 1 + uint256(keccak256(abi.encode(seed, "gap", i))) % 3;
            uint256 at = uint256(keccak256(abi.encode(seed, "at", i))) % (i + 1);
            members[i] = members[at];
            members[at] = member;
        }
    }

    function _paysIn(uint256[] memory words) private pure returns (uint256[] memory pays) {
        pays = new uint256[](words.length);
        for (uint256 i; i < words.length; ++i) pays[i] = uint112(words[i] >> 72);
    }

    function _copy(uint256[] memory list) private pure returns (uint256[] memory copy) {
        copy = new uint256[](list.length);
        for (uint256 i; i < list.length; ++i) copy[i] = list[i];
    }

    function _scores(uint64 a, uint64 b, uint64 c) private pure returns (uint256[] memory outcomes) {
        outcomes = new uint256[](3);
        (outcomes[0], outcomes[1], outcomes[2]) = (uint256(a) << 8, uint256(b) << 8, uint256(c) << 8);
    }

    function _refused(uint256[] memory outcomes, bytes memory error_) private {
        (bool ok, bytes memory data) = address(this).call(abi.encodeCall(this.totalOf, (outcomes)));
        vm.assertFalse(ok, "must revert");
        vm.assertEq(data, error_);
    }

    function totalOf(uint256[] memory outcomes) external pure {
        RowPass.totalOf(outcomes);
    }
}
