// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {IBonds} from "../../src/interfaces/IBonds.sol";
import {Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Row} from "../support/Packed.sol";

contract OpeningTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(10);
    }

    // ---- openRound

    function test_OpenRound_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, abi.encodeCall(market.openRound, (7)), _unknown(7));
    }

    function test_OpenRound_RevertWhen_TheProjectIsOver() public {
        _accept(project, aggregator);
        _end();
        _reverts(stranger, _openCall(), _over());
    }

    function test_OpenRound_RevertWhen_TheRoundBeforeRuns() public {
        _bond(project, rival, BOND);
        round = _open(project);
        _accept(project, rival);
        _reverts(stranger, _openCall(), _running()); // Commit
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _reverts(stranger, _openCall(), _running()); // Guard
        vm.warp(_view().revealStart);
        _reverts(stranger, _openCall(), _running()); // Reveal
        _reveal(project, round, batch, 0, 8);
        _reverts(stranger, _openCall(), _running()); // Settle
    }

    function test_OpenRound_RevertWhen_AVoidRoundWithRowsIsNotClosed() public {
        _bond(project, rival, BOND);
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 2);
        vm.warp(_view().revealEnd);
        _accept(project, rival);
        _assertPhase(project, round, Phase.Void);
        _reverts(stranger, _openCall(), abi.encodeWithSelector(IRounds.RoundNotClosed.selector, project, round));
        _works(stranger, _closeCall(0, 2));
        _works(stranger, _openCall());
    }

    function test_OpenRound_RevertWhen_ADefaultedRoundIsNotClosed() public {
        _bond(project, rival, BOND);
        round = _toSettle(project, 8);
        vm.warp(_view().settleEnd);
        _accept(project, rival);
        _reverts(stranger, _openCall(), abi.encodeWithSelector(IRounds.RoundNotClosed.selector, project, round));
        _works(stranger, _closeCall(0, 8));
        _works(stranger, _openCall());
    }

    function test_OpenRound_RevertWhen_AllRoundsHaveRun() public {
        ProjectTerms memory terms = _terms();
        terms.rounds = 2;
        project = _create(terms, 10 * uint256(BUDGET));
        _join(project, 0, 8);
        _settledRound(project, 8);
        _settledRound(project, 8);
        _accept(project, aggregator);
        _reverts(stranger, _openCall(), abi.encodeWithSelector(IRounds.AllRoundsRun.selector, project, 2));
    }

    function test_OpenRound_RevertWhen_ThereAreTooFewMembers() public {
        project = _projectWith(2);
        _accept(project, aggregator);
        _reverts(stranger, _openCall(), abi.encodeWithSelector(IRounds.TooFewMembers.selector, project, 2, 3));
        vm.prank(trainers[1]);
        market.leave(project);
        _join(project, 2, 3);
        _reverts(stranger, _openCall(), abi.encodeWithSelector(IRounds.TooFewMembers.selector, project, 2, 3));
        _join(project, 3, 4);
        _works(stranger, _openCall());
    }

    function test_OpenRound_RevertWhen_TheEscrowIsTooLow() public {
        project = _create(_terms(), BUDGET - 1);
        _join(project, 0, 8);
        _accept(project, aggregator);
        bytes memory low = abi.encodeWithSelector(IRounds.BudgetTooLow.selector, project, BUDGET - 1, BUDGET);
        _reverts(stranger, _openCall(), low);
        vm.prank(owner);
        market.fund(project, 1);
        _works(stranger, _openCall());
        vm.assertEq(_ledger().free, 0);
    }

    function test_OpenRound_RevertWhen_NobodyAccepted() public {
        bytes memory none = abi.encodeWithSelector(IRounds.NotAccepted.selector, project, 1);
        _reverts(stranger, _openCall(), none);
        _accept(project, aggregator);
        vm.prank(aggregator);
        market.withdrawAcceptance(project, 1);
        _reverts(stranger, _openCall(), none);
    }

    function test_OpenRound_RevertWhen_TheAcceptanceIsOfTheRoundBefore() public {
        _settledRound(project, 8);
        _reverts(stranger, _openCall(), abi.encodeWithSelector(IRounds.NotAccepted.selector, project, 2));
    }

    function test_OpenRound_WhenEverythingIsReady() public {
        _accept(project, aggregator);
        vm.expectEmit(address(market));
        emit IRounds.RoundOpened(
            project,
            1,
            aggregator,
            _terms().initialModel,
            BUDGET,
            8,
            uint40(START),
            uint40(START + COMMIT),
            uint40(START + COMMIT + GUARD + REVEAL)
        );
        vm.prank(stranger);
        vm.assertEq(market.openRound(project), 1);
        round = 1;
        vm.assertEq(_ledger().held, BUDGET);
        vm.assertEq(_ledger().free, 9 * uint256(BUDGET));
        vm.assertEq(market.progressOf(project).round, 1);
        vm.assertEq(market.progressOf(project).acceptor, address(0), "the acceptance is used up");
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(uint256(r.phase), uint256(Phase.Commit));
        vm.assertEq(r.openedAt, START);
        vm.assertEq(r.budget, BUDGET);
        vm.assertEq(r.acceptor, aggregator);
        vm.assertEq(r.expected, 8, "ten members, eight slots");
        vm.assertEq(r.model, _terms().initialModel);
        vm.assertFalse(r.closed);
        _assertPhase(project, 2, Phase.None);
        _equation(project);
    }

    function test_OpenRound_WhenThereAreFewerMembersThanSlots() public {
        project = _projectWith(5);
        round = _open(project);
        vm.assertEq(_view().expected, 5);
    }

    function test_OpenRound_WhenTheRoundBeforeIsVoidWithoutRows() public {
        _bond(project, rival, BOND);
        round = _open(project);
        _commit(project, round, 0, 2); // one short of minTrainers
        vm.warp(_view().commitEnd);
        _accept(project, rival);
        vm.expectEmit(address(market));
        emit ISettlement.RoundVoided(project, 1, bytes27(0), 0, new uint32[](0));
        vm.expectEmit(address(market));
        emit IBonds.BondReleased(project, 1, aggregator, BOND);
        vm.assertEq(market.openRound(project), 2);
        vm.assertEq(_ledger().held, BUDGET);
        vm.assertEq(_ledger().free, 9 * uint256(BUDGET), "held -> free, and one more round");
        vm.assertTrue(_view().closed);
        _assertPhase(project, 1, Phase.Void);
        vm.assertEq(market.roundOf(project, 2).acceptor, rival);
        vm.assertEq(market.bondOf(project, aggregator).free, BOND);
        _equation(project);
    }

    /// @dev Nothing of the round before shows in the next one, although it uses the same words of storage.
    function test_OpenRound_WhenTheRoundBeforeLeftValues() public {
        _settledRound(project, 8);
        round = _open(project);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.batchHash, 0);
        vm.assertEq(r.admittedHash, 0);
        vm.assertEq(r.validation, 0);
        vm.assertEq(r.publicRows, 0);
        vm.assertEq(r.payoutRoot, bytes27(0));
        vm.assertFalse(r.batchPosted);
        vm.assertEq(uint256(r.batchCount) + r.selfCount + r.admitted + r.refused + r.unresolved, 0);
        vm.assertEq(uint256(r.batchBits) | r.resolvedBits, 0);
        vm.assertEq(r.model, keccak256(abi.encode("model", project, uint32(1))), "starts from the settled model");
    }

    function test_OpenRound_WhenItComesWithItsAcceptanceInOneTransaction() public {
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(market.accept, (project, 1));
        calls[1] = _openCall();
        vm.prank(aggregator);
        bytes[] memory results = market.multicall(calls);
        vm.assertEq(abi.decode(results[1], (uint32)), 1);
        _assertPhase(project, 1, Phase.Commit);
    }

    function _openCall() private view returns (bytes memory) {
        return abi.encodeCall(market.openRound, (project));
    }
}
