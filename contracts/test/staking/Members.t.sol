// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";

contract MembersTest is MarketScene {
    bytes32[] private noProof;
    uint256[] private noProjects;

    function setUp() public override {
        super.setUp();
        project = _projectWith(5);
    }

    // ---- join

    function test_Join_RevertWhen_TheProjectIsUnknown() public {
        _reverts(trainers[6], _join(7), _unknown(7));
    }

    function test_Join_RevertWhen_TheProjectIsOver() public {
        _end();
        _reverts(trainers[6], _join(project), _over());
    }

    function test_Join_RevertWhen_TheTrainerIsAMember() public {
        bytes memory already = abi.encodeWithSelector(IMembers.AlreadyMember.selector, project, trainers[0]);
        _reverts(trainers[0], _join(project), already);
    }

    function test_Join_RevertWhen_TheTrainerLeftAndHasItsStakeHere() public {
        vm.prank(trainers[0]);
        market.leave(project);
        _reverts(trainers[0], _join(project), _locked(trainers[0], START));
        vm.warp(START + 1 days); // free to take, not to use again: joining anew begins with withdrawStake
        _reverts(trainers[0], _join(project), _locked(trainers[0], START));
        market.withdrawStake(project, trainers[0]);
        _works(trainers[0], _join(project));
    }

    function test_Join_RevertWhen_TheAllowanceIsMissing() public {
        vm.prank(trainers[6]);
        token.approve(address(market), STAKE - 1);
        vm.assertFalse(_wouldWork(trainers[6], _join(project)));
    }

    function test_Join_WhenNobodyHasStakedForTheTrainer() public {
        uint256 before = token.balanceOf(trainers[6]);
        bytes memory call = _join(project);
        vm.expectEmit(address(market));
        emit IMembers.MemberJoined(project, trainers[6], 6, 0);
        vm.expectEmit(address(market));
        emit IMembers.Staked(project, trainers[6], 6, trainers[6], STAKE);
        _works(trainers[6], call);
        vm.assertEq(before - token.balanceOf(trainers[6]), STAKE);
        vm.assertEq(market.progressOf(project).members, 6);
        vm.assertEq(market.progressOf(project).memberNumbers, 6);
        vm.assertEq(_ledger().stakes, 6 * uint256(STAKE));
        IMembers.Member memory m = market.memberOf(project, trainers[6]);
        vm.assertEq(m.trainer, trainers[6]);
        vm.assertEq(m.number, 6);
        vm.assertEq(m.joinedRound, 0);
        vm.assertEq(m.unlockAt, 0);
        vm.assertTrue(m.staked);
        vm.assertTrue(m.joined);
        vm.assertEq(m.delegate, address(0));
        vm.assertEq(abi.encode(market.memberAt(project, 6)), abi.encode(m));
    }

    function test_Join_WhenSomebodyStakedForTheTrainer() public {
        vm.prank(owner);
        market.stakeFor(project, trainers[6]);
        uint256 before = token.balanceOf(trainers[6]);
        _works(trainers[6], _join(project));
        vm.assertEq(token.balanceOf(trainers[6]), before, "no second stake");
        vm.assertEq(market.progressOf(project).members, 6);
        vm.assertEq(_ledger().stakes, 6 * uint256(STAKE));
    }

    function test_Join_WhenARoundRuns() public {
        round = _open(project);
        _works(trainers[6], _join(project));
        vm.assertEq(market.memberOf(project, trainers[6]).joinedRound, round);
        vm.assertEq(_view().expected, 5, "not waited for");
        bytes memory late = abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, 6);
        _reverts(trainers[6], _selfCall(6, _noLeaves()), late);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        round = _open(project);
        vm.assertEq(_view().expected, 6);
        _works(trainers[6], _selfCall(6, _noLeaves()));
    }

    function test_Join_WhenTheTrainerComesBack() public {
        vm.prank(trainers[0]);
        market.leave(project);
        market.withdrawStake(project, trainers[0]);
        round = _open(project);
        _works(trainers[0], _join(project));
        vm.assertEq(_number(project, 0), 1, "the number is for ever");
        vm.assertEq(market.progressOf(project).memberNumbers, 5);
        bytes memory late = abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, 1);
        _reverts(trainers[0], _selfCall(0, _noLeaves()), late);
    }

    function test_Join_WhenTheTrainerLeftAndWasSlashed() public {
        _withheldByTrainer4();
        vm.prank(trainers[4]);
        market.leave(project);
        CommitLeaf[] memory batch = _leaves(project, round, 0, 5);
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(batch, 4));
        vm.warp(_view().slashEnd);
        uint256 before = token.balanceOf(trainers[4]);
        _works(trainers[4], _join(project));
        vm.assertEq(before - token.balanceOf(trainers[4]), STAKE, "a new stake");
        vm.assertTrue(market.memberOf(project, trainers[4]).staked);
    }

    // ---- join: access list

    function test_Join_RevertWhen_TheTrainerIsNotOnTheList() public {
        _listed();
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _accessLeaf(trainers[0]);
        bytes memory refused = abi.encodeWithSelector(IMembers.NotAllowed.selector, project, trainers[2]);
        _reverts(trainers[2], abi.encodeCall(market.join, (project, proof, noProjects)), refused);
        _reverts(trainers[2], _join(project), refused);
    }

    function test_Join_RevertWhen_TheProofIsSomebodyElses() public {
        _listed();
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _accessLeaf(trainers[0]); // proves trainer 1
        bytes memory refused = abi.encodeWithSelector(IMembers.NotAllowed.selector, project, trainers[0]);
        _reverts(trainers[0], abi.encodeCall(market.join, (project, proof, noProjects)), refused);
    }

    function test_Join_WhenTheTrainerIsOnTheList() public {
        _listed();
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _accessLeaf(trainers[0]);
        _works(trainers[1], abi.encodeCall(market.join, (project, proof, noProjects)));
        vm.assertTrue(market.memberOf(project, trainers[1]).joined);
    }

    // ---- join: reliability

    function test_Join_RevertWhen_TheReliabilityIsTooLow() public {
        uint256[] memory named = _worked();
        ProjectTerms memory terms = _terms();
        terms.minReliability = 477; // one more than a first full round gives
        project = _create(terms, 0);
        bytes memory low = abi.encodeWithSelector(IMembers.ReliabilityTooLow.selector, project, 476, 477);
        _reverts(trainers[0], abi.encodeCall(market.join, (project, noProof, named)), low);
        low = abi.encodeWithSelector(IMembers.ReliabilityTooLow.selector, project, 0, 477);
        _reverts(trainers[0], _join(project), low);
        _reverts(trainers[9], abi.encodeCall(market.join, (project, noProof, named)), low);
    }

    function test_Join_WhenTheReliabilityIsEnough() public {
        uint256[] memory named = _worked();
        ProjectTerms memory terms = _terms();
        terms.minReliability = 476;
        project = _create(terms, 0);
        _works(trainers[0], abi.encodeCall(market.join, (project, noProof, named)));
    }

    // ---- stakeFor

    function test_StakeFor_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.stakeFor, (7, trainers[6])), _unknown(7));
    }

    function test_StakeFor_RevertWhen_TheProjectIsOver() public {
        _end();
        _reverts(owner, abi.encodeCall(market.stakeFor, (project, trainers[6])), _over());
    }

    function test_StakeFor_RevertWhen_TheTrainerIsZero() public {
        bytes memory zero = abi.encodeWithSelector(IMembers.NotMember.selector, project, address(0));
        _reverts(owner, abi.encodeCall(market.stakeFor, (project, address(0))), zero);
    }

    function test_StakeFor_RevertWhen_TheTrainerHasAStake() public {
        bytes memory staked = abi.encodeWithSelector(IMembers.AlreadyStaked.selector, project, trainers[0]);
        _reverts(owner, abi.encodeCall(market.stakeFor, (project, trainers[0])), staked);
    }

    function test_StakeFor_WhenTheTrainerIsNew() public {
        uint256 before = token.balanceOf(owner);
        vm.expectEmit(address(market));
        emit IMembers.Staked(project, trainers[6], 6, owner, STAKE);
        vm.prank(owner);
        market.stakeFor(project, trainers[6]);
        vm.assertEq(before - token.balanceOf(owner), STAKE);
        IMembers.Member memory m = market.memberOf(project, trainers[6]);
        vm.assertEq(m.number, 6);
        vm.assertTrue(m.staked);
        vm.assertFalse(m.joined);
        vm.assertEq(market.progressOf(project).members, 5, "not a member by somebody else's will");
    }

    /// @dev Who was slashed before a round opened is not waited for in it, so it must not take part in it either: its
    /// commitment would end the phase before somebody who is waited for has acted.
    function test_StakeFor_WhenTheMemberWasSlashedAndARoundRuns() public {
        _withheldByTrainer4();
        CommitLeaf[] memory batch = _leaves(project, round, 0, 5);
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(batch, 4));
        vm.assertEq(market.progressOf(project).members, 4);
        _settle(project, round, 4);
        round = _open(project);
        vm.assertEq(_view().expected, 4);
        vm.prank(owner);
        market.stakeFor(project, trainers[4]);
        vm.assertEq(market.progressOf(project).members, 5);
        bytes memory late = abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, 5);
        _reverts(trainers[4], _selfCall(4, _noLeaves()), late);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        round = _open(project);
        _works(trainers[4], _selfCall(4, _noLeaves()));
    }

    // ---- setDelegate

    function test_SetDelegate_RevertWhen_TheProjectIsUnknown() public {
        _reverts(trainers[0], abi.encodeCall(market.setDelegate, (7, stranger)), _unknown(7));
    }

    function test_SetDelegate_RevertWhen_TheCallerHasNoNumber() public {
        bytes memory unknown = abi.encodeWithSelector(IMembers.NotMember.selector, project, stranger);
        _reverts(stranger, abi.encodeCall(market.setDelegate, (project, owner)), unknown);
    }

    function test_SetDelegate_RevertWhen_TheDelegateIsTheTrainer() public {
        bytes memory same = abi.encodeWithSelector(IMembers.DelegateIsTrainer.selector, trainers[0]);
        _reverts(trainers[0], abi.encodeCall(market.setDelegate, (project, trainers[0])), same);
    }

    function test_SetDelegate_WhenTheDelegateIsSomebodyElse() public {
        vm.expectEmit(address(market));
        emit IMembers.DelegateChanged(project, trainers[0], stranger);
        vm.prank(trainers[0]);
        market.setDelegate(project, stranger);
        vm.assertEq(market.memberOf(project, trainers[0]).delegate, stranger);
    }

    function test_SetDelegate_WhenTheDelegateIsZero() public {
        vm.startPrank(trainers[0]);
        market.setDelegate(project, stranger);
        vm.expectEmit(address(market));
        emit IMembers.DelegateChanged(project, trainers[0], address(0));
        market.setDelegate(project, address(0));
        vm.stopPrank();
        vm.assertEq(market.memberOf(project, trainers[0]).delegate, address(0));
    }

    // ---- leave

    function test_Leave_RevertWhen_TheProjectIsUnknown() public {
        _reverts(trainers[0], abi.encodeCall(market.leave, (7)), _unknown(7));
    }

    function test_Leave_RevertWhen_TheCallerIsNoMember() public {
        bytes memory call = abi.encodeCall(market.leave, (project));
        bytes memory none = abi.encodeWithSelector(IMembers.NotMember.selector, project, stranger);
        _reverts(stranger, call, none);
        vm.prank(owner);
        market.stakeFor(project, trainers[6]); // has a number and a stake, never joined
        _reverts(trainers[6], call, abi.encodeWithSelector(IMembers.NotMember.selector, project, trainers[6]));
        _works(trainers[0], call);
        _reverts(trainers[0], call, abi.encodeWithSelector(IMembers.NotMember.selector, project, trainers[0]));
    }

    function test_Leave_WhenNoRoundHasOpened() public {
        vm.expectEmit(address(market));
        emit IMembers.MemberLeft(project, trainers[0], 1, uint40(START));
        vm.prank(trainers[0]);
        market.leave(project);
        vm.assertEq(market.progressOf(project).members, 4);
        vm.assertFalse(market.memberOf(project, trainers[0]).joined);
        vm.assertTrue(market.memberOf(project, trainers[0]).staked);
    }

    function test_Leave_WhenARoundRuns() public {
        round = _open(project);
        uint40 slashEnd = uint40(_view().slashEnd);
        vm.assertEq(slashEnd, START + COMMIT + GUARD + REVEAL + RESCUE + SLASH);
        vm.expectEmit(address(market));
        emit IMembers.MemberLeft(project, trainers[0], 1, slashEnd);
        vm.prank(trainers[0]);
        market.leave(project);
        vm.assertEq(market.memberOf(project, trainers[0]).unlockAt, slashEnd);
        bytes memory gone = abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, 1);
        _reverts(trainers[0], _selfCall(0, _noLeaves()), gone); // from at once
        vm.assertEq(_view().expected, 5, "still waited for, until the deadline");
    }

    function test_Leave_WhenTheNewestRoundCanBeSlashedNoMore() public {
        round = _open(project);
        vm.warp(_view().slashEnd + 5);
        vm.prank(trainers[0]);
        market.leave(project);
        vm.assertEq(market.memberOf(project, trainers[0]).unlockAt, block.timestamp);
    }

    function test_Leave_WhenTheStakeIsGone() public {
        _withheldByTrainer4();
        CommitLeaf[] memory batch = _leaves(project, round, 0, 5);
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(batch, 4));
        vm.expectEmit(address(market));
        emit IMembers.MemberLeft(project, trainers[4], 5, 0);
        vm.prank(trainers[4]);
        market.leave(project);
        vm.assertEq(market.progressOf(project).members, 4, "counted out once");
        _works(trainers[4], _join(project));
        vm.assertEq(market.progressOf(project).members, 5);
    }

    // ---- withdrawStake

    function test_WithdrawStake_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, abi.encodeCall(market.withdrawStake, (7, trainers[0])), _unknown(7));
    }

    function test_WithdrawStake_RevertWhen_TheTrainerIsUnknown() public {
        bytes memory none = abi.encodeWithSelector(IMembers.NotMember.selector, project, stranger);
        _reverts(stranger, abi.encodeCall(market.withdrawStake, (project, stranger)), none);
    }

    function test_WithdrawStake_RevertWhen_TheTrainerIsAMember() public {
        bytes memory still = abi.encodeWithSelector(IMembers.StillMember.selector, project, trainers[0]);
        _reverts(trainers[0], _withdraw(0), still);
    }

    function test_WithdrawStake_RevertWhen_ThereIsNoStake() public {
        vm.prank(trainers[0]);
        market.leave(project);
        _works(stranger, _withdraw(0));
        bytes memory none = abi.encodeWithSelector(IMembers.NoStake.selector, project, trainers[0]);
        _reverts(trainers[0], _withdraw(0), none);
    }

    function test_WithdrawStake_RevertWhen_ItIsLocked() public {
        round = _open(project);
        vm.prank(trainers[0]);
        market.leave(project);
        uint256 unlockAt = _view().slashEnd;
        vm.warp(unlockAt - 1);
        _reverts(trainers[0], _withdraw(0), _locked(trainers[0], unlockAt));
        _tryAt(unlockAt, trainers[0], _withdraw(0), "");
        _tryAt(unlockAt + 1, trainers[0], _withdraw(0), "");
    }

    function test_WithdrawStake_WhenTheTrainerLeft() public {
        vm.prank(trainers[0]);
        market.leave(project);
        uint256 before = token.balanceOf(trainers[0]);
        vm.expectEmit(address(market));
        emit IMembers.StakeWithdrawn(project, trainers[0], 1, STAKE);
        vm.prank(stranger);
        market.withdrawStake(project, trainers[0]);
        vm.assertEq(token.balanceOf(trainers[0]) - before, STAKE, "to the trainer, whoever calls");
        vm.assertEq(_ledger().stakes, 4 * uint256(STAKE));
        IMembers.Member memory m = market.memberOf(project, trainers[0]);
        vm.assertFalse(m.staked);
        vm.assertEq(m.unlockAt, 0);
        vm.assertEq(m.number, 1);
    }

    function test_WithdrawStake_WhenTheTrainerNeverJoined() public {
        vm.prank(owner);
        market.stakeFor(project, trainers[6]);
        uint256 before = token.balanceOf(trainers[6]);
        market.withdrawStake(project, trainers[6]);
        vm.assertEq(token.balanceOf(trainers[6]) - before, STAKE);
    }

    function test_WithdrawStake_WhenTheProjectIsOver() public {
        vm.prank(trainers[0]);
        market.leave(project);
        _end();
        market.refund(project);
        market.withdrawStake(project, trainers[0]);
    }

    // ---- views

    function test_MemberOf_WhenTheTrainerIsUnknown() public view {
        IMembers.Member memory none;
        vm.assertEq(abi.encode(market.memberOf(project, stranger)), abi.encode(none));
        vm.assertEq(abi.encode(market.memberAt(project, 99)), abi.encode(none));
        vm.assertEq(abi.encode(market.memberAt(project, 0)), abi.encode(none));
    }

    function test_Members_WhenThereAreTwoProjects() public {
        uint256 second = _projectWith(2);
        vm.prank(trainers[0]);
        market.leave(second);
        vm.assertTrue(market.memberOf(project, trainers[0]).joined);
        vm.assertEq(market.progressOf(project).members, 5);
        vm.assertEq(market.progressOf(second).members, 1);
        _joinOne(second, trainers[4]);
        vm.assertEq(_number(second, 4), 3, "numbers are given per project");
    }

    // ---- scenes

    /// @dev Round 1 in the settle phase with rows 0 .. 3; trainer 4 committed and did not reveal.
    function _withheldByTrainer4() private {
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 5);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 4);
        vm.warp(_view().revealEnd);
        _assertPhase(project, round, Phase.Settle);
    }

    /// @dev `project` becomes one with trainers 0 and 1 on its list.
    function _listed() private {
        ProjectTerms memory terms = _terms();
        terms.accessRoot = _pair(_accessLeaf(trainers[0]), _accessLeaf(trainers[1]));
        project = _create(terms, 0);
    }

    /// @dev One settled round, with an equal share for everybody.
    function _worked() private returns (uint256[] memory named) {
        round = _settledRound(project, 5);
        named = new uint256[](1);
        named[0] = project;
        vm.assertEq(market.reliabilityOf(trainers[0], named), 476);
    }

    function _accessLeaf(address trainer) private pure returns (bytes32) {
        return keccak256(abi.encode(keccak256(abi.encode(trainer))));
    }

    function _join(uint256 where) private view returns (bytes memory) {
        return abi.encodeCall(market.join, (where, noProof, noProjects));
    }

    function _withdraw(uint256 i) private view returns (bytes memory) {
        return abi.encodeCall(market.withdrawStake, (project, trainers[i]));
    }

    function _locked(address trainer, uint256 unlockAt) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IMembers.StakeLocked.selector, project, trainer, unlockAt, block.timestamp
        );
    }
}
