// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {ICohortMarket} from "../../src/interfaces/ICohortMarket.sol";
import {CommitLeaf, CommitSignature, Phase, Receipt, Reveal, SkipReason} from "../../src/types/Types.sol";
import {AttestedVerifier} from "../../src/verification/AttestedVerifier.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

/// @notice Nothing that was signed or committed for one place serves in another: round, project, market, chain.
contract ReplayTest is MarketFixture {
    uint256 internal project;
    uint256 internal other;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        other = _projectWith(8);
    }

    function test_CommitSignatureInAnotherProject() public {
        uint32 round = market.openRound(project);
        market.openRound(other);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        _batchRefused(other, round, leaves, signatures);
    }

    function test_CommitSignatureInAnotherRound() public {
        uint32 round = market.openRound(project);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        for (uint256 i; i < 8; ++i) signatures[i] = _signLeaf(project, round, leaves[i], type(uint64).max, trainerKeys[i]);
        vm.warp(market.roundOf(project, round).commitEnd);
        market.openRound(project);
        _batchRefused(project, 2, leaves, signatures);
    }

    function test_CommitSignatureOnAnotherChain() public {
        uint32 round = market.openRound(project);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        vm.chainId(5);
        _batchRefused(project, round, leaves, signatures);
    }

    function test_CommitSignatureInAnotherMarket() public {
        uint32 round = market.openRound(project);
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        ICohortMarket second = ICohortMarket(vm.deployCode("CohortMarket.sol:CohortMarket"));
        vm.prank(owner);
        token.approve(address(second), type(uint256).max);
        vm.prank(owner);
        uint256 twin = second.createProject(_terms(), BUDGET);
        for (uint256 i; i < 8; ++i) {
            vm.startPrank(trainers[i]);
            token.approve(address(second), type(uint256).max);
            second.join(twin);
            vm.stopPrank();
        }
        second.openRound(twin);
        vm.assertEq(twin, project);
        vm.prank(aggregator);
        vm.expectPartialRevert(IRounds.CommitSignatureInvalid.selector);
        second.commitBatch(twin, round, leaves, signatures);
    }

    /// @dev A commitment made for one round cannot be opened in the next: the round is inside the hash.
    function test_CommitmentOfAnotherRound() public {
        uint32 round = market.openRound(project);
        bytes32 old = _commitment(project, round, 0);
        vm.warp(market.roundOf(project, round).commitEnd);
        uint32 next = market.openRound(project);
        vm.prank(trainers[0]);
        market.commitSelf(project, next, old);
        _commit(project, next, 1, 8);
        vm.warp(market.roundOf(project, next).revealStart);
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, next, reveals);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, next, trainers[0], SkipReason.WrongOpening);
        market.reveal(project, next, new CommitLeaf[](0), reveals, receipts);
    }

    function test_ReceiptOfAnotherProjectOrRound() public {
        uint32 round = market.openRound(project);
        market.openRound(other);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(market.roundOf(project, round).revealStart);
        Reveal[] memory reveals = _reveals(project, round, 0, 8);
        Receipt[] memory receipts = _receipts(other, round, reveals);
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        market.reveal(project, round, batch, reveals, receipts);
        receipts = _receipts(project, round + 1, reveals);
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        market.reveal(project, round, batch, reveals, receipts);
    }

    /// @dev The same rows and scores in the next round need new signatures.
    function test_EvidenceOfAnotherRound() public {
        uint32 round = _toSettle(project, 8);
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        bytes memory used = s.evidence;
        _send(project, round, s);
        uint32 next = _toSettle(project, 8);
        s = _settlement(project, next, _rows(project, next, 0, 8), _outcomes(8, ONE));
        s.evidence = used;
        _settleRefused(project, next, s);
    }

    function test_EvidenceOfAnotherProject() public {
        uint32 round = _toSettle(project, 8);
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        vm.warp(START);
        uint32 twin = _toSettle(other, 8);
        Settlement memory t = _settlement(other, twin, _rows(other, twin, 0, 8), _outcomes(8, ONE));
        t.evidence = s.evidence;
        _settleRefused(other, twin, t);
    }

    function test_EvidenceOnAnotherChain() public {
        uint32 round = _toSettle(project, 8);
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 8), _outcomes(8, ONE));
        vm.chainId(5);
        _settleRefused(project, round, s);
    }

    /// @dev Calls in one project leave the ledger of another as it is, in the same token.
    function test_ProjectsDoNotTouchEachOther() public {
        bytes memory before = abi.encode(market.ledgerOf(other));
        _settledRound(project, 8);
        uint32 round = _toSettle(project, 8);
        vm.warp(market.roundOf(project, round).settleEnd);
        market.closeRound(project, round, _rows(project, round, 0, 8));
        vm.prank(owner);
        market.endProject(project);
        market.refund(project);
        vm.assertEq(abi.encode(market.ledgerOf(other)), before);
        _assertPhase(other, 1, Phase.None);
    }

    function _batchRefused(
        uint256 where,
        uint32 round,
        CommitLeaf[] memory leaves,
        CommitSignature[] memory signatures
    ) private {
        vm.prank(aggregator);
        vm.expectPartialRevert(IRounds.CommitSignatureInvalid.selector);
        market.commitBatch(where, round, leaves, signatures);
    }

    function _settleRefused(uint256 where, uint32 round, Settlement memory s) private {
        vm.prank(aggregator);
        vm.expectPartialRevert(AttestedVerifier.AttestationInvalid.selector);
        market.settle(where, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
    }
}
