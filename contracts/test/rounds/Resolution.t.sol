// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {IStanding} from "../../src/interfaces/IStanding.sol";
import {Phase, ProjectTerms, SkipReason} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Opening} from "../support/Packed.sol";

/// @notice Seven members: 0 .. 3 reveal, 4 and 5 (leaves) and 6 (self-posted) withhold.
contract ResolutionTest is MarketScene {
    CommitLeaf[] private batch;

    function setUp() public override {
        super.setUp();
        project = _projectWith(7);
        _bond(project, rival, BOND);
        round = _open(project);
        _commitSelf(project, round, 6);
        CommitLeaf[] memory leaves = _commit(project, round, 0, 6);
        for (uint256 i; i < leaves.length; ++i) batch.push(leaves[i]);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 4);
        vm.warp(_view().revealEnd);
        _assertPhase(project, round, Phase.Settle);
    }

    // ---- rescue

    function test_Rescue_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, _encodeRescue(9, 1, _noLeaves(), new Opening[](0)), _unknown(9));
    }

    function test_Rescue_RevertWhen_TheRoundDoesNotExist() public {
        Opening[] memory openings = _openingsOf(4);
        bytes memory call = _encodeRescue(project, 2, _noLeaves(), openings);
        _reverts(stranger, call, _wrongIn(2, Phase.None));
        call = _encodeRescue(project, 0, _noLeaves(), openings);
        _reverts(stranger, call, _wrongIn(0, Phase.None));
    }

    function test_Rescue_RevertWhen_TheRoundEndedForWantOfCommitments() public {
        uint256 other = _projectWith(7);
        round = _open(other);
        project = other;
        _commitSelf(project, round, 0);
        vm.warp(_view().commitEnd);
        _reverts(stranger, _rescueCall(_noLeaves(), 0, 1), _wrongIn(round, Phase.Void));
        vm.warp(START);
        _assertPhase(project, round, Phase.Commit);
        _reverts(stranger, _rescueCall(_noLeaves(), 0, 1), _wrongIn(round, Phase.Commit));
    }

    function test_Rescue_RevertWhen_TheOlderRoundLeftNothingUnresolved() public {
        _works(trainers[4], _rescueCall(batch, 4, 7));
        _settle(project, round, 4);
        _accept(project, rival);
        market.openRound(project);
        _reverts(stranger, _rescueCall(batch, 4, 5), _wrongIn(round, Phase.Final));
    }

    function test_Rescue_RevertWhen_ItIsOutsideItsWindow() public {
        bytes memory call = _rescueCall(batch, 4, 5);
        (uint256 tR, uint256 tG) = (_view().revealEnd, _view().rescueEnd);
        _tryAt(tR - 1, trainers[4], call, _outside(tR - 1, tR, tG));
        _tryAt(tR, trainers[4], call, "");
        _tryAt(tR + 1, trainers[4], call, "");
        _tryAt(tG - 1, trainers[4], call, "");
        _tryAt(tG, trainers[4], call, _outside(tG, tR, tG));
        _tryAt(tG + 1, trainers[4], call, _outside(tG + 1, tR, tG));
    }

    function test_Rescue_RevertWhen_OpeningsAreNotInOrder() public {
        Opening[] memory openings = _openings(project, round, 4, 6);
        (openings[0], openings[1]) = (openings[1], openings[0]);
        bytes memory call = _encodeRescue(project, round, batch, openings);
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.OpeningsNotIncreasing.selector, 1));
        call = _encodeRescue(project, round, batch, new Opening[](0));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.NoOpenings.selector));
        call = _encodeRescue(project, round, batch, new Opening[](33));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.TooManyOpenings.selector, 33, 32));
    }

    function test_Rescue_RevertWhen_TheBatchIsNotTheOnePosted() public {
        CommitLeaf[] memory other = _leaves(project, round, 0, 5);
        bytes memory wrong =
            abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(other), _batchHash(batch));
        _reverts(stranger, _rescueCall(other, 4, 5), wrong);
    }

    function test_Rescue_WhenTheOpeningIsRight() public {
        bytes memory call = _rescueCall(batch, 4, 7);
        for (uint256 i = 4; i < 7; ++i) {
            vm.expectEmit(address(market));
            emit IRounds.UpdateRescued(project, round, uint32(i + 1), _update(project, round, i));
        }
        _works(stranger, call);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.unresolved, 0);
        vm.assertEq(r.admitted, 4, "no pay");
        vm.assertEq(r.resolvedBits, 63);
        vm.assertEq(market.selfCommitOf(project, round, 7), bytes32(uint256(1)));
        vm.assertEq(uint256(r.phase), uint256(Phase.Settle));
        vm.warp(r.rescueEnd);
        for (uint256 i = 4; i < 7; ++i) _reverts(stranger, _slashCall(batch, i), _nothing(i));
    }

    function test_Rescue_WhenTheOpeningIsWrong() public {
        Opening[] memory openings = _openings(project, round, 3, 7);
        openings[1].salt = 0;
        openings[3].member = 99;
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 4, SkipReason.AlreadyResolved); // admitted
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 5, SkipReason.WrongOpening);
        vm.expectEmit(address(market));
        emit IRounds.UpdateRescued(project, round, 6, openings[2].update);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 99, SkipReason.NotCommitted);
        _rescueWith(project, round, batch, openings);
        vm.assertEq(_view().unresolved, 2);
    }

    function test_Rescue_WhenTheRoundWasSettled() public {
        _settle(project, round, 4);
        _works(stranger, _rescueCall(batch, 4, 5));
        vm.assertEq(_view().unresolved, 2);
        _assertPhase(project, round, Phase.Final);
    }

    function test_Rescue_WhenANewerRoundIsOpen() public {
        _settle(project, round, 4);
        _accept(project, rival);
        market.openRound(project);
        _works(stranger, _rescueCall(batch, 4, 7));
        vm.assertEq(_view().unresolved, 0);
        vm.assertEq(market.roundOf(project, 2).unresolved, 0);
        vm.warp(_view().rescueEnd);
        _reverts(stranger, _slashCall(batch, 4), _nothing(4));
    }

    // ---- slashNoReveal

    function test_SlashNoReveal_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, _encodeSlash(9, 1, 1, _noLeaves()), _unknown(9));
    }

    function test_SlashNoReveal_RevertWhen_TheRoundDoesNotExist() public {
        bytes memory call = _encodeSlash(project, 2, 5, _noLeaves());
        _reverts(stranger, call, _wrongIn(2, Phase.None));
    }

    function test_SlashNoReveal_RevertWhen_TheRoundEndedForWantOfCommitments() public {
        project = _projectWith(7);
        round = _open(project);
        _commitSelf(project, round, 0);
        _commitSelf(project, round, 1);
        vm.warp(_view().rescueEnd);
        _reverts(stranger, _slashCall(_noLeaves(), 0), _wrongIn(round, Phase.Void));
    }

    function test_SlashNoReveal_RevertWhen_ItIsOutsideItsWindow() public {
        bytes memory call = _slashCall(batch, 4);
        (uint256 tG, uint256 end) = (_view().rescueEnd, _view().slashEnd);
        vm.assertEq(end, tG + SLASH);
        _tryAt(tG - 1, stranger, call, _outside(tG - 1, tG, end));
        _tryAt(tG, stranger, call, "");
        _tryAt(tG + 1, stranger, call, "");
        _tryAt(end - 1, stranger, call, "");
        _tryAt(end, stranger, call, _outside(end, tG, end));
        _tryAt(end + 1, stranger, call, _outside(end + 1, tG, end));
    }

    function test_SlashNoReveal_RevertWhen_TheBatchIsNotTheOnePosted() public {
        vm.warp(_view().rescueEnd);
        CommitLeaf[] memory other = _leaves(project, round, 0, 5);
        bytes memory wrong =
            abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(other), _batchHash(batch));
        _reverts(stranger, _slashCall(other, 4), wrong);
    }

    function test_SlashNoReveal_RevertWhen_TheLeafIsResolved() public {
        vm.warp(_view().rescueEnd);
        _reverts(stranger, _slashCall(batch, 0), _nothing(0)); // admitted
        _works(stranger, _slashCall(batch, 4));
        _reverts(stranger, _slashCall(batch, 4), _nothing(4)); // slashed
    }

    function test_SlashNoReveal_RevertWhen_TheSelfPostedOneIsResolved() public {
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(_noLeaves(), 6));
        _reverts(stranger, _slashCall(_noLeaves(), 6), _nothing(6));
    }

    function test_SlashNoReveal_RevertWhen_TheMemberCommittedToNothing() public {
        vm.warp(_view().rescueEnd);
        bytes memory call = _encodeSlash(project, round, 99, batch);
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.NothingToSlash.selector, project, round, 99));
        _reverts(stranger, _slashCall(_noLeaves(), 4), _nothing(4)); // a leaf needs its batch
    }

    function test_SlashNoReveal_WhenALeafWasWithheld() public {
        vm.warp(_view().rescueEnd);
        bytes memory call = _slashCall(batch, 4);
        uint256 before = token.balanceOf(address(market));
        vm.expectEmit(address(market));
        emit IStanding.LossRecorded(trainers[4], owner, project, round, 20_000, 20_000, 20_000);
        vm.expectEmit(address(market));
        emit IRounds.StakeSlashed(project, round, 5, trainers[4], stranger, STAKE / 10, STAKE - STAKE / 10);
        _works(stranger, call);
        vm.assertEq(token.balanceOf(stranger), STAKE / 10);
        vm.assertEq(before - token.balanceOf(address(market)), STAKE / 10, "the rest stays here, for ever");
        IProjects.Ledger memory l = _ledger();
        vm.assertEq(l.stakes, 6 * uint256(STAKE));
        vm.assertEq(l.stakesBurned, STAKE - STAKE / 10);
        vm.assertEq(l.free, 9 * uint256(BUDGET), "never to the escrow");
        vm.assertFalse(market.memberOf(project, trainers[4]).staked);
        vm.assertTrue(market.memberOf(project, trainers[4]).joined);
        vm.assertEq(market.progressOf(project).members, 6);
        vm.assertEq(_view().unresolved, 2);
        vm.assertEq(market.lossesOf(trainers[4]), 20_000);
        vm.assertEq(market.lossesThrough(trainers[4], owner), 20_000);
        _equation(project);
    }

    function test_SlashNoReveal_WhenASelfPostedOneWasWithheld() public {
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(batch, 6)); // with the batch at hand, or without
        vm.assertEq(token.balanceOf(stranger), STAKE / 10);
        vm.assertEq(market.selfCommitOf(project, round, 7), bytes32(uint256(1)));
    }

    function test_SlashNoReveal_WhenTheTrainerHasLeft() public {
        vm.prank(trainers[4]);
        market.leave(project);
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(batch, 4));
        vm.assertEq(market.progressOf(project).members, 6, "counted out when it left");
        vm.assertEq(token.balanceOf(stranger), STAKE / 10);
    }

    function test_SlashNoReveal_WhenTheStakeIsGoneAlready() public {
        _settle(project, round, 4);
        uint32 first = round;
        _accept(project, rival);
        round = market.openRound(project);
        CommitLeaf[] memory second = _leaves(project, round, 0, 5);
        bytes memory post = _batchCall(0, 5);
        _works(rival, post);
        vm.warp(market.roundOf(project, first).rescueEnd);
        _slashWith(project, first, 5, batch);
        vm.warp(_view().revealStart);
        _reveal(project, round, second, 0, 4);
        vm.warp(_view().rescueEnd);
        vm.expectEmit(address(market));
        emit IStanding.LossRecorded(trainers[4], owner, project, round, 10_000, 30_000, 30_000); // capped per owner
        vm.expectEmit(address(market));
        emit IRounds.StakeSlashed(project, round, 5, trainers[4], address(this), 0, 0);
        _slashWith(project, round, 5, second);
        vm.assertEq(token.balanceOf(address(this)), STAKE / 10, "a stake is taken once");
        vm.assertEq(_ledger().stakesBurned, STAKE - STAKE / 10);
        vm.assertEq(market.progressOf(project).members, 6);
    }

    function test_SlashNoReveal_WhenANewerRoundIsOpen() public {
        _settle(project, round, 4);
        _accept(project, rival);
        market.openRound(project);
        vm.warp(_view().rescueEnd);
        for (uint256 i = 4; i < 7; ++i) _works(stranger, _slashCall(batch, i));
        vm.assertEq(token.balanceOf(stranger), 3 * (STAKE / 10));
        vm.assertEq(_view().unresolved, 0);
        _assertPhase(project, 2, Phase.Commit);
        vm.assertEq(market.roundOf(project, 2).openedAt, START + GUARD + REVEAL);
    }

    /// @dev A trainer's later commitment must not overwrite the one that it can still be slashed for.
    function test_SlashNoReveal_WhenTheTrainerCommittedAgainInANewerRound() public {
        _settle(project, round, 4);
        uint32 first = round;
        _accept(project, rival);
        round = market.openRound(project);
        for (uint256 i; i < 7; ++i) _commitSelf(project, round, i);
        vm.warp(market.roundOf(project, first).rescueEnd);
        _works(stranger, _encodeSlash(project, first, 7, _noLeaves()));
        vm.assertEq(market.selfCommitOf(project, first, 7), bytes32(uint256(1)));
        vm.assertEq(
            market.selfCommitOf(project, round, 7), bytes32(bytes27(_commitment(project, round, 6))), "its own"
        );
        vm.assertEq(market.roundOf(project, first).unresolved, 2);
        vm.assertEq(_view().unresolved, 7);
        vm.warp(_view().revealStart);
        _reveal(project, round, _noLeaves(), 0, 7);
        vm.assertEq(_view().admitted, 7);
    }

    /// @dev ... and a commitment of the newer round must not answer for the older one.
    function test_Rescue_WhenTheTrainerCommittedAgainInANewerRound() public {
        _settle(project, round, 4);
        uint32 first = round;
        bytes memory call = _rescueCall(_noLeaves(), 6, 7);
        _accept(project, rival);
        round = market.openRound(project);
        _commitSelf(project, round, 6);
        _works(stranger, call);
        vm.assertEq(market.selfCommitOf(project, first, 7), bytes32(uint256(1)));
        vm.assertEq(_view().unresolved, 1);
        bytes memory nothing = abi.encodeWithSelector(IRounds.NothingToSlash.selector, project, first, 7);
        vm.warp(market.roundOf(project, first).rescueEnd);
        _reverts(stranger, _encodeSlash(project, first, 7, _noLeaves()), nothing);
    }

    function test_SlashNoReveal_WhenTheStakeIsTooSmallForAReward() public {
        ProjectTerms memory terms = _terms();
        (terms.roundBudget, terms.aggregatorFee, terms.stake, terms.bond) = (36, 0, 9, 18);
        project = _create(terms, 36);
        _join(project, 0, 3);
        round = _open(project);
        for (uint256 i; i < 3; ++i) _commitSelf(project, round, i);
        vm.warp(_view().rescueEnd);
        bytes memory call = _slashCall(_noLeaves(), 0);
        vm.expectEmit(address(market));
        emit IRounds.StakeSlashed(project, round, 1, trainers[0], stranger, 0, 9);
        _works(stranger, call);
        vm.assertEq(_ledger().stakesBurned, 9);
    }

    function test_SlashNoReveal_WhenTheRoundIsVoidForWantOfRows() public {
        project = _projectWith(4);
        round = _open(project);
        CommitLeaf[] memory leaves = _commit(project, round, 0, 4);
        vm.warp(_view().rescueEnd);
        _assertPhase(project, round, Phase.Void);
        _works(stranger, _slashCall(leaves, 0));
        _closeEmpty();
        _works(stranger, _slashCall(leaves, 1)); // closing changes nothing
        round = _openWith2();
        round = 1;
        _works(stranger, _slashCall(leaves, 2)); // and neither does the next round
        vm.assertEq(token.balanceOf(stranger), 3 * (STAKE / 10));
    }

    function test_SlashNoReveal_WhenTheRoundDefaulted() public {
        vm.warp(_view().settleEnd - 1);
        vm.assertLt(_view().settleEnd, _view().slashEnd);
        vm.warp(_view().settleEnd);
        _assertPhase(project, round, Phase.Defaulted);
        _works(stranger, _slashCall(batch, 4));
        _closeWith(project, round, _rows(project, round, 0, 4));
        _works(stranger, _slashCall(batch, 5));
    }

    /// @dev Opens round 2 of a project two of whose four members were slashed.
    function _openWith2() private returns (uint32) {
        for (uint256 i; i < 2; ++i) {
            vm.prank(owner);
            market.stakeFor(project, trainers[i]);
        }
        return _open(project);
    }

    function _nothing(uint256 i) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.NothingToSlash.selector, project, round, _number(project, i));
    }

    function _outside(uint256 time, uint256 from, uint256 until) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.OutsideWindow.selector, project, round, time, from, until);
    }

    function _wrongIn(uint32 r, Phase found) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.WrongPhase.selector, project, r, found, Phase.Settle);
    }
}
