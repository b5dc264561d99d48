// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {PayRule} from "../../src/payouts/PayRule.sol";
import {CheatCodes} from "../support/Vm.sol";

contract PayRuleTest is CheatCodes {
    function test_PaysOf_WhenSharesAreUneven() public pure {
        (uint256[] memory pays, uint256 sum) = PayRule.paysOf(_scores(3, 2, 1), 1_000, 1, 3);
        vm.assertEq(pays[0], 500);
        vm.assertEq(pays[1], 333);
        vm.assertEq(pays[2], 166);
        vm.assertEq(sum, 999);
    }

    function test_PaysOf_WhenScoresAreBelowTheFloor() public pure {
        (uint256[] memory pays,) = PayRule.paysOf(_scores(3, 2, 1), 1_000, 12, 3);
        vm.assertEq(pays[0], 250);
        vm.assertEq(pays[2], 83);
    }

    function test_PaysOf_WhenOneIsAboveTheCap() public pure {
        (uint256[] memory pays, uint256 sum) = PayRule.paysOf(_scores(8, 1, 1), 1_000, 1, 1);
        vm.assertEq(pays[0], 333);
        vm.assertEq(pays[1], 100);
        vm.assertEq(sum, 533);
    }

    function test_PaysOf_WhenNobodyScores() public pure {
        (, uint256 sum) = PayRule.paysOf(_scores(0, 0, 0), 1_000, 1, 3);
        vm.assertEq(sum, 0);
    }

    /// @dev Against the formula, with every product in checked arithmetic.
    function testFuzz_PaysOf_WhenAnything(uint64[] memory scores, uint112 distributable, uint64 floor, uint8 cap)
        public
        pure
    {
        uint256 n = scores.length < 32 ? scores.length : 32;
        if (n == 0) return;
        uint256 least = _bound(floor, 1, type(uint64).max);
        uint256 shareCap = _bound(cap, 1, 255);
        uint256[] memory outcomes = new uint256[](n);
        uint256 total;
        for (uint256 i; i < n; ++i) {
            outcomes[i] = uint256(scores[i]) << 8;
            total += scores[i];
        }
        (uint256[] memory pays, uint256 sum) = PayRule.paysOf(outcomes, distributable, least, shareCap);
        vm.assertEq(_compare(pays, scores, distributable, total > least ? total : least, shareCap), sum);
        vm.assertLe(sum, distributable, "budget");
        if (shareCap >= n && total >= least) vm.assertLt(distributable - sum, n, "only dust is left");
    }

    function _compare(uint256[] memory pays, uint64[] memory scores, uint256 d, uint256 divisor, uint256 shareCap)
        private
        pure
        returns (uint256 added)
    {
        uint256 most = d * shareCap / pays.length;
        if (most > d) most = d;
        for (uint256 i; i < pays.length; ++i) {
            uint256 expected = d * scores[i] / divisor;
            if (expected > most) expected = most;
            vm.assertEq(pays[i], expected);
            added += expected;
            for (uint256 j; j < pays.length; ++j) {
                if (scores[j] >= scores[i]) vm.assertGe(pays[j], pays[i], "more score, no less pay");
            }
        }
    }

    function _scores(uint64 a, uint64 b, uint64 c) private pure returns (uint256[] memory outcomes) {
        outcomes = new uint256[](3);
        (outcomes[0], outcomes[1], outcomes[2]) = (uint256(a) << 8, uint256(b) << 8, uint256(c) << 8);
    }
}
