// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {LeafSkip, Phase, Receipt, SkipReason} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, CommitSignature, Opening} from "../support/Packed.sol";

/// @notice Nothing that was signed or committed for one place serves in another: round, project, market, chain, phase.
contract ReplayTest is MarketScene {
    uint256 private other;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        other = _projectWith(8);
        round = _open(project);
    }

    // ---- signatures of commitments

    function test_CommitSignature_WhenItIsOfAnotherProject() public {
        (CommitLeaf[] memory leaves, CommitSignature[] memory signatures) = _signed();
        _open(other);
        _noneCounts(other, 1, leaves, signatures);
    }

    /// @dev Also after a reorganisation over tC: what was signed for a round cannot enter the one that takes its place.
    function test_CommitSignature_WhenItIsOfAnotherRound() public {
        (CommitLeaf[] memory leaves, CommitSignature[] memory signatures) = _signed();
        vm.warp(_view().commitEnd);
        _closeEmpty();
        round = _open(project);
        _noneCounts(project, 2, leaves, signatures);
    }

    function test_CommitSignature_WhenItIsOfAnotherChain() public {
        (CommitLeaf[] memory leaves, CommitSignature[] memory signatures) = _signed();
        vm.chainId(5);
        _noneCounts(project, 1, leaves, signatures);
    }

    function test_CommitSignature_WhenItIsOfAnotherMarket() public {
        (CommitLeaf[] memory leaves, CommitSignature[] memory signatures) = _signed();
        _twinMarket();
        _noneCounts(project, 1, leaves, signatures);
    }

    // ---- commitments

    function test_Commitment_WhenItIsOfAnotherRound() public {
        Opening[] memory openings = _openingsOf(0);
        bytes32 old = _commitment(project, round, 0);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        round = _open(project);
        _opensNothing(openings, old);
    }

    function test_Commitment_WhenItIsOfAnotherProject() public {
        Opening[] memory openings = _openingsOf(0);
        bytes32 old = _commitment(project, round, 0);
        project = other;
        round = _open(project);
        _opensNothing(openings, old);
    }

    function test_Commitment_WhenItIsOfAnotherChainOrMarket() public {
        Opening[] memory openings = _openingsOf(0);
        bytes32 old = _commitment(project, round, 0);
        uint256 before = vm.snapshotState();
        vm.chainId(5);
        _opensNothing(openings, old);
        vm.revertToState(before);
        vm.chainId(31337);
        _twinMarket();
        _opensNothing(openings, old);
    }

    // ---- receipts and settlements

    function test_Receipt_WhenItIsOfAnotherProjectRoundOrChain() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openings(project, round, 0, 8);
        Receipt[] memory receipts = _receipts(other, round, openings);
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        _revealWith(project, round, batch, openings, receipts);
        receipts = _receipts(project, round + 1, openings);
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        _revealWith(project, round, batch, openings, receipts);
        receipts = _receipts(project, round, openings);
        vm.chainId(5);
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        _revealWith(project, round, batch, openings, receipts);
    }

    function test_Evidence_WhenItIsOfAnotherRoundProjectOrChain() public {
        _finish();
        Settlement memory s = _equalSettlement(8);
        bytes memory used = s.evidence;
        uint256 before = vm.snapshotState();
        vm.chainId(5);
        _evidenceRefused(s);
        vm.revertToState(before);
        vm.chainId(31337);
        _send(project, round, s);
        round = _toSettle(project, 8);
        s = _equalSettlement(8);
        s.evidence = used;
        _evidenceRefused(s);
        project = other;
        round = _toSettle(project, 8);
        s = _equalSettlement(8);
        s.evidence = used;
        _evidenceRefused(s);
    }

    /// @dev A reveal sent too early (in another phase) has no effect that could be used later.
    function test_Reveal_WhenItIsSentBeforeItsPhase() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        bytes memory call = _revealCall(batch, 0, 7);
        _reverts(stranger, call, _wrong(Phase.Commit, Phase.Reveal));
        vm.warp(_view().commitEnd);
        _reverts(stranger, call, _wrong(Phase.Guard, Phase.Reveal));
        vm.assertEq(_view().unresolved, 7);
    }

    function _finish() private {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 8);
    }

    function _signed() private view returns (CommitLeaf[] memory leaves, CommitSignature[] memory signatures) {
        leaves = _leaves(project, round, 0, 8);
        signatures = _signLeaves(project, round, leaves, 0);
    }

    /// @dev A second deployment with a project of the same number, the same people and the same round.
    function _twinMarket() private {
        market = _deploy(_profile());
        _approveEverybody();
        project = _projectWith(8);
        vm.assertEq(_open(project), round);
    }

    function _noneCounts(uint256 p, uint32 r, CommitLeaf[] memory leaves, CommitSignature[] memory signatures) private {
        vm.prank(aggregator);
        vm.expectRevert(abi.encodeWithSelector(IRounds.EmptyBatch.selector));
        _postBatch(p, r, leaves, signatures);
        // With one good leaf among them, it alone counts.
        project = p;
        leaves[0].commitment = _commitment(p, r, 0);
        signatures[0] = _signLeaf(p, r, leaves[0], trainerKeys[0]);
        for (uint32 member = 2; member <= 8; ++member) {
            vm.expectEmit(address(market));
            emit IRounds.LeafSkipped(p, r, member, LeafSkip.NotSigned);
        }
        vm.prank(aggregator);
        _postBatch(p, r, leaves, signatures);
        vm.assertEq(market.roundOf(p, r).batchCount, 1);
    }

    /// @dev Trainer 0 posts the old commitment here; its old opening does not open it.
    function _opensNothing(Opening[] memory openings, bytes32 old) private {
        vm.prank(trainers[0]);
        _postSelf(project, round, 1, old, _noLeaves());
        _commitSelf(project, round, 1);
        _commitSelf(project, round, 2);
        vm.warp(_view().revealStart + COMMIT);
        vm.warp(_view().revealStart);
        Receipt[] memory receipts = _receipts(project, round, openings);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 1, SkipReason.WrongOpening);
        _revealWith(project, round, _noLeaves(), openings, receipts);
        vm.assertEq(_view().admitted, 0);
    }

    function _evidenceRefused(Settlement memory s) private {
        vm.prank(aggregator);
        vm.expectPartialRevert(AttestedVerifier.AttestationInvalid.selector);
        market.settle(project, round, s.admissions, abi.encode(s.outcomes), s.next, s.bundle, s.evidence);
    }
}
