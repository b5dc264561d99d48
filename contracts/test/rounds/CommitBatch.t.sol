// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {LeafSkip, Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, CommitSignature, Packed} from "../support/Packed.sol";

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
        bytes memory call = _encodeCommitBatch(7, 1, none, new CommitSignature[](0));
        _reverts(aggregator, call, _unknown(7));
    }

    function test_CommitBatch_RevertWhen_ItIsNotTheNewestRound() public {
        bytes memory call =
            _encodeCommitBatch(project, 2, _noLeaves(), new CommitSignature[](0));
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
            _encodeCommitBatch(project, round, _noLeaves(), new CommitSignature[](0));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.EmptyBatch.selector));
    }

    function test_CommitBatch_RevertWhen_ItHasMoreThan32Leaves() public {
        CommitLeaf[] memory leaves = new CommitLeaf[](33);
        bytes memory call =
            _encodeCommitBatch(project, round, leaves, new CommitSignature[](33));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.BatchTooLong.selector, 33, 32));
    }

    function test_CommitBatch_RevertWhen_SignaturesAreMissing() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory two = _signLeaves(project, round, _leaves(project, round, 0, 2), 0);
        bytes memory call = _encodeCommitBatch(project, round, leaves, two);
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.SignaturesMismatch.selector, 128, 192));
        leaves = _leaves(project, round, 0, 1);
        call = _encodeCommitBatch(project, round, leaves, two);
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.SignaturesMismatch.selector, 128, 64));
    }

    function testFuzz_CommitBatch_RevertWhen_SignaturesHaveAnotherLength(uint256 length) public {
        length = _bound(length, 0, 6 * 64);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        bytes memory signatures = new bytes(length);
        bytes memory call = abi.encodeCall(market.commitBatch, (project, round, Packed.leaves(leaves), signatures));
        bytes memory error_ = abi.encodeWithSelector(IRounds.SignaturesMismatch.selector, length, 192);
        if (length == 192) error_ = abi.encodeWithSelector(IRounds.EmptyBatch.selector); // as many, and none is good
        _reverts(aggregator, call, error_);
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
        bytes memory call = _encodeCommitBatch(project, round, leaves, signatures);
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.EmptyBatch.selector));
    }

    function testFuzz_CommitBatch_RevertWhen_LeavesAreNotWhole(uint256 length) public {
        length = _bound(length, 1, 40 * 36);
        if (length % 36 == 0) --length;
        bytes memory call = abi.encodeCall(market.commitBatch, (project, round, new bytes(length), ""));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.LeavesMalformed.selector, length));
    }

    function test_CommitBatch_WhenAllLeavesCount() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 5);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        bytes32 hash = _batchHash(leaves);
        vm.expectEmit(address(market));
        emit IRounds.CommitsPosted(project, round, 0x1f, Packed.leaves(leaves));
        vm.prank(aggregator);
        _postBatch(project, round, leaves, signatures);
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

    /// @dev Signatures have no time of their own: they are good in every second in which a batch may be posted.
    function test_CommitBatch_WhenASignatureIsOld() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        vm.warp(_view().commitEnd - SELF - 1);
        vm.prank(aggregator);
        _postBatch(project, round, leaves, signatures);
        vm.assertEq(_view().batchCount, 3);
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
        signatures[1] = _signLeaf(project, round, leaves[1], trainerKeys[2]);
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    function test_CommitBatch_WhenASignatureIsOfAnotherRoundOrProject() public {
        uint256 other = _projectWith(3);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 4);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round + 1, leaves[1], trainerKeys[1]);
        signatures[2] = _signLeaf(other, round, leaves[2], trainerKeys[2]);
        uint32[2] memory skipped = [uint32(2), 3];
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(address(market));
            emit IRounds.LeafSkipped(project, round, skipped[i], LeafSkip.NotSigned);
        }
        _post(leaves, signatures);
        vm.assertEq(_view().batchBits, 9);
    }

    /// @dev One trainer's consent for another member's leaf: the member is in what is signed.
    function test_CommitBatch_WhenASignatureIsOfAnotherMember() public {
        vm.prank(trainers[1]);
        market.setDelegate(project, trainers[2]); // whose key may sign for member 2 too
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round, CommitLeaf(3, leaves[1].commitment), trainerKeys[2]);
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    /// @dev An expiry was part of what trainers signed once.
    function test_CommitBatch_WhenASignatureHasAnExpiry() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        bytes32 typeHash =
            keccak256("Commit(uint256 project,uint32 round,uint32 member,bytes32 commitment,uint64 expiry)");
        bytes32 struct_ =
            keccak256(abi.encode(typeHash, project, round, leaves[1].member, leaves[1].commitment, type(uint64).max));
        (signatures[1].r, signatures[1].vs) = _compact(trainerKeys[1], _digest("CohortMarket", address(market), struct_));
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
        signatures[1] = _signLeaf(project, round, leaves[1], delegateKey);
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
        signatures[1] = _signLeaf(project, round, leaves[1], delegateKey);
        _postSkipping(leaves, signatures, 1, LeafSkip.NotSigned);
    }

    function test_CommitBatch_WhenTheDelegateIsOfAnotherMember() public {
        vm.prank(trainers[0]);
        market.setDelegate(project, delegate);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        signatures[1] = _signLeaf(project, round, leaves[1], delegateKey);
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
        _reverts(aggregator, _encodeCommitBatch(project, round, leaves, signatures), error_);
    }

    function _post(CommitLeaf[] memory leaves, CommitSignature[] memory signatures) private {
        vm.prank(aggregator);
        _postBatch(project, round, leaves, signatures);
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
        emit IRounds.CommitsPosted(project, round, bits, Packed.leaves(leaves));
        _post(leaves, signatures);
        vm.assertEq(_view().batchBits, bits);
    }

    function _late(uint256 time, uint256 until) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.BatchTooLate.selector, project, round, time, until);
    }
}
