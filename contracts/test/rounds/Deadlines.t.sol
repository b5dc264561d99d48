// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {CommitLeaf, CommitSignature, Phase, Receipt, Reveal} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

/// @notice Every phase and every call at deadline - 1, deadline, deadline + 1; intervals are half-open.
contract DeadlinesTest is MarketFixture {
    uint256 internal project;
    uint32 internal round;
    uint256 internal tC;
    uint256 internal tG;
    uint256 internal tR;
    uint256 internal tF;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = market.openRound(project);
        _times();
    }

    function test_CommitsEndAtTc() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 3);
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        _commitSelf(project, round, 5);
        _commitSelf(project, round, 6);
        _commitSelf(project, round, 7); // enough for the round to go on without the batch
        bytes32 commitment = _commitment(project, round, 4);
        uint256 before = vm.snapshotState();
        vm.warp(tC - 1);
        vm.prank(aggregator);
        market.commitBatch(project, round, leaves, signatures);
        vm.prank(trainers[4]);
        market.commitSelf(project, round, commitment);
        vm.revertToState(before);
        for (uint256 late; late < 2; ++late) {
            vm.warp(tC + late);
            vm.prank(aggregator);
            vm.expectRevert(_wrong(Phase.Guard, Phase.Commit));
            market.commitBatch(project, round, leaves, signatures);
            vm.prank(trainers[4]);
            vm.expectRevert(_wrong(Phase.Guard, Phase.Commit));
            market.commitSelf(project, round, commitment);
        }
    }

    function test_RevealsFromTheEndOfTheGuardToTr() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        Reveal[] memory reveals = _reveals(project, round, 0, 3);
        Receipt[] memory receipts = _receipts(project, round, reveals);
        _revealAt(tC - 1, Phase.Commit, batch, reveals, receipts);
        _revealAt(tC, Phase.Guard, batch, reveals, receipts);
        _revealAt(tG - 1, Phase.Guard, batch, reveals, receipts);
        _revealAt(tG, Phase.Reveal, batch, reveals, receipts);
        _revealAt(tG + 1, Phase.Reveal, batch, reveals, receipts);
        _revealAt(tR - 1, Phase.Reveal, batch, reveals, receipts);
        _revealAt(tR, Phase.Void, batch, reveals, receipts);
        _revealAt(tR + 1, Phase.Void, batch, reveals, receipts);
    }

    function test_SettleFromTrToTf() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _times();
        vm.warp(tG);
        _reveal(project, round, batch, 0, 7);
        Settlement memory s = _settlement(project, round, _rows(project, round, 0, 7), _outcomes(7, ONE));
        _settleAt(tR - 1, Phase.Reveal, s);
        _settleAt(tR, Phase.Settle, s);
        _settleAt(tR + 1, Phase.Settle, s);
        _settleAt(tF - 1, Phase.Settle, s);
        _settleAt(tF, Phase.Defaulted, s);
        _settleAt(tF + 1, Phase.Defaulted, s);
    }

    function test_CloseADefaultedRoundFromTf() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _times();
        vm.warp(tG);
        _reveal(project, round, batch, 0, 7);
        bytes memory running = abi.encodeWithSelector(IProjects.RoundStillRunning.selector, project, round);
        vm.warp(tR);
        vm.expectRevert(running);
        market.closeRound(project, round, _rows(project, round, 0, 7));
        vm.warp(tF - 1);
        vm.expectRevert(running);
        market.closeRound(project, round, _rows(project, round, 0, 7));
        vm.warp(tF);
        market.closeRound(project, round, _rows(project, round, 0, 7));
        _assertPhase(project, round, Phase.Defaulted);
    }

    function test_VoidByCommitsFromTc() public {
        _commit(project, round, 0, 2);
        vm.warp(tC - 1);
        _assertPhase(project, round, Phase.Commit);
        vm.expectRevert(abi.encodeWithSelector(IProjects.RoundStillRunning.selector, project, round));
        market.openRound(project);
        vm.warp(tC);
        _assertPhase(project, round, Phase.Void);
        vm.assertEq(market.openRound(project), 2);
    }

    /// @dev minTrainers - 1, minTrainers commits.
    function test_MinTrainersCommitsKeepTheRound() public {
        _commit(project, round, 0, 3);
        vm.warp(tC);
        _assertPhase(project, round, Phase.Guard);
        vm.warp(tR); // ... and nobody revealed
        _assertPhase(project, round, Phase.Void);
        vm.warp(tF + 365 days);
        _assertPhase(project, round, Phase.Void);
    }

    /// @dev minTrainers - 1, minTrainers rows.
    function test_MinTrainersRowsKeepTheRound() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(tG);
        _reveal(project, round, batch, 0, 2);
        uint256 before = vm.snapshotState();
        vm.warp(tR);
        _assertPhase(project, round, Phase.Void);
        vm.revertToState(before);
        _reveal(project, round, batch, 2, 3);
        vm.warp(tR);
        _assertPhase(project, round, Phase.Settle);
    }

    /// @dev A day without blocks over every deadline: no row, so nothing is owed, and the next round opens.
    function test_ADayWithoutBlocks() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        Reveal[] memory reveals = _reveals(project, round, 0, 8);
        Receipt[] memory receipts = _receipts(project, round, reveals);
        vm.warp(block.timestamp + 1 days);
        vm.expectRevert(_wrong(Phase.Void, Phase.Reveal));
        market.reveal(project, round, batch, reveals, receipts);
        vm.assertEq(market.openRound(project), 2);
        vm.assertEq(market.ledgerOf(project).held, BUDGET);
        _equation(project);
    }

    function test_AdvanceOnlyWhenEveryoneHasActed() public {
        _nothingToAdvance(Phase.Commit);
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        _nothingToAdvance(Phase.Commit);
        vm.warp(tC);
        _nothingToAdvance(Phase.Guard);
        vm.warp(tG);
        _nothingToAdvance(Phase.Reveal);
        _reveal(project, round, batch, 0, 6);
        _nothingToAdvance(Phase.Reveal);
        vm.warp(tR);
        _nothingToAdvance(Phase.Settle);
        vm.warp(tF);
        _nothingToAdvance(Phase.Defaulted);
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.NothingToAdvance.selector, project, round + 1, Phase.None)
        );
        market.advance(project, round + 1);
    }

    /// @dev After an early end the later windows keep their whole length, the guard above all.
    function testFuzz_LaterWindowsKeepTheirLength(uint256 committedAt, uint256 revealedAt) public {
        committedAt = _bound(committedAt, START, tC - 1);
        vm.warp(committedAt);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _times();
        vm.assertEq(tC, committedAt);
        vm.assertEq(tG, committedAt + GUARD);
        vm.assertEq(tR, tG + REVEAL);
        vm.assertEq(tF, tR + SETTLE);
        revealedAt = _bound(revealedAt, tG, tR - 1);
        vm.warp(revealedAt);
        _reveal(project, round, batch, 0, 8);
        _times();
        vm.assertEq(tR, revealedAt);
        vm.assertEq(tF, revealedAt + SETTLE);
        vm.assertEq(tC, committedAt, "the past does not move");
    }

    function _revealAt(
        uint256 time,
        Phase expected,
        CommitLeaf[] memory batch,
        Reveal[] memory reveals,
        Receipt[] memory receipts
    ) private {
        uint256 before = vm.snapshotState();
        vm.warp(time);
        _assertPhase(project, round, expected);
        if (expected != Phase.Reveal) vm.expectRevert(_wrong(expected, Phase.Reveal));
        market.reveal(project, round, batch, reveals, receipts);
        vm.revertToState(before);
    }

    function _settleAt(uint256 time, Phase expected, Settlement memory s) private {
        uint256 before = vm.snapshotState();
        vm.warp(time);
        _assertPhase(project, round, expected);
        if (expected == Phase.Settle) {
            _send(project, round, s);
        } else {
            vm.prank(aggregator);
            vm.expectRevert(_wrong(expected, Phase.Settle));
            market.settle(project, round, s.rows, s.outcomes, s.next, s.bundleCid, s.evidence);
        }
        vm.revertToState(before);
    }

    function _nothingToAdvance(Phase found) private {
        vm.expectRevert(abi.encodeWithSelector(IRounds.NothingToAdvance.selector, project, round, found));
        market.advance(project, round);
    }

    function _wrong(Phase found, Phase allowed) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.WrongPhase.selector, project, round, found, allowed);
    }

    function _times() private {
        IRounds.RoundView memory r = market.roundOf(project, round);
        (tC, tG, tR, tF) = (r.commitEnd, r.revealStart, r.revealEnd, r.settleEnd);
    }
}
