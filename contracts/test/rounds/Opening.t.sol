// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract OpeningTest is MarketFixture {
    function test_AnyoneOpensAndTheBudgetIsSetAside() public {
        uint256 project = _projectWith(8);
        vm.expectEmit(address(market));
        emit IRounds.RoundOpened(
            project,
            1,
            BUDGET,
            _terms().initialModel,
            8,
            uint64(START + COMMIT),
            uint64(START + COMMIT + GUARD),
            uint64(START + COMMIT + GUARD + REVEAL),
            uint64(START + COMMIT + GUARD + REVEAL + SETTLE)
        );
        vm.prank(stranger);
        vm.assertEq(market.openRound(project), 1);
        vm.assertEq(market.ledgerOf(project).held, BUDGET);
        vm.assertEq(market.ledgerOf(project).free, 9 * uint256(BUDGET));
        IRounds.RoundView memory r = market.roundOf(project, 1);
        vm.assertEq(uint256(r.phase), uint256(Phase.Commit));
        vm.assertEq(r.openedAt, START);
        vm.assertEq(r.budget, BUDGET);
        vm.assertEq(r.eligible, 8);
        vm.assertEq(r.model, _terms().initialModel);
        vm.assertFalse(r.closed);
        _assertPhase(project, 2, Phase.None);
    }

    function test_NeedsTheWholeBudget() public {
        uint256 project = _create(_terms(), BUDGET - 1);
        _join(project, 0, 8);
        vm.expectRevert(abi.encodeWithSelector(IRounds.BudgetTooLow.selector, project, BUDGET - 1, BUDGET));
        market.openRound(project);
        vm.prank(owner);
        market.fund(project, 1);
        market.openRound(project);
        vm.assertEq(market.ledgerOf(project).free, 0);
    }

    function test_NeedsMinTrainers() public {
        uint256 project = _projectWith(2);
        vm.expectRevert(abi.encodeWithSelector(IRounds.TooFewMembers.selector, project, 2, 3));
        market.openRound(project);
        _join(project, 2, 3);
        market.openRound(project);
    }

    function test_OneRoundAtATime() public {
        uint256 project = _projectWith(8);
        uint32 round = market.openRound(project);
        bytes memory running = abi.encodeWithSelector(IProjects.RoundStillRunning.selector, project, round);
        vm.expectRevert(running);
        market.openRound(project);
        _commit(project, round, 0, 8);
        vm.expectRevert(running);
        market.openRound(project);
    }

    function test_AVoidRoundWithRowsMustBeClosedFirst() public {
        uint256 project = _projectWith(8);
        uint32 round = market.openRound(project);
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.warp(START);
        _toVoid(project, round, r);
        vm.expectRevert(abi.encodeWithSelector(IRounds.RoundNotClosed.selector, project, round));
        market.openRound(project);
        market.closeRound(project, round, _rows(project, round, 0, 2));
        vm.assertEq(market.openRound(project), 2);
    }

    function test_AVoidRoundWithoutRowsIsClosedOnTheWay() public {
        uint256 project = _projectWith(8);
        uint32 round = market.openRound(project);
        _commit(project, round, 0, 2); // one short of minTrainers
        vm.warp(market.roundOf(project, round).commitEnd);
        _assertPhase(project, round, Phase.Void);
        vm.expectEmit(address(market));
        emit IRounds.RoundVoided(project, round, 0, 0);
        vm.assertEq(market.openRound(project), 2);
        vm.assertEq(market.ledgerOf(project).held, BUDGET);
        vm.assertEq(market.ledgerOf(project).free, 9 * uint256(BUDGET));
        vm.assertTrue(market.roundOf(project, round).closed);
        _assertPhase(project, round, Phase.Void);
        _equation(project);
    }

    function test_AtMostTheRoundsOfTheTerms() public {
        ProjectTerms memory terms = _terms();
        terms.rounds = 2;
        uint256 project = _create(terms, 10 * uint256(BUDGET));
        _join(project, 0, 8);
        _settledRound(project, 8);
        _settledRound(project, 8);
        vm.expectRevert(abi.encodeWithSelector(IRounds.AllRoundsRun.selector, project, 2));
        market.openRound(project);
    }

    function test_TheNextRoundStartsFromTheSettledModel() public {
        uint256 project = _projectWith(8);
        uint32 round = _settledRound(project, 8);
        bytes32 model = keccak256(abi.encode("model", project, round));
        (, bytes32 current,) = market.progressOf(project);
        vm.assertEq(current, model);
        market.openRound(project);
        vm.assertEq(market.roundOf(project, 2).model, model);
        vm.assertEq(market.roundOf(project, 1).model, _terms().initialModel);
    }

    function test_NoRoundAfter2106() public {
        uint256 project = _projectWith(8);
        vm.warp(uint256(type(uint32).max) - COMMIT);
        vm.expectRevert();
        market.openRound(project);
        vm.prank(owner);
        market.endProject(project);
        market.refund(project);
    }

    function _toVoid(uint256 project, uint32 round, IRounds.RoundView memory r) private {
        _commit(project, round, 0, 7);
        vm.warp(r.revealStart);
        _reveal(project, round, _leaves(project, round, 0, 7), 0, 2);
        vm.warp(r.revealEnd);
        _assertPhase(project, round, Phase.Void);
    }
}
