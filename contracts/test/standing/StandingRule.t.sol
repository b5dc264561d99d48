// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStanding} from "../../src/interfaces/IStanding.sol";
import {RecordCell} from "../../src/standing/RecordCell.sol";
import {StandingRule} from "../../src/standing/StandingRule.sol";
import {RecordRule} from "../support/PlainRules.sol";
import {CheatCodes} from "../support/Vm.sol";

/// @notice Rules and packing, by hand and against plain checked arithmetic.
contract StandingRuleTest is CheatCodes {
    uint256 private constant FULL = 1 << 16;

    function test_LossAfter_WhenTheCapIsNear() public pure {
        vm.assertEq(StandingRule.lossAfter(0, 10_000, FULL), 10_000);
        vm.assertEq(StandingRule.lossAfter(20_000, 10_000, FULL), 30_000);
        vm.assertEq(StandingRule.lossAfter(20_001, 10_000, FULL), 30_000);
        vm.assertEq(StandingRule.lossAfter(30_000, 20_000, FULL), 30_000);
        vm.assertEq(StandingRule.lossAfter(0, 10_000, FULL / 4), 2_500);
        vm.assertEq(StandingRule.lossAfter(0, 10_000, FULL / 3), 3_333, "10,000 x 21,845 / 65,536, floored");
        vm.assertEq(StandingRule.lossAfter(5, 10_000, 0), 5);
    }

    function test_Reliability_WhenGoodAndBadDiffer() public pure {
        vm.assertEq(StandingRule.reliability(0, 0), 0, "a newcomer");
        vm.assertEq(StandingRule.reliability(1_000, 0), 476);
        vm.assertEq(StandingRule.reliability(2_222, 0), 999, "one owner alone: a tenth");
        vm.assertEq(StandingRule.reliability(1_000, 20_000), 243);
        vm.assertEq(StandingRule.reliability(0, 30_000), 0);
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
        uint256 packed = RecordRule.pack(credit, usefulness, rounds, rejections);
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
}
