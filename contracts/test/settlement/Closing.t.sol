// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Packed, Row} from "../support/Packed.sol";

contract ClosingTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
    }

    // ---- closeRound

    function test_CloseRound_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, _encodeClose(9, 1, new Row[](0)), _unknown(9));
    }

    function test_CloseRound_RevertWhen_ItIsNotTheNewestRound() public {
        bytes memory call = _encodeClose(project, 1, new Row[](0));
        _reverts(stranger, call, _notNewest(1));
        _settledRound(project, 8);
        _open(project);
        _reverts(stranger, call, _notNewest(1));
    }

    function test_CloseRound_RevertWhen_ItIsRunning() public {
        _reverts(stranger, _encodeClose(project, 0, new Row[](0)), _running());
        round = _open(project);
        _reverts(stranger, _closeCall(0, 0), _running()); // Commit
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _reverts(stranger, _closeCall(0, 0), _running()); // Guard
        vm.warp(_view().revealStart);
        _reverts(stranger, _closeCall(0, 0), _running()); // Reveal
        _reveal(project, round, batch, 0, 8);
        _reverts(stranger, _closeCall(0, 8), _running()); // Settle
    }

    function test_CloseRound_RevertWhen_ItIsClosed() public {
        bytes memory closed = abi.encodeWithSelector(ISettlement.RoundAlreadyClosed.selector, project, 1);
        round = _settledRound(project, 8);
        _reverts(stranger, _closeCall(0, 8), closed); // Final
        vm.warp(block.timestamp + 365 days);
        _reverts(stranger, _closeCall(0, 8), closed);
    }

    function test_CloseRound_RevertWhen_ItWasClosedOnce() public {
        bytes memory closed = abi.encodeWithSelector(ISettlement.RoundAlreadyClosed.selector, project, 1);
        _voidWith(2);
        _works(stranger, _closeCall(0, 2));
        _reverts(stranger, _closeCall(0, 2), closed); // Void
        project = _projectWith(8);
        closed = abi.encodeWithSelector(ISettlement.RoundAlreadyClosed.selector, project, 1);
        round = _open(project);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        _reverts(stranger, _closeCall(0, 0), closed); // Void without rows
        project = _projectWith(8);
        closed = abi.encodeWithSelector(ISettlement.RoundAlreadyClosed.selector, project, 1);
        round = _toSettle(project, 8);
        vm.warp(_view().settleEnd);
        _works(stranger, _closeCall(0, 8));
        _reverts(stranger, _closeCall(0, 8), closed); // Defaulted
    }

    function test_CloseRound_RevertWhen_RowsAreNotTheAdmittedOnes() public {
        _voidWith(2);
        bytes32 stored = _view().admittedHash;
        bytes32 one = Packed.chain(Packed.admissions(_rows(project, round, 0, 1)));
        _reverts(stranger, _closeCall(0, 1), abi.encodeWithSelector(ISettlement.RowsMismatch.selector, one, stored));
        _reverts(stranger, _closeCall(0, 0), abi.encodeWithSelector(ISettlement.RowsMismatch.selector, 0, stored));
    }

    /// @dev The word of the round before is still in storage: it must not serve for a round without rows.
    function test_CloseRound_RevertWhen_RowsOfTheRoundBeforeAreGiven() public {
        round = _settledRound(project, 8);
        Row[] memory old = _rows(project, round, 0, 8);
        bytes32 chain = _view().admittedHash;
        round = _open(project);
        vm.warp(_view().commitEnd);
        bytes memory call = _encodeClose(project, round, old);
        _reverts(stranger, call, abi.encodeWithSelector(ISettlement.RowsMismatch.selector, chain, bytes32(0)));
    }

    function test_CloseRound_WhenARoundIsVoidWithoutRows() public {
        round = _open(project);
        vm.warp(_view().commitEnd);
        vm.expectEmit(address(market));
        emit ISettlement.RoundVoided(project, round, bytes27(0), 0, new uint32[](0));
        vm.expectEmit(address(market));
        emit IBonds.BondReleased(project, round, aggregator, BOND);
        _closeEmpty();
        vm.assertEq(_ledger().free, 10 * uint256(BUDGET));
        vm.assertEq(_ledger().held, 0);
        vm.assertEq(market.bondOf(project, aggregator).free, BOND);
        _assertPhase(project, round, Phase.Void);
        vm.assertTrue(_view().closed);
        _equation(project);
    }

    function test_CloseRound_WhenARoundIsVoidWithRows() public {
        _voidWith(2);
        uint32[] memory members = new uint32[](2);
        (members[0], members[1]) = (1, 2);
        bytes32[] memory leaves = _payoutLeaves(project, round, _rows(project, round, 0, 2), _equalPays(2, D / 8));
        bytes27 root = bytes27(_node(leaves[0], leaves[1]));
        bytes memory call = _closeCall(0, 2);
        vm.expectEmit(address(market));
        emit ISettlement.RoundVoided(project, round, root, D / 8, members);
        vm.expectEmit(address(market));
        emit IBonds.BondReleased(project, round, aggregator, BOND);
        _works(stranger, call);
        IProjects.Ledger memory l = _ledger();
        vm.assertEq(l.claimable, 2 * (D / 8), "a whole slot's pay each");
        vm.assertEq(l.free, 10 * uint256(BUDGET) - 2 * (D / 8));
        vm.assertEq(l.burned, 0);
        vm.assertEq(l.fees, 0);
        vm.assertEq(bytes32(_view().payoutRoot), bytes32(root));
        vm.assertEq(market.recordOf(project, 1).rounds, 0, "says nothing about anybody's work");
        _equation(project);
    }

    function test_CloseRound_WhenARoundDefaulted() public {
        round = _toSettle(project, 8);
        vm.warp(_view().settleEnd);
        uint32[] memory members = new uint32[](8);
        for (uint32 i; i < 8; ++i) members[i] = i + 1;
        bytes memory call = _closeCall(0, 8);
        bytes32[] memory leaves = _payoutLeaves(project, round, _rows(project, round, 0, 8), _equalPays(8, D / 8));
        bytes32 root = _node(
            _node(_node(leaves[0], leaves[1]), _node(leaves[2], leaves[3])),
            _node(_node(leaves[4], leaves[5]), _node(leaves[6], leaves[7]))
        );
        vm.expectEmit(address(market));
        emit ISettlement.RoundDefaulted(project, round, bytes27(root), D / 8, members);
        vm.expectEmit(address(market));
        emit IBonds.BondSlashed(project, round, aggregator, 0, BOND);
        _works(stranger, call);
        IProjects.Ledger memory l = _ledger();
        vm.assertEq(l.claimable, 8 * (D / 8));
        vm.assertEq(l.free, 9 * uint256(BUDGET) + D % 8, "dust");
        vm.assertEq(l.burned, uint256(FEE) + PROTOCOL_FEE, "the fees that nobody earned");
        vm.assertEq(l.fees, 0);
        vm.assertEq(l.bondsBurned, BOND);
        vm.assertEq(l.bonds, 0);
        vm.assertEq(market.recordOf(project, 1).rounds, 0);
        vm.assertEq(market.progressOf(project).model, _terms().initialModel);
        _assertPhase(project, round, Phase.Defaulted);
        _equation(project);
        _bond(project, aggregator, BOND);
        vm.assertEq(_open(project), 2);
    }

    /// @dev Dust of seven shares of D.
    function test_CloseRound_WhenTheShareLeavesDust() public {
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 7);
        vm.warp(_view().settleEnd);
        _works(stranger, _closeCall(0, 7));
        vm.assertEq(D % 7, 3);
        vm.assertEq(_ledger().claimable, D - 3);
        vm.assertEq(_ledger().free, 9 * uint256(BUDGET) + 3);
        _equation(project);
    }

    /// @dev A slot's pay is floored too, and what the fraction comes to is free again.
    function test_CloseRound_WhenTheShareOfASlotLeavesDust() public {
        ProjectTerms memory terms = _terms();
        (terms.slots, terms.stake) = (7, 2 * STAKE);
        project = _create(terms, terms.roundBudget);
        _join(project, 0, 7);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 2);
        vm.warp(_view().revealEnd);
        _works(stranger, _closeCall(0, 2));
        vm.assertEq(D % 7, 3);
        vm.assertEq(_ledger().claimable, 2 * (D / 7));
        vm.assertEq(_ledger().free, BUDGET - 2 * (D / 7));
        _equation(project);
    }

    function _voidWith(uint256 rows) private {
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, rows);
        vm.warp(_view().revealEnd);
        _assertPhase(project, round, Phase.Void);
    }
}
