// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {CommitLeaf, CommitSignature, Phase, ProjectTerms, Reveal} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract CommitsTest is MarketFixture {
    uint256 internal project;
    uint32 internal round;

    function setUp() public override {
        super.setUp();
        project = _projectWith(10);
        round = market.openRound(project);
    }

    function test_BatchIsStored() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 5);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        vm.expectEmit(address(market));
        emit IRounds.CommitsPosted(project, round, keccak256(abi.encode(leaves)), leaves);
        vm.prank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.assertEq(r.batchHash, keccak256(abi.encode(leaves)));
        vm.assertEq(r.batchCount, 5);
        vm.assertEq(uint256(r.phase), uint256(Phase.Commit));
    }

    function test_OnlyAnAggregatorAndOnlyOnce() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 5);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        vm.expectRevert(abi.encodeWithSelector(IRounds.NotAggregator.selector, project, address(this)));
        market.commitBatch(project, round, leaves, signatures);
        vm.startPrank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
        vm.expectRevert(abi.encodeWithSelector(IRounds.BatchAlreadyPosted.selector, project, round));
        market.commitBatch(project, round, leaves, signatures);
        vm.stopPrank();
    }

    function test_BatchMustBeStrictlyIncreasing() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        leaves[2] = leaves[1]; // the same trainer twice
        _batchRefused(leaves, abi.encodeWithSelector(IRounds.BatchNotIncreasing.selector, 2));
        leaves = _leaves(project, round, 0, 3);
        (leaves[0], leaves[1]) = (leaves[1], leaves[0]);
        _batchRefused(leaves, abi.encodeWithSelector(IRounds.BatchNotIncreasing.selector, 1));
    }

    function test_BatchMustNotBeEmptyAndNeedsOneSignatureEach() public {
        _batchRefused(new CommitLeaf[](0), abi.encodeWithSelector(IRounds.EmptyBatch.selector));
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, _leaves(project, round, 0, 2), 0);
        vm.prank(aggregator);
        vm.expectRevert(abi.encodeWithSelector(IRounds.SignaturesMismatch.selector, 2, 3));
        market.commitBatch(project, round, leaves, signatures);
    }

    function test_BatchMustFitTheSlots() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 9);
        _batchRefused(leaves, abi.encodeWithSelector(IRounds.TooManyCommits.selector, 9, 8));
        _commitSelf(project, round, 9);
        leaves = _leaves(project, round, 0, 8);
        _batchRefused(leaves, abi.encodeWithSelector(IRounds.TooManyCommits.selector, 9, 8));
        _commit(project, round, 0, 7);
    }

    function test_BatchOfMembersOnly() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 10, 11);
        _batchRefused(leaves, abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, trainers[10]));
    }

    function test_ZeroIsNoCommitment() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 2);
        leaves[1].commitment = 0;
        _batchRefused(leaves, abi.encodeWithSelector(IRounds.CommitmentIsZero.selector, trainers[1]));
        vm.prank(trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IRounds.CommitmentIsZero.selector, trainers[0]));
        market.commitSelf(project, round, 0);
    }

    function test_ForgedLeaf() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        leaves[1].commitment = keccak256("not what trainer 1 signed");
        vm.prank(aggregator);
        vm.expectPartialRevert(IRounds.CommitSignatureInvalid.selector);
        market.commitBatch(project, round, leaves, signatures);

        leaves = _leaves(project, round, 0, 3);
        signatures[1] = _signLeaf(project, round, leaves[1], type(uint64).max, trainerKeys[2]); // by somebody else
        vm.prank(aggregator);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.CommitSignatureInvalid.selector, 1, trainers[2], trainers[1])
        );
        market.commitBatch(project, round, leaves, signatures);

        signatures[1].signature = hex"00";
        vm.prank(aggregator);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.CommitSignatureInvalid.selector, 1, address(0), trainers[1])
        );
        market.commitBatch(project, round, leaves, signatures);
    }

    /// @dev The other solution of the curve equation, s' = N - s, is refused: no second form of one signature.
    function test_MalleatedSignature() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 1);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        (bytes32 r, bytes32 s, uint8 v) = _split(signatures[0].signature);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        signatures[0].signature = abi.encodePacked(r, bytes32(order - uint256(s)), v == 27 ? uint8(28) : uint8(27));
        vm.prank(aggregator);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.CommitSignatureInvalid.selector, 0, address(0), trainers[0])
        );
        market.commitBatch(project, round, leaves, signatures);
    }

    function test_ExpiredSignature() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 1);
        CommitSignature[] memory signatures = new CommitSignature[](1);
        signatures[0] = _signLeaf(project, round, leaves[0], uint64(block.timestamp - 1), trainerKeys[0]);
        vm.prank(aggregator);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRounds.CommitSignatureExpired.selector, 0, block.timestamp - 1, block.timestamp
            )
        );
        market.commitBatch(project, round, leaves, signatures);
        signatures[0] = _signLeaf(project, round, leaves[0], uint64(block.timestamp), trainerKeys[0]);
        vm.prank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
    }

    function test_SelfPathNeedsNobody() public {
        for (uint256 i; i < 8; ++i) {
            vm.expectEmit(address(market));
            emit IRounds.CommittedSelf(project, round, trainers[i], _commitment(project, round, i));
            _commitSelf(project, round, i);
        }
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.assertEq(r.selfCount, 8);
        vm.assertEq(r.commitEnd, block.timestamp, "all slots taken: the phase ends");
        vm.warp(r.revealStart);
        _reveal(project, round, new CommitLeaf[](0), 0, 8);
        _settle(project, round, 8);
        _assertPhase(project, round, Phase.Final);
    }

    function test_SelfOncePerRound() public {
        _commitSelf(project, round, 0);
        vm.prank(trainers[0]);
        vm.expectRevert(abi.encodeWithSelector(IRounds.AlreadyCommitted.selector, project, round, trainers[0]));
        market.commitSelf(project, round, keccak256("another"));
    }

    function test_SelfNeedsASlot() public {
        _commit(project, round, 0, 7);
        _commitSelf(project, round, 8); // the eighth ends the phase
        bytes32 commitment = _commitment(project, round, 9);
        vm.prank(trainers[9]);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.WrongPhase.selector, project, round, Phase.Guard, Phase.Commit)
        );
        market.commitSelf(project, round, commitment);
    }

    function test_StrangersCannotCommit() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IRounds.NotEligible.selector, project, round, stranger));
        market.commitSelf(project, round, keccak256("x"));
    }

    /// @dev A self-posted commitment after the batch keeps the slot of the leaf it replaces: counts stay exact.
    function test_SelfReplacesTheLeafOfTheBatch() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        bytes32 other = market.commitmentOf(project, round, trainers[0], keccak256("better"), bytes32("salt"));
        vm.prank(trainers[0]);
        market.commitSelf(project, round, other);
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.assertEq(r.batchCount, 6);
        vm.assertEq(r.selfCount, 1);
        vm.assertEq(uint256(r.phase), uint256(Phase.Commit), "one slot is still free");
        vm.assertEq(market.selfCommitOf(project, round, trainers[0]), other);

        vm.warp(r.revealStart);
        _reveal(project, round, batch, 0, 1); // the leaf can no longer be revealed ...
        vm.assertEq(market.revealStateOf(project, round, trainers[0]), 0);
        Reveal[] memory reveals = new Reveal[](1);
        reveals[0] = Reveal(trainers[0], keccak256("better"), bytes32("salt"), _cid(keccak256("better")));
        market.reveal(project, round, batch, reveals, _receipts(project, round, reveals)); // ... the other one can
        vm.assertEq(market.revealStateOf(project, round, trainers[0]), 1);
    }

    /// @dev A self-posted commitment before the batch: the leaf is passed over, takes no slot, and blocks nothing,
    /// even though its signature is not looked at.
    function test_BatchPassesOverWhoCommittedAlone() public {
        _commitSelf(project, round, 0);
        _commit(project, round, 0, 7);
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.assertEq(r.batchCount, 6);
        vm.assertEq(r.selfCount, 1);
        _commitSelf(project, round, 9);
        vm.assertEq(market.roundOf(project, round).commitEnd, block.timestamp);
    }

    function test_SelfCommitOfRemembersOneRound() public {
        _commitSelf(project, round, 9);
        vm.assertEq(market.selfCommitOf(project, round, trainers[0]), 0);
        vm.warp(market.roundOf(project, round).commitEnd);
        uint32 second = market.openRound(project);
        vm.assertEq(market.selfCommitOf(project, round, trainers[9]), _commitment(project, round, 9));
        vm.assertEq(market.selfCommitOf(project, second, trainers[9]), 0);
        _commitSelf(project, second, 9);
        vm.assertEq(market.selfCommitOf(project, second, trainers[9]), _commitment(project, second, 9));
        vm.expectRevert(abi.encodeWithSelector(IRounds.StateOverwritten.selector, project, round, second));
        market.selfCommitOf(project, round, trainers[9]);
    }

    /// @dev Fewer members than slots: the phase ends when all of them have committed.
    function test_EndsWhenEveryMemberHasCommitted() public {
        uint256 small = _projectWith(5);
        uint32 first = market.openRound(small);
        vm.warp(START + 7);
        _commit(small, first, 0, 4);
        _assertPhase(small, first, Phase.Commit);
        vm.expectEmit(address(market));
        emit IRounds.DeadlinesMoved(
            small,
            first,
            uint64(START + 7),
            uint64(START + 7 + GUARD),
            uint64(START + 7 + GUARD + REVEAL),
            uint64(START + 7 + GUARD + REVEAL + SETTLE)
        );
        _commitSelf(small, first, 4);
        _assertPhase(small, first, Phase.Guard);
    }

    /// @dev One trainer that acts twice must not count twice: it would end the phase before the others have acted.
    function test_ActingTwiceDoesNotEndThePhase() public {
        uint256 small = _projectWith(4);
        uint32 first = market.openRound(small);
        _commit(small, first, 0, 3);
        _commitSelf(small, first, 0);
        _commitSelf(small, first, 1);
        _commitSelf(small, first, 2);
        _assertPhase(small, first, Phase.Commit);
        vm.assertEq(market.roundOf(small, first).batchCount, 0);
        vm.assertEq(market.roundOf(small, first).selfCount, 3);
        _commitSelf(small, first, 3);
        _assertPhase(small, first, Phase.Guard);
    }

    /// @dev Who leaves still counts, so the round waits for its deadline and not longer.
    function test_WhoLeavesIsWaitedForUntilTheDeadline() public {
        uint256 small = _projectWith(4);
        uint32 first = market.openRound(small);
        vm.prank(trainers[3]);
        market.leave(small);
        _commit(small, first, 0, 3);
        _assertPhase(small, first, Phase.Commit);
        vm.warp(market.roundOf(small, first).commitEnd);
        _assertPhase(small, first, Phase.Guard);
    }

    function test_CommitmentOf() public view {
        vm.assertEq(
            market.commitmentOf(project, round, trainers[2], _update(project, round, 2), _salt(project, round, 2)),
            _commitment(project, round, 2)
        );
    }

    function test_EveryCommitmentWithGuardZero() public {
        ProjectTerms memory terms = _terms();
        terms.windows.guard = 0;
        terms.slots = 4;
        terms.minTrainers = 2;
        uint256 fast = _create(terms, BUDGET);
        _join(fast, 0, 4);
        uint32 first = market.openRound(fast);
        CommitLeaf[] memory batch = _commit(fast, first, 0, 4);
        _assertPhase(fast, first, Phase.Reveal);
        _reveal(fast, first, batch, 0, 4);
        _settle(fast, first, 4);
        _assertPhase(fast, first, Phase.Final); // a whole round within one second
    }

    function _batchRefused(CommitLeaf[] memory leaves, bytes memory error_) private {
        CommitSignature[] memory signatures = new CommitSignature[](leaves.length);
        for (uint256 i; i < leaves.length; ++i) {
            uint256 key;
            for (uint256 j; j < trainers.length; ++j) {
                if (trainers[j] == leaves[i].trainer) key = trainerKeys[j];
            }
            signatures[i] = _signLeaf(project, round, leaves[i], type(uint64).max, key);
        }
        vm.prank(aggregator);
        vm.expectRevert(error_);
        market.commitBatch(project, round, leaves, signatures);
    }

    function _split(bytes memory signature) private pure returns (bytes32 r, bytes32 s, uint8 v) {
        (r, s) = abi.decode(signature, (bytes32, bytes32));
        v = uint8(signature[64]);
    }
}
