// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {CommitLeaf, Phase} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract MembersTest is MarketFixture {
    function test_JoinTakesTheStake() public {
        uint256 project = _create(_terms(), 0);
        uint256 before = token.balanceOf(trainers[0]);
        vm.expectEmit(address(market));
        emit IMembers.MemberJoined(project, trainers[0], STAKE, 0);
        _join(project, 0, 1);
        vm.assertEq(before - token.balanceOf(trainers[0]), STAKE);
        vm.assertEq(market.memberCount(project), 1);
        IMembers.Member memory m = market.memberOf(project, trainers[0]);
        vm.assertEq(m.stake, STAKE);
        vm.assertFalse(m.left);
        vm.assertEq(market.memberOf(project, trainers[1]).stake, 0);
    }

    function test_JoinOnce() public {
        uint256 project = _projectWith(1);
        vm.prank(trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMembers.AlreadyMember.selector, project, trainers[0]));
        market.join(project);
    }

    function test_LeaveBetweenRoundsAndWithdraw() public {
        uint256 project = _projectWith(2);
        uint256 before = token.balanceOf(trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMembers.StillMember.selector, project, trainers[0]));
        market.withdrawStake(project, trainers[0]);
        vm.prank(trainers[0]);
        market.leave(project);
        vm.assertEq(market.memberCount(project), 1);
        vm.prank(trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, project, trainers[0]));
        market.leave(project);
        vm.prank(trainers[0]); // not before the stake is out
        vm.expectRevert(abi.encodeWithSelector(IMembers.AlreadyMember.selector, project, trainers[0]));
        market.join(project);
        vm.prank(stranger);
        market.withdrawStake(project, trainers[0]);
        vm.assertEq(token.balanceOf(trainers[0]) - before, STAKE);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, project, trainers[0]));
        market.withdrawStake(project, trainers[0]);
        _join(project, 0, 1);
        vm.assertEq(market.memberCount(project), 2);
    }

    function test_StakeStaysUntilTheRunningRoundEnds() public {
        uint256 project = _projectWith(8);
        uint32 round = market.openRound(project);
        vm.prank(trainers[0]);
        market.leave(project);
        bytes memory locked = abi.encodeWithSelector(IMembers.StakeLocked.selector, project, trainers[0], round);
        vm.expectRevert(locked);
        market.withdrawStake(project, trainers[0]);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8); // who has left may still finish the round
        vm.warp(market.roundOf(project, round).revealStart);
        _reveal(project, round, batch, 0, 8);
        vm.expectRevert(locked);
        market.withdrawStake(project, trainers[0]);
        _settle(project, round, 8);
        market.withdrawStake(project, trainers[0]);
        vm.assertEq(market.memberOf(project, trainers[0]).stake, 0);
        vm.assertEq(market.memberCount(project), 7);
    }

    function test_StakeIsFreeOnceARoundIsVoidEvenUnclosed() public {
        uint256 project = _projectWith(8);
        uint32 round = market.openRound(project);
        vm.prank(trainers[0]);
        market.leave(project);
        vm.warp(market.roundOf(project, round).commitEnd);
        _assertPhase(project, round, Phase.Void);
        market.withdrawStake(project, trainers[0]);
    }

    function test_WhoJoinsDuringARoundWaitsForTheNext() public {
        uint256 project = _projectWith(4);
        uint32 round = market.openRound(project);
        _join(project, 4, 5);
        vm.assertEq(market.roundOf(project, round).eligible, 4);
        bytes32 commitment = _commitment(project, round, 4);
        vm.prank(trainers[4]);
        vm.expectRevert(abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, trainers[4]));
        market.commitSelf(project, round, commitment);
        _commit(project, round, 0, 4);
        vm.warp(market.roundOf(project, round).revealEnd);
        vm.assertEq(market.openRound(project), 2);
        vm.assertEq(market.roundOf(project, 2).eligible, 5);
        _commitSelf(project, 2, 4);
    }

    function test_WhoLeftBeforeARoundMayNotCommit() public {
        uint256 project = _projectWith(5);
        vm.prank(trainers[4]);
        market.leave(project);
        uint32 round = market.openRound(project);
        vm.assertEq(market.roundOf(project, round).eligible, 4);
        bytes32 commitment = _commitment(project, round, 4);
        vm.prank(trainers[4]);
        vm.expectRevert(abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, trainers[4]));
        market.commitSelf(project, round, commitment);
    }

    function test_RejoiningStartsWithTheNextRound() public {
        uint256 project = _projectWith(5);
        vm.prank(trainers[0]);
        market.leave(project);
        uint32 round = market.openRound(project);
        market.withdrawStake(project, trainers[0]); // left before it opened: not part of it
        _join(project, 0, 1);
        bytes32 commitment = _commitment(project, round, 0);
        vm.prank(trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, trainers[0]));
        market.commitSelf(project, round, commitment);
    }

    function test_ProjectsKeepTheirStakesApart() public {
        uint256 first = _projectWith(1);
        uint256 second = _projectWith(2);
        vm.prank(trainers[1]);
        vm.expectRevert(abi.encodeWithSelector(IMembers.NotMember.selector, first, trainers[1]));
        market.leave(first);
        vm.assertEq(market.memberCount(second), 2);
        vm.assertEq(market.memberCount(first), 1);
    }
}
