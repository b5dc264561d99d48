// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PayRule} from "../../src/payouts/PayRule.sol";
import {Outcome} from "../../src/types/Types.sol";
import {CheatCodes} from "../support/Vm.sol";

contract PayRuleHarness {
    function paysOf(Outcome[] calldata outcomes, uint256 distributable, uint256 scoreFloor, uint256 shareCap)
        external
        pure
        returns (uint256[] memory, uint256)
    {
        return PayRule.paysOf(outcomes, distributable, scoreFloor, shareCap);
    }
}

contract PayRuleTest is CheatCodes {
    PayRuleHarness private immutable rule = new PayRuleHarness();

    function test_ByHand() public view {
        (uint256[] memory pays, uint256 sum) = rule.paysOf(_scores(3, 2, 1), 1_000, 1, 3);
        vm.assertEq(pays[0], 500);
        vm.assertEq(pays[1], 333);
        vm.assertEq(pays[2], 166);
        vm.assertEq(sum, 999);
    }

    function test_FloorOfScores() public view {
        (uint256[] memory pays,) = rule.paysOf(_scores(3, 2, 1), 1_000, 12, 3);
        vm.assertEq(pays[0], 250);
        vm.assertEq(pays[2], 83);
    }

    function test_ShareCap() public view {
        (uint256[] memory pays, uint256 sum) = rule.paysOf(_scores(8, 1, 1), 1_000, 1, 1);
        vm.assertEq(pays[0], 333);
        vm.assertEq(pays[1], 100);
        vm.assertEq(sum, 533);
    }

    function test_NoScores() public view {
        (, uint256 sum) = rule.paysOf(_scores(0, 0, 0), 1_000, 1, 3);
        vm.assertEq(sum, 0);
    }

    function testFuzz_Bounds(uint64[] memory scores, uint128 distributable, uint64 scoreFloor, uint8 cap) public view {
        uint256 n = scores.length < 32 ? scores.length : 32;
        if (n == 0) return;
        scoreFloor = uint64(_bound(scoreFloor, 1, type(uint64).max));
        cap = uint8(_bound(cap, 1, 255));
        Outcome[] memory outcomes = new Outcome[](n);
        uint256 total;
        for (uint256 i; i < n; ++i) {
            outcomes[i] = Outcome(scores[i], 0);
            total += scores[i];
        }
        (uint256[] memory pays, uint256 sum) = rule.paysOf(outcomes, distributable, scoreFloor, cap);
        uint256 added;
        for (uint256 i; i < n; ++i) {
            added += pays[i];
            vm.assertLe(pays[i], uint256(distributable) * cap / n + (cap >= n ? distributable : 0), "cap");
            uint256 fair = uint256(distributable) * scores[i] / (total > scoreFloor ? total : scoreFloor);
            vm.assertLe(pays[i], fair, "never more than in proportion");
            for (uint256 j; j < n; ++j) {
                if (scores[j] >= scores[i]) vm.assertGe(pays[j], pays[i], "more score, no less pay");
            }
        }
        vm.assertEq(added, sum);
        vm.assertLe(sum, distributable, "budget");
        if (cap >= n && total >= scoreFloor) vm.assertLt(distributable - sum, n, "only dust is left");
    }

    function _scores(uint64 a, uint64 b, uint64 c) private pure returns (Outcome[] memory outcomes) {
        outcomes = new Outcome[](3);
        outcomes[0].score = a;
        outcomes[1].score = b;
        outcomes[2].score = c;
    }
}
