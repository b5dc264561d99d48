// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {StandingRule} from "../../src/standing/StandingRule.sol";
import {CheatCodes} from "../support/Vm.sol";

contract StandingRuleTest is CheatCodes {
    function test_ReliabilityByHand() public pure {
        vm.assertEq(StandingRule.reliabilityAfter(0, 100, 10, 1_000, false), 500); // an average share
        vm.assertEq(StandingRule.reliabilityAfter(500, 100, 10, 1_000, false), 975);
        vm.assertEq(StandingRule.reliabilityAfter(500, 1_000, 10, 1_000, false), 975); // more earns no more
        vm.assertEq(StandingRule.reliabilityAfter(0, 50, 10, 1_000, false), 250); // half an average share
        vm.assertEq(StandingRule.reliabilityAfter(0, 1, 10, 1_000, false), 5); // noise
        vm.assertEq(StandingRule.reliabilityAfter(4_000, 0, 10, 1_000, false), 4_000);
        vm.assertEq(StandingRule.reliabilityAfter(4_000, 0, 10, 1_000, true), 3_200);
        vm.assertEq(StandingRule.reliabilityAfter(0, 0, 10, 1_000, true), 0);
        vm.assertEq(StandingRule.reliabilityAfter(10_000, 1_000, 10, 1_000, false), 10_000);
    }

    function test_UsefulnessByHand() public pure {
        vm.assertEq(StandingRule.usefulnessAfter(0, 100, 10, 1_000, false), 1_250);
        vm.assertEq(StandingRule.usefulnessAfter(8_000, 100, 10, 1_000, false), 8_250);
        vm.assertEq(StandingRule.usefulnessAfter(8_000, 0, 10, 1_000, false), 7_000);
        vm.assertEq(StandingRule.usefulnessAfter(0, 1_000, 10, 1_000, false), 5_000); // capped at four shares
        vm.assertEq(StandingRule.usefulnessAfter(40_000, 1_000, 10, 1_000, false), 40_000);
        vm.assertEq(StandingRule.usefulnessAfter(8_000, 100, 10, 1_000, true), 7_000);
    }

    function testFuzz_GoodNeverLowersBadNeverRaises(uint16 r, uint128 pay, uint8 n, uint128 distributable) public pure {
        (uint256 r_, uint256 pay_, uint256 n_, uint256 d) = _bounded(r, pay, n, distributable);
        uint256 good = StandingRule.reliabilityAfter(r_, pay_, n_, d, false);
        uint256 bad = StandingRule.reliabilityAfter(r_, pay_, n_, d, true);
        vm.assertGe(good, r_);
        vm.assertLe(good, 10_000);
        vm.assertLe(good - r_, (10_000 - r_) / 20, "at most 5% of what is missing");
        vm.assertLe(bad, r_);
        vm.assertGe(bad, r_ * 8 / 10);
        vm.assertLe(StandingRule.reliabilityAfter(r_, pay_ / 2, n_, d, false), good, "less pay, no more gain");
    }

    /// @dev A gain is never larger than the share: work that earns a hundredth of the average gains a hundredth.
    function testFuzz_NoiseGainsNextToNothing(uint16 r, uint8 n, uint128 distributable) public pure {
        (uint256 r_,, uint256 n_, uint256 d) = _bounded(r, 0, n, distributable);
        uint256 pay = d / n_ / 100;
        vm.assertLe(StandingRule.reliabilityAfter(r_, pay, n_, d, false) - r_, 5);
    }

    function testFuzz_UsefulnessStaysInRange(uint16 u, uint128 pay, uint8 n, uint128 distributable, bool rejected)
        public
        pure
    {
        (, uint256 pay_, uint256 n_, uint256 d) = _bounded(0, pay, n, distributable);
        uint256 u_ = _bound(u, 0, 40_000);
        uint256 after_ = StandingRule.usefulnessAfter(u_, pay_, n_, d, rejected);
        vm.assertLe(after_, 40_000);
        if (rejected) vm.assertLe(after_, u_);
        uint256 x = rejected ? 0 : 10_000 * pay_ * n_ / d;
        if (x > 40_000) x = 40_000;
        (uint256 low, uint256 high) = u_ < x ? (u_, x) : (x, u_);
        vm.assertLe(after_, high, "a mean lies between");
        vm.assertGe(after_ + 1, low, "a mean lies between, up to the floor");
    }

    function _bounded(uint256 r, uint256 pay, uint256 n, uint256 d)
        private
        pure
        returns (uint256, uint256, uint256, uint256)
    {
        n = _bound(n, 1, 32);
        d = _bound(d, n, type(uint128).max);
        return (_bound(r, 0, 10_000), _bound(pay, 0, d), n, d);
    }
}
