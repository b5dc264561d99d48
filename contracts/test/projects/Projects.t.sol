// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Phase, Profile} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";

contract ProjectsTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
    }

    // ---- createProject (its bounds are in Terms.t.sol)

    function test_CreateProject_WhenADepositComesAlong() public {
        uint256 before = token.balanceOf(owner);
        vm.expectEmit(address(market));
        emit IProjects.ProjectCreated(2, owner, address(token), _terms(), PROTOCOL_FEE, 65_536);
        vm.expectEmit(address(market));
        emit IProjects.ProjectFunded(2, owner, 777);
        vm.prank(owner);
        vm.assertEq(market.createProject(_terms(), 777), 2);
        vm.assertEq(market.projectCount(), 2);
        vm.assertEq(before - token.balanceOf(owner), 777);
        vm.assertEq(market.ledgerOf(2).free, 777);
        vm.assertEq(market.ledgerOf(2).deposited, 777);
        IProjects.Progress memory p = market.progressOf(2);
        vm.assertEq(p.owner, owner);
        vm.assertEq(p.round, 0);
        vm.assertEq(p.members, 0);
        vm.assertEq(p.memberNumbers, 0);
        vm.assertFalse(p.ended);
        vm.assertEq(p.model, _terms().initialModel);
        vm.assertEq(p.pendingModel, 0);
        vm.assertEq(p.acceptor, address(0));
        vm.assertTrue(p.rules.code.length > 1_000);
    }

    function test_CreateProject_WhenThereIsNoDeposit() public {
        vm.prank(stranger);
        uint256 p = market.createProject(_terms(), 0);
        vm.assertEq(market.ledgerOf(p).deposited, 0);
        vm.assertEq(market.progressOf(p).owner, stranger);
    }

    // ---- fund

    function test_Fund_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.fund, (9, 1)), _unknown(9));
        _reverts(owner, abi.encodeCall(market.fund, (0, 1)), _unknown(0));
    }

    function test_Fund_RevertWhen_TheProjectIsOver() public {
        _end();
        _reverts(owner, _fund(1), _over());
    }

    function test_Fund_RevertWhen_TheAmountIsZero() public {
        _reverts(owner, _fund(0), abi.encodeWithSelector(IProjects.AmountIsZero.selector));
    }

    function test_Fund_RevertWhen_DepositsWouldExceed112Bits() public {
        token.mint(owner, type(uint112).max);
        uint256 most = type(uint112).max - 10 * uint256(BUDGET);
        bytes memory large = abi.encodeWithSelector(IProjects.AmountTooLarge.selector, most + 1, most);
        _reverts(owner, _fund(most + 1), large);
        _works(owner, _fund(most));
        _reverts(owner, _fund(1), abi.encodeWithSelector(IProjects.AmountTooLarge.selector, 1, 0));
        vm.assertEq(_ledger().deposited, type(uint112).max);
    }

    function test_Fund_WhenAnybodyPays() public {
        _give(token, stranger, 50);
        vm.expectEmit(address(market));
        emit IProjects.ProjectFunded(project, stranger, 50);
        vm.prank(stranger);
        market.fund(project, 50);
        vm.assertEq(_ledger().free, 10 * uint256(BUDGET) + 50);
        _equation(project);
    }

    // ---- addAggregator

    function test_AddAggregator_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.addAggregator, (9, stranger)), _unknown(9));
    }

    function test_AddAggregator_RevertWhen_TheCallerIsNotTheOwner() public {
        bytes memory notOwner = abi.encodeWithSelector(IProjects.NotOwner.selector, project, aggregator, owner);
        _reverts(aggregator, abi.encodeCall(market.addAggregator, (project, stranger)), notOwner);
    }

    function test_AddAggregator_RevertWhen_ItIsKnown() public {
        bytes memory known = abi.encodeWithSelector(IProjects.AggregatorKnown.selector, project, rival);
        _reverts(owner, abi.encodeCall(market.addAggregator, (project, rival)), known);
        known = abi.encodeWithSelector(IProjects.AggregatorKnown.selector, project, address(0));
        _reverts(owner, abi.encodeCall(market.addAggregator, (project, address(0))), known);
    }

    function test_AddAggregator_RevertWhen_ThereAre16() public {
        for (uint160 i = 1; i <= 14; ++i) _works(owner, abi.encodeCall(market.addAggregator, (project, address(i))));
        bytes memory many = abi.encodeWithSelector(IProjects.TooManyAggregators.selector, project, 16);
        _reverts(owner, abi.encodeCall(market.addAggregator, (project, stranger)), many);
        vm.assertEq(market.aggregatorsOf(project).length, 16);
    }

    function test_AddAggregator_WhenTheOwnerCalls() public {
        vm.expectEmit(address(market));
        emit IProjects.AggregatorAdded(project, stranger);
        vm.prank(owner);
        market.addAggregator(project, stranger);
        vm.assertEq(market.termsOf(project).aggregators.length, 3);
        vm.assertEq(market.termsOf(project).aggregators[2], stranger);
    }

    // ---- endProject

    function test_EndProject_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.endProject, (9)), _unknown(9));
    }

    function test_EndProject_RevertWhen_ItIsOver() public {
        _end();
        _reverts(owner, _endCall(), _over());
    }

    function test_EndProject_RevertWhen_ARoundIsRunning() public {
        round = _open(project);
        _reverts(owner, _endCall(), _running());
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _reverts(owner, _endCall(), _running());
        vm.warp(_view().revealStart);
        _reverts(owner, _endCall(), _running());
        _reveal(project, round, batch, 0, 8);
        _reverts(owner, _endCall(), _running());
    }

    function test_EndProject_RevertWhen_ARoundIsNotClosed() public {
        round = _toSettle(project, 8);
        vm.warp(_view().settleEnd);
        _assertPhase(project, round, Phase.Defaulted);
        _reverts(owner, _endCall(), abi.encodeWithSelector(IRounds.RoundNotClosed.selector, project, round));
        _works(stranger, _closeCall(0, 8));
        _works(owner, _endCall());
    }

    /// @dev 30 days after the creation, or after the newest round's tF.
    function test_EndProject_RevertWhen_AStrangerCallsAndItIsNotIdle() public {
        bytes memory notOwner = abi.encodeWithSelector(IProjects.NotOwner.selector, project, stranger, owner);
        _tryAt(START + 30 days - 1, stranger, _endCall(), notOwner);
        _tryAt(START + 30 days, stranger, _endCall(), notOwner);
        _tryAt(START + 30 days + 1, stranger, _endCall(), "");
        vm.warp(START + 30 days);
        round = _open(project); // starts the 30 days again
        uint256 idle = _view().settleEnd + 30 days;
        _tryAt(idle, stranger, _endCall(), notOwner);
        _tryAt(idle + 1, stranger, _endCall(), "");
        vm.warp(_view().commitEnd);
        _closeEmpty();
        _tryAt(idle, stranger, _endCall(), notOwner);
        _tryAt(idle + 1, stranger, _endCall(), "");
    }

    function test_EndProject_WhenTheOwnerCalls() public {
        vm.expectEmit(address(market));
        emit IProjects.ProjectEnded(project);
        vm.prank(owner);
        market.endProject(project);
        vm.assertTrue(market.progressOf(project).ended);
    }

    function test_EndProject_WhenAVoidRoundHasNoRows() public {
        round = _open(project);
        vm.warp(_view().commitEnd);
        _end();
        vm.assertTrue(_view().closed);
        vm.assertEq(_ledger().held, 0);
        vm.assertEq(_ledger().free, 10 * uint256(BUDGET));
        vm.assertEq(market.bondOf(project, aggregator).free, BOND);
    }

    function test_EndProject_WhenNothingStartsAnyMore() public {
        _accept(project, aggregator);
        _end();
        _reverts(stranger, abi.encodeCall(market.openRound, (project)), _over());
        vm.prank(trainers[0]);
        market.leave(project);
        market.withdrawStake(project, trainers[0]);
    }

    // ---- refund

    function test_Refund_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.refund, (9)), _unknown(9));
    }

    function test_Refund_RevertWhen_TheProjectIsNotOver() public {
        bytes memory not = abi.encodeWithSelector(IProjects.ProjectNotOver.selector, project);
        _reverts(owner, abi.encodeCall(market.refund, (project)), not);
    }

    function test_Refund_RevertWhen_NothingIsFree() public {
        _end();
        market.refund(project);
        bytes memory nothing = abi.encodeWithSelector(IProjects.NothingToRefund.selector, project);
        _reverts(owner, abi.encodeCall(market.refund, (project)), nothing);
    }

    function test_Refund_WhenTheProjectIsOver() public {
        _end();
        uint256 before = token.balanceOf(owner);
        vm.expectEmit(address(market));
        emit IProjects.ProjectRefunded(project, owner, 10 * uint256(BUDGET));
        vm.prank(stranger);
        market.refund(project);
        vm.assertEq(token.balanceOf(owner) - before, 10 * uint256(BUDGET), "to the owner, whoever calls");
        vm.assertEq(_ledger().refunded, 10 * uint256(BUDGET));
        _equation(project);
    }

    function test_Refund_WhenTrainersHaveEarned() public {
        _settledRound(project, 8);
        _end();
        uint256 claimable = _ledger().claimable;
        market.refund(project);
        vm.assertEq(_ledger().claimable, claimable);
        uint256 others = claimable + FEE + PROTOCOL_FEE + BOND + 8 * uint256(STAKE);
        vm.assertEq(token.balanceOf(address(market)), others, "free escrow, and nothing else");
        _equation(project);
    }

    // ---- collectProtocolFees

    function test_CollectProtocolFees_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.collectProtocolFees, (9)), _unknown(9));
    }

    function test_CollectProtocolFees_RevertWhen_ThereIsNone() public {
        bytes memory none = abi.encodeWithSelector(IProjects.AmountIsZero.selector);
        _reverts(owner, abi.encodeCall(market.collectProtocolFees, (project)), none);
        _settledRound(project, 8);
        market.collectProtocolFees(project);
        _reverts(owner, abi.encodeCall(market.collectProtocolFees, (project)), none);
    }

    function test_CollectProtocolFees_RevertWhen_TheDeploymentHasNoRecipient() public {
        Profile memory p = _profile();
        p.feeRecipient = address(0);
        market = _deploy(p);
        _approveEverybody();
        project = _projectWith(8);
        _settledRound(project, 8);
        vm.assertEq(_ledger().protocolFees, PROTOCOL_FEE, "burned: stays here");
        bytes memory none = abi.encodeWithSelector(IProjects.AmountIsZero.selector);
        _reverts(owner, abi.encodeCall(market.collectProtocolFees, (project)), none);
    }

    function test_CollectProtocolFees_WhenRoundsWereSettled() public {
        _settledRound(project, 8);
        _settledRound(project, 8);
        vm.expectEmit(address(market));
        emit IProjects.ProtocolFeesCollected(project, treasury, 2 * uint256(PROTOCOL_FEE));
        vm.prank(stranger);
        market.collectProtocolFees(project);
        vm.assertEq(token.balanceOf(treasury), 2 * uint256(PROTOCOL_FEE));
        vm.assertEq(_ledger().protocolFees, 0);
        vm.assertEq(_ledger().fees, 2 * (uint256(FEE) + PROTOCOL_FEE), "what was earned is not forgotten");
        _settledRound(project, 8);
        market.collectProtocolFees(project);
        vm.assertEq(token.balanceOf(treasury), 3 * uint256(PROTOCOL_FEE));
        _equation(project);
    }

    // ---- views

    function test_Views_RevertWhen_TheProjectIsUnknown() public {
        _reverts(owner, abi.encodeCall(market.feesOf, (9)), _unknown(9));
        _reverts(owner, abi.encodeCall(market.ledgerOf, (9)), _unknown(9));
        _reverts(owner, abi.encodeCall(market.progressOf, (9)), _unknown(9));
        _reverts(owner, abi.encodeCall(market.termsOf, (9)), _unknown(9));
    }

    function test_FeesOf_WhenTheTokenIsListed() public view {
        (uint256 fee, uint256 weight) = market.feesOf(project);
        vm.assertEq(fee, PROTOCOL_FEE);
        vm.assertEq(weight, 65_536);
    }

    /// @dev Calls in one project leave another as it is, in the same token and with the same people.
    function test_Projects_WhenThereAreTwo() public {
        uint256 other = _projectWith(8);
        bytes memory ledger = abi.encode(market.ledgerOf(other));
        bytes memory progress = abi.encode(market.progressOf(other));
        _settledRound(project, 8);
        _bond(project, aggregator, BOND);
        round = _toSettle(project, 8);
        vm.warp(_view().settleEnd);
        _works(stranger, _closeCall(0, 8));
        _end();
        market.refund(project);
        market.collectProtocolFees(project);
        vm.prank(trainers[0]);
        market.leave(project);
        vm.assertEq(abi.encode(market.ledgerOf(other)), ledger);
        vm.assertEq(abi.encode(market.progressOf(other)), progress);
        vm.assertEq(market.bondOf(other, aggregator).free, BOND);
        _assertPhase(other, 1, Phase.None);
    }

    function _fund(uint256 amount) private view returns (bytes memory) {
        return abi.encodeCall(market.fund, (project, amount));
    }

    function _endCall() private view returns (bytes memory) {
        return abi.encodeCall(market.endProject, (project));
    }
}
