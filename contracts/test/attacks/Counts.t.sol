// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {LeafSkip, Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Row} from "../support/Packed.sol";

/// @notice Rounds of k_min - 1, k_min, N and N + 1 trainers, to the last unit: commitments by batch, by the trainers themselves, and
/// mixed; and rows of k_min - 1 and k_min. N = 8, k_min = 3.
contract CountsTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(10);
        round = _open(project);
    }

    // ---- commitments

    function test_Commits_WhenOneIsMissing() public {
        for (uint256 way; way < 3; ++way) {
            uint256 before = vm.snapshotState();
            CommitLeaf[] memory batch = _commitSome(2, way);
            bytes memory reveal = _revealCall(batch, 0, 2);
            bytes memory slash = _slashCall(batch, 0);
            vm.warp(_view().commitEnd);
            _assertPhase(project, round, Phase.Void);
            vm.assertFalse(_wouldWork(stranger, reveal), "nobody shows anything");
            vm.warp(_view().rescueEnd);
            vm.assertFalse(_wouldWork(stranger, reveal));
            vm.assertFalse(_wouldWork(stranger, slash), "and nobody is punished");
            _closeEmpty();
            vm.assertEq(_ledger().free, 10 * uint256(BUDGET));
            vm.assertEq(_ledger().claimable, 0);
            vm.revertToState(before);
        }
    }

    function test_Commits_WhenTheyAreJustEnough() public {
        for (uint256 way; way < 3; ++way) _paysAll(3, way);
    }

    function test_Commits_WhenAllSlotsAreTaken() public {
        for (uint256 way; way < 3; ++way) _paysAll(8, way);
    }

    /// @dev The ninth, as a leaf behind eight good ones, by itself after eight, and by itself when the batch has seven and another
    /// trainer was faster.
    function test_Commits_WhenThereIsOneTooMany() public {
        uint256 before = vm.snapshotState();
        vm.expectEmit(address(market));
        emit IRounds.LeafSkipped(project, round, 9, LeafSkip.NoSlot);
        CommitLeaf[] memory batch = _commit(project, round, 0, 9);
        vm.assertEq(_view().batchCount, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 8, 9);
        vm.assertEq(_view().admitted, 0);
        _reveal(project, round, batch, 0, 8);
        vm.assertEq(_view().admitted, 8);
        vm.revertToState(before);

        for (uint256 way; way < 3; ++way) {
            before = vm.snapshotState();
            batch = _commitSome(8, way);
            _reverts(trainers[8], _selfCall(8, batch), _wrong(Phase.Guard, Phase.Commit));
            vm.assertEq(uint256(_view().batchCount) + _view().selfCount, 8);
            vm.revertToState(before);
        }
    }

    /// @dev One who acts twice is one: the phase does not end for the others, and k_min is not reached with it.
    function test_Commits_WhenOneActsTwice() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 2);
        _commitSelf(project, round, 0, batch);
        _commitSelf(project, round, 1, batch);
        vm.assertEq(uint256(_view().batchCount) + _view().selfCount, 2);
        vm.warp(_view().commitEnd);
        _assertPhase(project, round, Phase.Void);
    }

    // ---- rows

    /// @dev k_min commitments, one row less: each who revealed has a slot's pay, the rest of the budget is free again.
    function test_Rows_WhenOneIsMissing() public {
        for (uint256 way; way < 3; ++way) {
            uint256 before = vm.snapshotState();
            CommitLeaf[] memory batch = _commitSome(3, way);
            vm.warp(_view().commitEnd + GUARD);
            _reveal(project, round, batch, 0, 2);
            vm.warp(_view().revealEnd);
            _assertPhase(project, round, Phase.Void);
            vm.assertFalse(_wouldWork(aggregator, _settleCall(_equalSettlement(2))));
            _works(stranger, _closeCall(0, 2));
            vm.assertEq(_ledger().claimable, 2 * (D / 8));
            vm.assertEq(_ledger().free, 10 * uint256(BUDGET) - 2 * (D / 8));
            _equation(project);
            vm.revertToState(before);
        }
    }

    /// @dev Rows that were refused are none: three commitments, two rows. With the third one answered for the phase is over.
    function test_Rows_WhenOneIsRefused() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 3);
        vm.warp(_view().revealStart);
        _revealWith(
            project,
            round,
            batch,
            _openings(project, round, 0, 3),
            _receipts(project, round, _openings(project, round, 0, 3), 3, 4)
        );
        _assertPhase(project, round, Phase.Void);
        _works(stranger, _closeCall(0, 2));
        vm.assertEq(_ledger().claimable, 2 * (D / 8));
    }

    // ---- whole rounds

    /// @dev A round of n, settled with equal scores: every unit of D is paid or burned, and everybody can have it.
    function _paysAll(uint256 n, uint256 way) private {
        uint256 before = vm.snapshotState();
        CommitLeaf[] memory batch = _commitSome(n, way);
        vm.warp(_view().commitEnd + GUARD);
        _reveal(project, round, batch, 0, n);
        if (_view().unresolved != 0) vm.warp(_view().revealEnd);
        _assertPhase(project, round, Phase.Settle);
        _settle(project, round, n);
        uint256 share = D / n;
        vm.assertEq(_ledger().claimable, n * share);
        vm.assertEq(_ledger().held, 0);
        _equation(project);
        Row[] memory rows = _rows(project, round, 0, n);
        for (uint256 i; i < n; ++i) {
            _claimWith(
                project, _number(project, i), _one(_claimItem(project, round, rows, _equalPays(n, share), i))
            );
        }
        vm.assertEq(_ledger().claimable, 0);
        vm.assertEq(_ledger().claimed, n * share);
        vm.revertToState(before);
    }

    /// @dev Commitments of trainers 0 .. n - 1: all in the batch; all by themselves; the first in the batch, the others by themselves.
    function _commitSome(uint256 n, uint256 way) private returns (CommitLeaf[] memory batch) {
        if (way == 0) return _commit(project, round, 0, n);
        uint256 inBatch = way == 1 ? 0 : n / 2;
        if (inBatch != 0) batch = _commit(project, round, 0, inBatch);
        for (uint256 i = inBatch; i < n; ++i) _commitSelf(project, round, i, batch);
    }
}
