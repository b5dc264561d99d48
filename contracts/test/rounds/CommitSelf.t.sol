// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Opening} from "../support/Packed.sol";

contract CommitSelfTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(10);
        round = _open(project);
    }

    // ---- commitSelf

    function test_CommitSelf_RevertWhen_TheProjectIsUnknown() public {
        _reverts(trainers[0], _encodeCommitSelf(7, 1, 1, "x", _noLeaves()), _unknown(7));
    }

    function test_CommitSelf_RevertWhen_ItIsNotTheNewestRound() public {
        bytes memory call = _encodeCommitSelf(project, 2, 1, "x", _noLeaves());
        _reverts(trainers[0], call, _notNewest(2));
    }

    function test_CommitSelf_RevertWhen_TheCommitPhaseIsOver() public {
        bytes memory call = _selfCall(9, _noLeaves());
        for (uint256 i; i < 8; ++i) _commitSelf(project, round, i);
        _reverts(trainers[9], call, _wrong(Phase.Guard, Phase.Commit));
    }

    function test_CommitSelf_RevertWhen_TheCallerIsNeitherTrainerNorDelegate() public {
        bytes memory call = _selfCall(0, _noLeaves());
        _reverts(trainers[1], call, abi.encodeWithSelector(IRounds.NotTrainer.selector, project, 1, trainers[1]));
        _reverts(owner, call, abi.encodeWithSelector(IRounds.NotTrainer.selector, project, 1, owner));
    }

    function test_CommitSelf_RevertWhen_TheMemberIsUnknown() public {
        bytes memory call = _encodeCommitSelf(project, round, 77, "x", _noLeaves());
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.NotTrainer.selector, project, 77, stranger));
    }

    function test_CommitSelf_RevertWhen_TheDelegateWasRevoked() public {
        bytes memory call = _selfCall(0, _noLeaves());
        vm.prank(trainers[0]);
        market.setDelegate(project, stranger);
        vm.assertTrue(_wouldWork(stranger, call));
        vm.prank(trainers[0]);
        market.setDelegate(project, address(0));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.NotTrainer.selector, project, 1, stranger));
        vm.prank(trainers[0]);
        market.setDelegate(project, rival);
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.NotTrainer.selector, project, 1, stranger));
    }

    function test_CommitSelf_RevertWhen_TheMemberJoinedDuringTheRound() public {
        _join(project, 10, 11);
        _reverts(trainers[10], _selfCall(10, _noLeaves()), _notEligible(11));
    }

    function test_CommitSelf_RevertWhen_TheMemberLeft() public {
        vm.prank(trainers[0]);
        market.leave(project);
        _reverts(trainers[0], _selfCall(0, _noLeaves()), _notEligible(1));
    }

    function test_CommitSelf_RevertWhen_TheStakeIsGone() public {
        for (uint256 i; i < 3; ++i) _commitSelf(project, round, i);
        vm.warp(_view().rescueEnd);
        _slashWith(project, round, 1, _noLeaves());
        _closeEmpty();
        round = _open(project);
        _reverts(trainers[0], _selfCall(0, _noLeaves()), _notEligible(1));
        _works(trainers[1], _selfCall(1, _noLeaves())); // not slashed yet
    }

    /// @dev The market keeps 27 bytes of a commitment, which say that there is one.
    function test_CommitSelf_RevertWhen_TheCommitmentBeginsWith27ZeroBytes() public {
        bytes32[3] memory reserved = [bytes32(0), bytes32(uint256(1)), bytes32(uint256(type(uint40).max))];
        for (uint256 i; i < 3; ++i) {
            bytes memory call =
                _encodeCommitSelf(project, round, 1, reserved[i], _noLeaves());
            bytes memory error_ = abi.encodeWithSelector(IRounds.CommitmentReserved.selector, 1, reserved[i]);
            _reverts(trainers[0], call, error_);
        }
        bytes32 least = bytes32(uint256(type(uint40).max) + 1);
        _works(trainers[0], _encodeCommitSelf(project, round, 1, least, _noLeaves()));
    }

    /// @dev Whatever a trainer posts, it can be slashed: no value passes for a commitment that was resolved.
    function testFuzz_CommitSelf_WhenTheCommitmentIsArbitrary(bytes32 commitment) public {
        vm.assume(bytes27(commitment) != 0);
        vm.prank(trainers[0]);
        _postSelf(project, round, 1, commitment, _noLeaves());
        _commitSelf(project, round, 1);
        _commitSelf(project, round, 2);
        vm.warp(_view().rescueEnd);
        _works(stranger, _slashCall(_noLeaves(), 0));
        vm.assertEq(token.balanceOf(stranger), STAKE / 10);
    }

    function test_CommitSelf_RevertWhen_TheMemberHasCommittedItself() public {
        _commitSelf(project, round, 0);
        bytes memory call = _encodeCommitSelf(project, round, 1, "another", _noLeaves());
        _reverts(trainers[0], call, abi.encodeWithSelector(IRounds.AlreadyCommitted.selector, project, round, 1));
    }

    function test_CommitSelf_RevertWhen_TheBatchIsNotTheOnePosted() public {
        bytes32 posted = _batchHash(_commit(project, round, 0, 5));
        bytes memory missing = abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(_noLeaves()), posted);
        _reverts(trainers[0], _selfCall(0, _noLeaves()), missing);
        CommitLeaf[] memory other = _leaves(project, round, 0, 4);
        bytes memory wrong = abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(other), posted);
        _reverts(trainers[0], _selfCall(0, other), wrong);
    }

    function test_CommitSelf_RevertWhen_ABatchIsGivenAndNoneWasPosted() public {
        CommitLeaf[] memory batch = _leaves(project, round, 0, 4);
        bytes memory none = abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(batch), bytes32(0));
        _reverts(trainers[0], _selfCall(0, batch), none);
    }

    function test_CommitSelf_WhenTheTrainerCalls() public {
        bytes32 commitment = _commitment(project, round, 0);
        vm.expectEmit(address(market));
        emit IRounds.CommittedSelf(project, round, 1, commitment, 255);
        vm.prank(trainers[0]);
        _postSelf(project, round, 1, commitment, _noLeaves());
        vm.assertEq(market.selfCommitOf(project, round, 1), bytes32(bytes27(commitment)));
        vm.assertEq(_view().selfCount, 1);
        vm.assertEq(_view().unresolved, 1);
        vm.assertFalse(_view().batchPosted);
    }

    function test_CommitSelf_WhenTheDelegateCalls() public {
        vm.prank(trainers[0]);
        market.setDelegate(project, stranger);
        _works(stranger, _selfCall(0, _noLeaves()));
        vm.assertEq(market.selfCommitOf(project, round, 1), bytes32(bytes27(_commitment(project, round, 0))));
    }

    function test_CommitSelf_WhenOnlyTrainersMayCommit() public {
        _tryAt(_view().commitEnd - 1, trainers[0], _selfCall(0, _noLeaves()), "");
    }

    function test_CommitSelf_WhenTheMemberHasALeaf() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        Opening memory better = _opening(project, round, 3);
        better.update = keccak256("better");
        better.cid = _cid(better.update);
        bytes32 commitment = _commitmentOf(project, round, better);
        vm.expectEmit(address(market));
        emit IRounds.CommittedSelf(project, round, 4, commitment, 3);
        vm.prank(trainers[3]);
        _postSelf(project, round, 4, commitment, batch);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.batchCount, 6);
        vm.assertEq(r.selfCount, 1);
        vm.assertEq(r.unresolved, 7, "one commitment, one slot");
        vm.assertEq(r.batchBits, 0x77);
        vm.assertEq(uint256(r.phase), uint256(Phase.Commit), "one slot is still free");
    }

    /// @dev The replaced leaf can be neither revealed nor slashed, the new commitment can.
    function test_CommitSelf_WhenTheReplacedLeafIsOpened() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        Opening[] memory openings = _openingsOf(3);
        Opening[] memory better = _openingsOf(3);
        better[0].update = keccak256("better");
        bytes32 commitment = _commitmentOf(project, round, better[0]);
        vm.prank(trainers[3]);
        _postSelf(project, round, 4, commitment, batch);
        vm.warp(_view().revealStart);
        _revealWith(project, round, batch, openings, _receipts(project, round, openings));
        vm.assertEq(_view().admitted, 0);
        _revealWith(project, round, batch, better, _receipts(project, round, better));
        vm.assertEq(_view().admitted, 1);
        vm.assertEq(market.selfCommitOf(project, round, 4), bytes32(uint256(1)));
        vm.warp(_view().rescueEnd);
        bytes memory nothing = abi.encodeWithSelector(IRounds.NothingToSlash.selector, project, round, 4);
        _reverts(stranger, _slashCall(batch, 3), nothing);
    }

    function test_CommitSelf_WhenTheMembersLeafDidNotCount() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 7);
        leaves[3].commitment = keccak256("forged");
        vm.startPrank(aggregator);
        _postBatch(project, round, leaves, _signLeaves(project, round, _leaves(project, round, 0, 7), 0));
        vm.stopPrank();
        bytes32 commitment = _commitment(project, round, 3);
        vm.expectEmit(address(market));
        emit IRounds.CommittedSelf(project, round, 4, commitment, 255);
        _commitSelf(project, round, 3, leaves);
        vm.assertEq(_view().batchCount, 6);
        vm.assertEq(_view().selfCount, 1);
    }

    function test_CommitSelf_WhenTheMemberHasNoLeaf() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 5);
        _commitSelf(project, round, 8, batch);
        vm.assertEq(_view().batchCount, 5);
        vm.assertEq(_view().selfCount, 1);
        vm.assertEq(_view().unresolved, 6);
    }

    function test_CommitSelf_WhenItTakesTheLastSlot() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(START + 11);
        bytes memory call = _selfCall(9, batch);
        vm.expectEmit(address(market));
        emit IRounds.DeadlinesMoved(project, round, uint40(START + 11), uint40(START + 11 + GUARD + REVEAL));
        _works(trainers[9], call);
        _assertPhase(project, round, Phase.Guard);
    }

    /// @dev One trainer that acts twice must not count twice: it would end the phase before the others have acted.
    function test_CommitSelf_WhenTrainersActTwice() public {
        project = _projectWith(4);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 3);
        for (uint256 i; i < 3; ++i) _commitSelf(project, round, i, batch);
        _assertPhase(project, round, Phase.Commit);
        vm.assertEq(_view().batchCount, 0);
        vm.assertEq(_view().selfCount, 3);
        _commitSelf(project, round, 3, batch);
        _assertPhase(project, round, Phase.Guard);
    }

    /// @dev A batcher that does nothing costs nobody anything: a whole round without it.
    function test_CommitSelf_WhenThereIsNoBatch() public {
        for (uint256 i; i < 8; ++i) _commitSelf(project, round, i);
        vm.assertEq(_view().commitEnd, block.timestamp, "all slots taken: the phase ends");
        vm.warp(_view().revealStart);
        _reveal(project, round, _noLeaves(), 0, 8);
        _settle(project, round, 8);
        _assertPhase(project, round, Phase.Final);
    }

    function test_SelfCommitOf_WhenItIsOfAnOlderRound() public {
        _commitSelf(project, round, 9);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        uint32 second = _open(project);
        vm.assertEq(market.selfCommitOf(project, round, 10), bytes32(bytes27(_commitment(project, round, 9))));
        vm.assertEq(market.selfCommitOf(project, second, 10), 0);
        bytes32 later = _commitment(project, second, 9);
        vm.prank(trainers[9]);
        _postSelf(project, second, 10, later, _noLeaves());
        vm.assertEq(market.selfCommitOf(project, second, 10), bytes32(bytes27(later)));
        vm.assertEq(market.selfCommitOf(project, round, 10), bytes32(bytes27(_commitment(project, round, 9))));
    }

    function _notEligible(uint256 member) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, member);
    }
}
