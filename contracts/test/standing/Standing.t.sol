// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStanding} from "../../src/interfaces/IStanding.sol";
import {TestToken} from "../../src/devnet/TestToken.sol";
import {ProjectTerms} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";

/// @notice Standing across projects and owners.
contract StandingTest is MarketScene {
    address private other = address(0x0222); // another owner

    function setUp() public override {
        super.setUp();
        _give(token, other, 10 * uint256(BUDGET));
    }

    function test_ReliabilityOf_WhenTheTrainerIsNew() public {
        project = _projectWith(3);
        vm.assertEq(market.reliabilityOf(trainers[0], new uint256[](0)), 0);
        vm.assertEq(market.reliabilityOf(stranger, _list(project)), 0);
        vm.assertEq(market.reliabilityOf(trainers[0], _list(project)), 0);
    }

    /// @dev One owner alone gives at most a tenth, through however many projects.
    function test_ReliabilityOf_WhenAllProjectsAreOfOneOwner() public {
        project = _projectWith(3);
        uint256 second = _projectWith(3);
        for (uint256 i; i < 2; ++i) _settledRound(project, 3);
        for (uint256 i; i < 2; ++i) _settledRound(second, 3);
        vm.assertEq(market.reliabilityOf(trainers[0], _list(project)), 908); // G = 1,998: D is no multiple of 3
        vm.assertEq(market.reliabilityOf(trainers[0], _list(project, second)), 999); // G = 2,222, not 4,000
    }

    function test_ReliabilityOf_WhenProjectsAreOfTwoOwners() public {
        project = _projectWith(3);
        uint256 second = _projectOf(other);
        _settledRound(project, 3);
        _settledRound(second, 3);
        vm.assertLt(uint256(uint160(owner)), uint256(uint160(other)));
        vm.assertEq(market.reliabilityOf(trainers[0], _list(project, second)), 908); // 1,998 / 21,998
        vm.assertEq(market.reliabilityOf(trainers[0], _list(second)), 475, "naming fewer can only lower it");
    }

    function test_ReliabilityOf_RevertWhen_TheListIsNotSorted() public {
        project = _projectWith(3);
        uint256 second = _projectWith(3);
        uint256 third = _projectOf(other);
        bytes memory unsorted = abi.encodeWithSelector(IStanding.StandingListUnsorted.selector, 1);
        _reverts(owner, _ask(_list(second, project)), unsorted);
        _reverts(owner, _ask(_list(project, project)), unsorted); // the same one twice
        _reverts(owner, _ask(_list(third, project)), unsorted); // owners out of order
        _works(owner, _ask(_list(second, third)));
    }

    function test_ReliabilityOf_RevertWhen_AProjectIsUnknown() public {
        _reverts(owner, _ask(_list(9)), _unknown(9));
    }

    function test_RecordOf_WhenTheTokenIsNotListed() public {
        TestToken free = new TestToken();
        _give(free, owner, 10 * uint256(BUDGET));
        _give(free, aggregator, BOND);
        for (uint256 i; i < 3; ++i) _give(free, trainers[i], STAKE);
        ProjectTerms memory terms = _terms();
        terms.token = address(free);
        project = _create(terms, 10 * uint256(BUDGET));
        _join(project, 0, 3);
        (uint256 fee, uint256 weight) = market.feesOf(project);
        vm.assertEq(fee, PROTOCOL_FEE);
        vm.assertEq(weight, 0);
        round = _toSettle(project, 3);
        Settlement memory s = _equalSettlement(3);
        s.outcomes[2] = 1;
        s.evidence = _evidence(project, round, s, 0, 2);
        _send(project, round, s);
        vm.assertEq(market.recordOf(project, 1).credit, 0, "a fee in a token that anyone mints is free");
        vm.assertEq(market.recordOf(project, 1).rounds, 1);
        vm.assertEq(market.recordOf(project, 3).rejections, 1);
        vm.assertEq(market.lossesOf(trainers[2]), 0, "and so must be harm");
    }

    /// @dev 14,000 of 20,000: 45,875.2 parts of 65,536. And one unit less than the whole fee.
    function test_FeesOf_WhenTheWeightIsNotWhole() public {
        ProjectTerms memory terms = _terms();
        terms.roundBudget = 700_000;
        (uint256 fee, uint256 weight) = market.feesOf(_create(terms, 0));
        vm.assertEq(fee, 14_000);
        vm.assertEq(weight, 45_875);
        terms.roundBudget = BUDGET - 1;
        (fee, weight) = market.feesOf(_create(terms, 0));
        vm.assertEq(fee, PROTOCOL_FEE - 1);
        vm.assertEq(weight, 65_532);
    }

    function test_RecordOf_WhenTheFeeEarnsHalfTheWeight() public {
        ProjectTerms memory terms = _terms();
        terms.roundBudget = BUDGET / 2;
        project = _create(terms, 10 * uint256(BUDGET));
        _join(project, 0, 3);
        (uint256 fee, uint256 weight) = market.feesOf(project);
        vm.assertEq(fee, PROTOCOL_FEE / 2);
        vm.assertEq(weight, 32_768);
        _settledRound(project, 3);
        uint256 d = uint256(BUDGET) / 2 - FEE - fee;
        vm.assertEq(market.recordOf(project, 1).credit, 1_000 * (d / 3 * 3) * 32_768 / d / 65_536);
    }

    /// @dev One owner can do limited harm; the losses of two add up.
    function test_LossesOf_WhenRowsAreRejectedAgainAndAgain() public {
        project = _projectWith(3);
        _rejectFirst();
        for (uint256 ofOwner = 20_000; ofOwner <= 30_000; ofOwner += 10_000) {
            (bytes memory call, uint32 next) = _rejection();
            vm.expectEmit(address(market));
            emit IStanding.LossRecorded(trainers[0], owner, project, next, 10_000, ofOwner, ofOwner);
            _works(aggregator, call);
        }
        _rejectFirst();
        vm.assertEq(market.lossesThrough(trainers[0], owner), 30_000);
        vm.assertEq(market.lossesOf(trainers[0]), 30_000);
        vm.assertEq(market.recordOf(project, 1).rejections, 4);
        project = _projectOf(other);
        _rejectFirst();
        vm.assertEq(market.lossesThrough(trainers[0], other), 10_000);
        vm.assertEq(market.lossesOf(trainers[0]), 40_000);
        vm.assertEq(market.lossesOf(trainers[1]), 0);
    }

    /// @dev Nobody gains by bringing credit in after a loss, or before it.
    function test_ReliabilityOf_WhenLossAndCreditChangePlaces() public {
        project = _projectWith(3);
        uint256 before = vm.snapshotState();
        _rejectFirst();
        _settledRound(project, 3);
        uint256 lossFirst = market.reliabilityOf(trainers[0], _list(project));
        vm.revertToState(before);
        _settledRound(project, 3);
        _rejectFirst();
        vm.assertEq(market.reliabilityOf(trainers[0], _list(project)), lossFirst);
        vm.assertGt(lossFirst, 300);
    }

    function test_RecordOf_WhenTheMemberIsUnknown() public {
        project = _projectWith(3);
        IStanding.Record memory none;
        vm.assertEq(abi.encode(market.recordOf(project, 99)), abi.encode(none));
    }

    function _rejectFirst() private {
        (bytes memory call,) = _rejection();
        _works(aggregator, call);
    }

    /// @dev The settlement of the next round that rejects its first row.
    function _rejection() private returns (bytes memory, uint32) {
        round = _toSettle(project, 3);
        Settlement memory s = _equalSettlement(3);
        s.outcomes[0] = 1;
        s.evidence = _evidence(project, round, s, 0, 2);
        return (_settleCall(s), round);
    }

    function _projectOf(address who) private returns (uint256 p) {
        vm.prank(who);
        p = market.createProject(_terms(), 5 * uint256(BUDGET));
        _bond(p, aggregator, BOND);
        _join(p, 0, 3);
    }

    function _ask(uint256[] memory list) private view returns (bytes memory) {
        return abi.encodeCall(market.reliabilityOf, (trainers[0], list));
    }

    function _list(uint256 a) private pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = a;
    }

    function _list(uint256 a, uint256 b) private pure returns (uint256[] memory list) {
        list = new uint256[](2);
        (list[0], list[1]) = (a, b);
    }
}
