// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {CommitLeaf, CommitSignature, LeafSkip, Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";

contract CommitBatchTest is MarketScene {
    address private delegate;
    uint256 private delegateKey = 4_242;

    function setUp() public override {
        super.setUp();
        delegate = vm.addr(delegateKey);
        project = _projectWith(10);
        round = _open(project);
    }

    // ---- the call as a whole

    function test_CommitBatch_RevertWhen_TheProjectIsUnknown() public {
        CommitLeaf[] memory none = _noLeaves();
        bytes memory call = abi.encodeCall(market.commitBatch, (7, 1, none, new CommitSignature[](0)));
        _reverts(aggregator, call, _unknown(7));
    }

    function test_CommitBatch_RevertWhen_ItIsNotTheNewestRound() public {
        bytes memory call =
            abi.encodeCall(market.commitBatch, (project, 2, _noLeaves(), new CommitSignature[](0)));
        _reverts(aggregator, call, _notNewest(2));
    }

    function test_CommitBatch_RevertWhen_TheCommitPhaseIsOver() public {
        bytes memory call = _batchCall(3, 6);
        for (uint256 i; i < 3; ++i) _commitSelf(project, round, i);
        vm.warp(_view().commitEnd);
        _reverts(aggregator, call, _wrong(Phase.Guard, Phase.Commit));
    }

    function test_CommitBatch_RevertWhen_TheCallerDidNotAcceptTheRound() public {
        bytes memory call = _batchCall(0, 5);
        bytes memory notBatcher =
            abi.encodeWithSelector(IRounds.NotBatcher.selector, project, round, rival, aggregator);
        _reverts(rival, call, notBatcher); // an aggregator, but not of this round
        notBatcher = abi.encodeWithSelector(IRounds.NotBatcher.selector, project, round, stranger, aggregator);
        _reverts(stranger, call, notBatcher);
    }

    function test_CommitBatch_RevertWhen_ABatchWasPosted() public {
        bytes memory call = _batchCall(5, 7);
        _commit(project, round, 0, 5);
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.BatchAlreadyPosted.selector, project, round));
    }

    function test_CommitBatch_RevertWhen_OnlyTrainersMayCommit() public {
        bytes memory call = _batchCall(0, 5);
        uint256 until = _view().commitEnd - SELF;
        _tryAt(until - 1, aggregator, call, "");
        for (uint256 late; late < 2; ++late) {
            _tryAt(until + late, aggregator, call, _late(until + late, until));
        }
        uint256 last = _view().commitEnd - 1;
        _tryAt(last, aggregator, call, _late(last, until));
    }

    function test_CommitBatch_RevertWhen_ItIsEmpty() public {
        bytes memory call =
            abi.encodeCall(market.commitBatch, (project, round, _noLeaves(), new CommitSignature[](0)));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.EmptyBatch.selector));
    }

    function test_CommitBatch_RevertWhen_ItHasMoreThan32Leaves() public {
        CommitLeaf[] memory leaves = new CommitLeaf[](33);
        bytes memory call =
            abi.encodeCall(market.commitBatch, (project, round, leaves, new CommitSignature[](33)));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.BatchTooLong.selector, 33, 32));
    }

    function test_CommitBatch_RevertWhen_SignaturesAreMissing() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory two = _signLeaves(project, round, _leaves(project, round, 0, 2), 0);
        bytes memory call = abi.encodeCall(market.commitBatch, (project, round, leaves, two));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.SignaturesMismatch.selector, 2, 3));
        leaves = _leaves(project, round, 0, 1);
        call = abi.encodeCall(market.commitBatch, (project, round, leaves, two));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.SignaturesMismatch.selector, 2, 1));
    }

    function test_CommitBatch_RevertWhen_AMemberStandsTwice() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        leaves[2] = leaves[1];
        _refused(leaves, abi.encodeWithSelector(IRounds.BatchNotIncreasing.selector, 2));
    }

    function test_CommitBatch_RevertWhen_MembersAreNotInOrder() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        (leaves[0], leaves[1]) = (leaves[1], leaves[0]);
        _refused(leaves, abi.encodeWithSelector(IRounds.BatchNotIncreasing.selector, 1));
        leaves = _leaves(project, round, 0, 3);
        leaves[0].member = 0;
        _refused(leaves, abi.encodeWithSelector(IRounds.BatchNotIncreasing.selector, 0));
    }

    function test_CommitBatch_RevertWhen_NoLeafCounts() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 1); // by the wrong trainers
        bytes memory call = abi.encodeCall(market.commitBatch, (project, round, leaves, signatures));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.EmptyBatch.selector));
    }

    /// @dev Members are numbers of 32 bits: a word with more in it is refused, so that one batch has one hash.
    function test_CommitBatch_RevertWhen_AMemberHasDirtyBits() public {
        bytes memory call = _batchCall(0, 3);
        // selector, four head words, length of the leaves: the first leaf's member
        uint256 at = 4 + 5 * 32;
        call[at] = 0x01;
        vm.prank(aggregator);
        (bool ok,) = address(market).call(call);
        vm.assertFalse(ok);
        call[at] = 0x00;
        _works(aggregator, call);
    }

    function test_CommitBatch_WhenAllLeavesCount() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 5);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        bytes32 hash = _batchHash(leaves);
        vm.expectEmit(address(market));
        emit IRounds.CommitsPosted(project, round, hash, 0x1f, leaves);
        vm.prank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.batchHash, hash);
        vm.assertEq(r.batchCount, 5);
        vm.assertEq(r.batchBits, 0x1f);
        vm.assertEq(r.unresolved, 5);
        vm.assertTrue(r.batchPosted);
        vm.assertEq(uint256(r.phase), uint256(Phase.Commit));
    }

    function test_CommitBatch_WhenItFillsTheSlots() public {
        vm.warp(START + 7);
        bytes memory call = _batchCall(0, 8);
        vm.expectEmit(address(market));
        emit IRounds.DeadlinesMoved(project, round, uint40(START + 7), uint40(START + 7 + GUARD + REVEAL));
        _works(aggregator, call);
        _assertPhase(project, round, Phase.Guard);
        vm.assertEq(_view().commitEnd, START + 7);
        vm.assertEq(_view().revealStart, START + 7 + GUARD);
        vm.assertEq(_view().rescueEnd, START + 7 + GUARD + REVEAL + RESCUE);
    }

    // ---- leaf by leaf

    function test_CommitBatch_WhenThereAreMoreLeavesThanSlots() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 9); // N + 1
        _postSkipping(leaves, _signLeaves(project, round, leaves, 0), 8, LeafSkip.NoSlot);
        vm.assertEq(_view().batchCount, 8);
        _assertPhase(project, round, Phase.Guard);
    }

    function test_CommitBatch_WhenATrainerCommittedAlone() public {
        _commitSelf(project, round, 2);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 5);
        _postSkipping(leaves, _signLeaves(project, round, leaves, 0), 2, LeafSkip.AlreadyCommitted);
        vm.assertEq(_view().batchCount, 4);
        vm.assertEq(_view().selfCount, 1);
        vm.assertEq(_view().unresolved, 5);
        vm.assertEq(_view().batchBits, 27);
    }

    function test_CommitBatch_WhenALeafIsOfNobody() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        leaves[2].member = 77;
        _postSkipping(leaves, _signLeaves(project, round, leaves, 0), 2, LeafSkip.NotEligible);
    }

    function test_CommitBatch_WhenALeafIsOfAMemberWhoJoinedLater() public {
        _join(project, 10, 11);
        CommitLeaf[] memory leaves = _leaves(project, round, 8, 11);
        _postSkipping(leaves, _signLeaves(project, round, leaves, 8), 2, LeafSkip.NotEligible);
    }

    function test_CommitBatch_WhenALeafIsOfAMemberWhoLeft() public {
        vm.prank(trainers[1]);
        market.leave(project);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        _postSkipping(leaves, _signLeaves(project, round, leaves, 0), 1, LeafSkip.NotEligible);
    }

    function test_CommitBatch_WhenALeafIsOfSomebodyStakedForWhoNeverJoined() public {
        vm.prank(owner);
        market.stakeFor(project, trainers[10]);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        round = _open(project);
        CommitLeaf[] memory leaves = _leaves(project, round, 9, 11);
        _postSkipping(leaves, _signLeaves(project, round, leaves, 9), 1, LeafSkip.NotEligible);
    }

    function test_CommitBatch_WhenALeafIsZero() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        leaves[1].commitment = 0;
        _postSkipping(leaves, _signLeaves(project, round, leaves, 0), 1, LeafSkip.NoCommitment);
    }

    function test_CommitBatch_WhenASignatureHasExpired() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round, leaves[1], uint64(block.timestamp - 1), trainerKeys[1]);
        uint256 before = vm.snapshotState();
        _postSkipping(leaves, signatures, 1, LeafSkip.Expired);
        vm.revertToState(before);
        signatures[1] = _signLeaf(project, round, leaves[1], uint64(block.timestamp), trainerKeys[1]);
        _post(leaves, signatures);
        vm.assertEq(_view().batchCount, 3, "good in its last second");
    }

    function test_CommitBatch_WhenALeafIsForged() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        leaves[1].commitment = keccak256("not what trainer 1 signed");
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
        vm.assertEq(_view().unresolved, 2, "nobody can be slashed for it");
    }

    function test_CommitBatch_WhenASignatureIsSomebodyElses() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round, leaves[1], type(uint64).max, trainerKeys[2]);
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    function test_CommitBatch_WhenAnExpiryWasChanged() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1].expiry += 1;
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    /// @dev The other solution of the curve equation, s' = N - s, is refused: no second form of one signature.
    function test_CommitBatch_WhenASignatureIsMalleated() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        uint256 parity = uint256(signatures[1].vs) >> 255 ^ 1;
        uint256 s = uint256(signatures[1].vs) & ~(uint256(1) << 255);
        // N - s has its top bit clear only if it is smaller than 2^255: either way it is not the trainer's any more.
        signatures[1].vs = bytes32((order - s) & ~(uint256(1) << 255) | parity << 255);
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    /// @dev A failed recovery gives address zero, which must not pass for the missing delegate of a member.
    function test_CommitBatch_WhenASignatureRecoversToNobody() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1].r = 0;
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    function test_CommitBatch_WhenTheDelegateSigned() public {
        vm.prank(trainers[1]);
        market.setDelegate(project, delegate);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round, leaves[1], type(uint64).max, delegateKey);
        _post(leaves, signatures);
        vm.assertEq(_view().batchCount, 3);
    }

    function test_CommitBatch_WhenTheDelegateWasRevoked() public {
        vm.startPrank(trainers[1]);
        market.setDelegate(project, delegate);
        market.setDelegate(project, address(0));
        vm.stopPrank();
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round, leaves[1], type(uint64).max, delegateKey);
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    function test_CommitBatch_WhenTheDelegateIsOfAnotherMember() public {
        vm.prank(trainers[0]);
        market.setDelegate(project, delegate);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round, leaves[1], type(uint64).max, delegateKey);
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    // ---- when the phase ends

    function test_CommitBatch_WhenItCompletesTheMembers() public {
        project = _projectWith(5);
        round = _open(project);
        _commitSelf(project, round, 4);
        _commit(project, round, 0, 3);
        _assertPhase(project, round, Phase.Commit);
        _commitSelf(project, round, 3, _leaves(project, round, 0, 3));
        _assertPhase(project, round, Phase.Guard);
    }

    function test_CommitBatch_WhenAMemberHasLeft() public {
        project = _projectWith(4);
        round = _open(project);
        vm.prank(trainers[3]);
        market.leave(project);
        _commit(project, round, 0, 3);
        _assertPhase(project, round, Phase.Commit); // waited for until the deadline, and not longer
        vm.warp(_view().commitEnd);
        _assertPhase(project, round, Phase.Guard);
    }

    function test_CommitBatch_WhenTheGuardIsZero() public {
        ProjectTerms memory terms = _terms();
        terms.windows.guard = 0;
        terms.slots = 4;
        terms.minTrainers = 2;
        terms.stake = 2 * STAKE;
        project = _create(terms, BUDGET);
        _join(project, 0, 4);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 4);
        _assertPhase(project, round, Phase.Reveal);
        _reveal(project, round, batch, 0, 4);
        _settle(project, round, 4);
        _assertPhase(project, round, Phase.Final); // a whole round within one second
    }

    function _refused(CommitLeaf[] memory leaves, bytes memory error_) private {
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        _reverts(aggregator, abi.encodeCall(market.commitBatch, (project, round, leaves, signatures)), error_);
    }

    function _post(CommitLeaf[] memory leaves, CommitSignature[] memory signatures) private {
        vm.prank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
    }

    /// @dev Posts, and expects that exactly leaf `at` is passed over.
    function _postSkipping(
        CommitLeaf[] memory leaves,
        CommitSignature[] memory signatures,
        uint256 at,
        LeafSkip reason
    ) private {
        uint32 bits = uint32((1 << leaves.length) - 1 ^ 1 << at);
        vm.expectEmit(address(market));
        emit IRounds.LeafSkipped(project, round, leaves[at].member, reason);
        vm.expectEmit(address(market));
        emit IRounds.CommitsPosted(project, round, _batchHash(leaves), bits, leaves);
        _post(leaves, signatures);
        vm.assertEq(_view().batchBits, bits);
    }

    function _late(uint256 time, uint256 until) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.BatchTooLate.selector, project, round, time, until);
    }
}
