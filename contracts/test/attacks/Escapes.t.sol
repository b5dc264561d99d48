// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, CommitSignature} from "../support/Packed.sol";

/// @notice Ways around a slash, and ways to have work for nothing.
contract EscapesTest is MarketScene {
    uint256 private constant DELEGATE_KEY = 4_242;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _open(project);
    }

    /// @dev Leaving right after the commitment does not free the stake before the last second of a slash.
    function test_Stake_WhenItsTrainerLeavesAfterTheCommitment() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.prank(trainers[0]);
        market.leave(project);
        uint256 end = _view().slashEnd;
        bytes memory out = abi.encodeCall(market.withdrawStake, (project, trainers[0]));
        vm.warp(end - 1);
        _reverts(
            trainers[0], out, abi.encodeWithSelector(IMembers.StakeLocked.selector, project, trainers[0], end, end - 1)
        );
        _tryAt(end - 1, stranger, _slashCall(batch, 0), "");
        vm.warp(end);
        _works(trainers[0], out);
    }

    /// @dev Revoking the delegate that signed is no escape: a commitment that is posted stays.
    function test_Stake_WhenTheDelegateIsRevokedAfterTheCommitment() public {
        vm.prank(trainers[0]);
        market.setDelegate(project, vm.addr(DELEGATE_KEY));
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[0] = _signLeaf(project, round, leaves[0], DELEGATE_KEY);
        vm.prank(aggregator);
        _postBatch(project, round, leaves, signatures);
        vm.prank(trainers[0]);
        market.setDelegate(project, address(0));
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(leaves, 0));
        vm.assertEq(token.balanceOf(stranger), STAKE / 10);
    }

    /// @dev Nor is it one when the delegate committed by itself; nor naming another one, leaving, or both.
    function test_Stake_WhenTheDelegateCommittedByItselfAndIsRevoked() public {
        address delegate = vm.addr(DELEGATE_KEY);
        vm.prank(trainers[0]);
        market.setDelegate(project, delegate);
        bytes memory commit = _selfCall(0, _noLeaves());
        CommitLeaf[] memory batch = _commit(project, round, 1, 8);
        _works(delegate, _selfCall(0, batch));
        vm.warp(_view().rescueEnd);
        bytes memory slash = _slashCall(batch, 0);
        for (uint256 way; way < 4; ++way) {
            uint256 before = vm.snapshotState();
            vm.startPrank(trainers[0]);
            if (way & 1 == 1) market.setDelegate(project, way == 1 ? address(0) : stranger);
            if (way & 2 == 2) market.leave(project);
            vm.stopPrank();
            _works(stranger, slash);
            vm.assertEq(token.balanceOf(stranger), STAKE / 10);
            vm.assertFalse(_wouldWork(stranger, slash), "once");
            vm.assertFalse(_wouldWork(trainers[0], abi.encodeCall(market.withdrawStake, (project, trainers[0]))));
            vm.revertToState(before);
        }
        vm.assertFalse(_wouldWork(delegate, commit));
    }

    /// @dev A leaf that its trainer replaced is no second thing to slash, and no way out of the first.
    function test_Stake_WhenTheLeafWasReplaced() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        _commitSelf(project, round, 0, batch);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 1, 7);
        vm.warp(_view().rescueEnd);
        bytes memory slash = _slashCall(batch, 0);
        _works(stranger, slash);
        vm.assertFalse(_wouldWork(stranger, slash), "once");
        vm.assertFalse(_wouldWork(stranger, _slashCall(_noLeaves(), 0)), "once, by either commitment");
        vm.assertEq(_ledger().stakesBurned, STAKE - STAKE / 10);
    }

    /// @dev A delegate can lose one round's stake; it can neither take stake nor pay nor name another delegate.
    function test_Delegate_WhenItTriesToMoveMoney() public {
        address delegate = vm.addr(DELEGATE_KEY);
        vm.prank(trainers[0]);
        market.setDelegate(project, delegate);
        bytes memory none = abi.encodeWithSelector(IMembers.NotMember.selector, project, delegate);
        _reverts(delegate, abi.encodeCall(market.leave, (project)), none);
        _reverts(delegate, abi.encodeCall(market.setDelegate, (project, stranger)), none);
        bytes memory still = abi.encodeWithSelector(IMembers.StillMember.selector, project, trainers[0]);
        _reverts(delegate, abi.encodeCall(market.withdrawStake, (project, trainers[0])), still);
    }

    /// @dev The bond of a running round cannot be taken out in any phase.
    function test_Bond_WhenItsAggregatorWantsItBack() public {
        bytes memory out = abi.encodeCall(market.withdrawBond, (project, 1));
        bytes memory low = abi.encodeWithSelector(IBonds.BondTooLow.selector, project, aggregator, 0, 1);
        _reverts(aggregator, out, low);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reverts(aggregator, out, low);
        _reveal(project, round, batch, 0, 8);
        _reverts(aggregator, out, low);
        vm.warp(_view().acceptorEnd);
        _reverts(aggregator, out, low);
        vm.warp(_view().settleEnd);
        _reverts(aggregator, out, low);
        _works(stranger, _closeCall(0, 8));
        _reverts(aggregator, out, low); // burned
    }

    /// @dev What was accepted can be taken back until the round opens, and not from then on, whoever else would accept.
    function test_Bond_WhenTheAcceptanceIsTakenBackAfterTheOpening() public {
        _bond(project, rival, BOND);
        bytes memory back = abi.encodeCall(market.withdrawAcceptance, (project, round));
        for (uint256 i; i < 4; ++i) {
            uint256[4] memory times = [START, _view().revealStart, _view().acceptorEnd, _view().settleEnd];
            uint256 now_ = block.timestamp;
            vm.warp(times[i]);
            vm.assertFalse(_wouldWork(aggregator, back));
            vm.assertFalse(_wouldWork(rival, back));
            vm.assertFalse(_wouldWork(rival, abi.encodeCall(market.accept, (project, round))), "it is taken");
            vm.warp(now_);
        }
        vm.assertEq(market.bondOf(project, aggregator).locked, BOND);
    }

    /// @dev An owner who stalls after the reveals gets nothing back: the trainers share D, and no call ends the project first.
    function test_Owner_WhenHeStallsAfterTheReveals() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 8);
        _reverts(owner, abi.encodeCall(market.endProject, (project)), _running());
        vm.warp(_view().settleEnd + 365 days);
        bytes memory open = abi.encodeWithSelector(IRounds.RoundNotClosed.selector, project, round);
        _reverts(owner, abi.encodeCall(market.endProject, (project)), open);
        bytes memory not = abi.encodeWithSelector(IProjects.ProjectNotOver.selector, project);
        _reverts(owner, abi.encodeCall(market.refund, (project)), not);
        _works(stranger, _closeCall(0, 8));
        vm.assertEq(_ledger().claimable, 8 * (D / 8));
    }

    /// @dev Whoever reveals last cannot choose to void the round for free: those who revealed are paid a slot each, the one who
    /// withheld is slashed.
    function test_LastRevealer_WhenItWithholds() public {
        project = _projectWith(3);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 3);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 2);
        vm.warp(_view().rescueEnd);
        _assertPhase(project, round, Phase.Void);
        _works(stranger, _closeCall(0, 2));
        vm.assertEq(_ledger().claimable, 2 * (D / 8));
        _works(stranger, _slashCall(batch, 2));
        vm.assertEq(_ledger().stakesBurned, STAKE - STAKE / 10);
    }

    /// @dev A batcher that posts leaves and withholds the preimages' batch hurts nobody: trainers have their own leaves from the
    /// event, reveal or rescue by themselves, or replace the leaf.
    function test_Batcher_WhenItWithholdsEverythingAfterTheBatch() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealEnd);
        for (uint256 i; i < 8; ++i) _works(trainers[i], _rescueCall(batch, i, i + 1));
        vm.warp(_view().rescueEnd);
        for (uint256 i; i < 8; ++i) vm.assertFalse(_wouldWork(stranger, _slashCall(batch, i)));
    }

    /// @dev A trainer that a hostile batcher leaves out commits by itself in the last part of the phase.
    function test_Batcher_WhenItLeavesATrainerOut() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(_view().commitEnd - 1);
        _commitSelf(project, round, 7, batch);
        vm.assertEq(_view().selfCount, 1);
        _assertPhase(project, round, Phase.Guard);
    }

    /// @dev A second commit, admission or payout of one trainer in one round, by every path.
    function test_Trainer_WhenItTriesToCountTwice() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        _commitSelf(project, round, 0, batch);
        bytes memory again = abi.encodeWithSelector(IRounds.AlreadyCommitted.selector, project, round, 1);
        _reverts(trainers[0], _selfCall(0, batch), again);
        vm.assertEq(uint256(_view().batchCount) + _view().selfCount, 7);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 6);
        _reveal(project, round, batch, 0, 6);
        vm.assertEq(_view().admitted, 6);
        vm.assertEq(_view().unresolved, 1);
    }
}
