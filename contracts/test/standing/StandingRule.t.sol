// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStanding} from "../../src/interfaces/IStanding.sol";
import {RecordCell} from "../../src/standing/RecordCell.sol";
import {StandingRule} from "../../src/standing/StandingRule.sol";
import {CheatCodes} from "../support/Vm.sol";

/// @notice Rules and packing, by hand and against plain checked arithmetic.
contract StandingRuleTest is CheatCodes {
    uint256 private constant FULL = 1 << 16;

    function test_CreditOf_WhenSharesDiffer() public pure {
        vm.assertEq(StandingRule.creditOf(1_000, 1_000, FULL), 1_000); // an average share
        vm.assertEq(StandingRule.creditOf(4_000, 1_000, FULL), 1_000, "more earns no more");
        vm.assertEq(StandingRule.creditOf(500, 1_000, FULL), 500);
        vm.assertEq(StandingRule.creditOf(1, 1_000, FULL), 1, "noise");
        vm.assertEq(StandingRule.creditOf(0, 1_000, FULL), 0);
        vm.assertEq(StandingRule.creditOf(1_000, 1_000, FULL / 2), 500, "half the fee");
        vm.assertEq(StandingRule.creditOf(1_000, 1_000, 0), 0, "a token that is not listed");
    }

    function test_UsefulnessAfter_WhenSharesDiffer() public pure {
        vm.assertEq(StandingRule.usefulnessAfter(0, 1_000, 1_000), 1_250);
        vm.assertEq(StandingRule.usefulnessAfter(8_000, 1_000, 1_000), 8_250);
        vm.assertEq(StandingRule.usefulnessAfter(8_000, 0, 1_000), 7_000);
        vm.assertEq(StandingRule.usefulnessAfter(0, 9_000, 1_000), 5_000, "capped at four shares");
        vm.assertEq(StandingRule.usefulnessAfter(40_000, 9_000, 1_000), 40_000);
    }

    function test_LossAfter_WhenTheCapIsNear() public pure {
        vm.assertEq(StandingRule.lossAfter(0, 10_000, FULL), 10_000);
        vm.assertEq(StandingRule.lossAfter(20_000, 10_000, FULL), 30_000);
        vm.assertEq(StandingRule.lossAfter(20_001, 10_000, FULL), 30_000);
        vm.assertEq(StandingRule.lossAfter(30_000, 20_000, FULL), 30_000);
        vm.assertEq(StandingRule.lossAfter(0, 10_000, FULL / 4), 2_500);
        vm.assertEq(StandingRule.lossAfter(5, 10_000, 0), 5);
    }

    function test_Reliability_WhenGoodAndBadDiffer() public pure {
        vm.assertEq(StandingRule.reliability(0, 0), 0, "a newcomer");
        vm.assertEq(StandingRule.reliability(1_000, 0), 476);
        vm.assertEq(StandingRule.reliability(2_222, 0), 999, "one owner alone: a tenth");
        vm.assertEq(StandingRule.reliability(1_000, 20_000), 243);
        vm.assertEq(StandingRule.reliability(0, 30_000), 0);
    }

    function testFuzz_CreditOf_WhenAnything(uint112 pay, uint8 rows, uint112 d, uint32 weight) public pure {
        uint256 n = _bound(rows, 1, 32);
        uint256 distributable = _bound(d, 1, type(uint112).max);
        uint256 w = _bound(weight, 0, FULL);
        uint256 p = _bound(pay, 0, distributable);
        uint256 share = p * n < distributable ? p * n : distributable;
        uint256 credit = StandingRule.creditOf(p * n, distributable, w);
        vm.assertEq(credit, 1_000 * share * w / distributable / FULL);
        vm.assertLe(credit, 1_000);
    }

    function testFuzz_UsefulnessAfter_WhenAnything(uint16 before, uint112 pay, uint8 rows, uint112 d) public pure {
        uint256 n = _bound(rows, 1, 32);
        uint256 u = _bound(before, 0, 40_000);
        uint256 distributable = _bound(d, 1, type(uint112).max);
        uint256 p = _bound(pay, 0, distributable);
        uint256 x = 10_000 * p * n / distributable;
        if (x > 40_000) x = 40_000;
        uint256 after_ = StandingRule.usefulnessAfter(u, p * n, distributable);
        vm.assertEq(after_, (7 * u + x) / 8);
        vm.assertLe(after_, 40_000);
    }

    /// @dev Good behaviour never lowers, bad behaviour never raises, in whatever order.
    function testFuzz_Reliability_WhenSomethingIsAdded(uint32 good, uint32 bad, uint16 more) public pure {
        uint256 r = StandingRule.reliability(good, bad);
        vm.assertGe(StandingRule.reliability(uint256(good) + more, bad), r);
        vm.assertLe(StandingRule.reliability(good, uint256(bad) + more), r);
        vm.assertLt(r, 10_000);
    }

    // ---- RecordCell

    function testFuzz_Pack_WhenItIsUnpacked(uint24 credit, uint16 usefulness, uint16 rounds, uint8 r) public pure {
        uint256 rejections = r & 127;
        uint256 packed = RecordCell.pack(credit, usefulness, rounds, rejections);
        IStanding.Record memory record = RecordCell.unpack(packed);
        vm.assertEq(record.credit, credit);
        vm.assertEq(record.usefulness, usefulness);
        vm.assertEq(record.rounds, rounds);
        vm.assertEq(record.rejections, rejections);
        vm.assertEq(packed >> 63, 1, "never zero, and 64 bits");
    }

    /// @dev Four members share a slot without touching each other; numbers begin at 1.
    function testFuzz_Set_WhenNeighboursHaveRecords(uint256 slot, uint32 member, uint64 record) public pure {
        uint256 m = _bound(member, 1, type(uint32).max);
        uint256 changed = RecordCell.set(slot, m, record);
        uint256 first = (m - 1) / 4 * 4 + 1;
        vm.assertEq(RecordCell.cellOf(m), (m - 1) / 4);
        for (uint256 i = first; i < first + 4; ++i) {
            vm.assertEq(RecordCell.get(changed, i), i == m ? record : RecordCell.get(slot, i));
        }
    }

    function testFuzz_AfterRow_WhenAnything(
        IStanding.Record memory b,
        uint112 pay,
        bool rejected,
        uint8 rows,
        uint16 weight
    ) public pure {
        RecordCell.RoundFacts memory facts = RecordCell.RoundFacts(_bound(rows, 1, 32), type(uint112).max / 3, weight);
        uint256 p = rejected ? 0 : _bound(pay, 0, facts.distributable);
        (b.rejections, b.usefulness) = (b.rejections & 127, uint16(_bound(b.usefulness, 0, 40_000)));
        uint256 packed = RecordCell.pack(b.credit, b.usefulness, b.rounds, b.rejections);
        IStanding.Record memory a = RecordCell.unpack(RecordCell.afterRow(packed, p, rejected, facts));
        uint256 gain = rejected ? 0 : StandingRule.creditOf(p * facts.rows, facts.distributable, facts.weight);
        vm.assertEq(a.credit, _least(b.credit + gain, type(uint24).max));
        vm.assertEq(a.rounds, _least(uint256(b.rounds) + 1, type(uint16).max));
        vm.assertEq(a.rejections, rejected ? _least(uint256(b.rejections) + 1, 127) : b.rejections);
        vm.assertEq(a.usefulness, StandingRule.usefulnessAfter(b.usefulness, p * facts.rows, facts.distributable));
    }

    function test_AfterRow_WhenCountsAreAtTheirMaximum() public pure {
        RecordCell.RoundFacts memory facts = RecordCell.RoundFacts(1, 1, FULL);
        uint256 full = RecordCell.pack(type(uint24).max, 40_000, type(uint16).max, 127);
        vm.assertEq(RecordCell.afterRow(full, 1, false, facts), RecordCell.pack(type(uint24).max, 36_250, 65_535, 127));
        vm.assertEq(RecordCell.afterRow(full, 0, true, facts), RecordCell.pack(type(uint24).max, 35_000, 65_535, 127));
    }

    function _least(uint256 a, uint256 b) private pure returns (uint256) {
        return a < b ? a : b;
    }
}
