// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {MarketScene} from "../support/MarketScene.sol";

contract BondsTest is MarketScene {
    function setUp() public override {
        super.setUp();
        vm.prank(owner);
        project = market.createProject(_terms(), 10 * uint256(BUDGET));
        _join(project, 0, 5);
    }

    // ---- depositBond

    function test_DepositBond_RevertWhen_TheProjectIsUnknown() public {
        _reverts(aggregator, abi.encodeCall(market.depositBond, (7, 1)), _unknown(7));
    }

    function test_DepositBond_RevertWhen_TheCallerIsNoAggregator() public {
        bytes memory none = abi.encodeWithSelector(IBonds.NotAggregator.selector, project, stranger);
        _reverts(stranger, _deposit(1), none);
    }

    function test_DepositBond_RevertWhen_TheAmountIsZero() public {
        _reverts(aggregator, _deposit(0), abi.encodeWithSelector(IProjects.AmountIsZero.selector));
    }

    function test_DepositBond_RevertWhen_TheAmountIsTooLarge() public {
        uint256 most = type(uint112).max / 2;
        token.mint(aggregator, type(uint120).max);
        _reverts(aggregator, _deposit(most + 1), _tooLarge(most + 1, most));
        _reverts(aggregator, _deposit(type(uint256).max), _tooLarge(type(uint256).max, most));
        _works(aggregator, _deposit(1));
        _reverts(aggregator, _deposit(most), _tooLarge(most, most));
        _works(aggregator, _deposit(most - 1));
        vm.assertEq(market.bondOf(project, aggregator).free, most);
    }

    function test_DepositBond_WhenItIsRight() public {
        uint256 before = token.balanceOf(aggregator);
        vm.expectEmit(address(market));
        emit IBonds.BondDeposited(project, aggregator, 7);
        vm.prank(aggregator);
        market.depositBond(project, 7);
        vm.assertEq(before - token.balanceOf(aggregator), 7);
        vm.assertEq(market.bondOf(project, aggregator).free, 7);
        vm.assertEq(market.bondOf(project, aggregator).locked, 0);
        vm.assertEq(_ledger().bonds, 7);
        vm.assertEq(_ledger().deposited, 10 * uint256(BUDGET), "stands beside the escrow");
    }

    // ---- withdrawBond

    function test_WithdrawBond_RevertWhen_TheProjectIsUnknown() public {
        _reverts(aggregator, abi.encodeCall(market.withdrawBond, (7, 1)), _unknown(7));
    }

    function test_WithdrawBond_RevertWhen_TheAmountIsZero() public {
        _reverts(aggregator, _withdraw(0), abi.encodeWithSelector(IProjects.AmountIsZero.selector));
    }

    function test_WithdrawBond_RevertWhen_ItIsMoreThanIsFree() public {
        _bond(project, aggregator, BOND);
        _reverts(aggregator, _withdraw(uint256(BOND) + 1), _tooLow(aggregator, BOND, uint256(BOND) + 1));
        _reverts(stranger, _withdraw(1), _tooLow(stranger, 0, 1));
    }

    function test_WithdrawBond_RevertWhen_ItIsLocked() public {
        _bond(project, aggregator, BOND);
        _accept(project, aggregator);
        _reverts(aggregator, _withdraw(1), _tooLow(aggregator, 0, 1));
    }

    function test_WithdrawBond_WhenItIsFree() public {
        _bond(project, aggregator, BOND);
        uint256 before = token.balanceOf(aggregator);
        vm.expectEmit(address(market));
        emit IBonds.BondWithdrawn(project, aggregator, BOND);
        vm.prank(aggregator);
        market.withdrawBond(project, BOND);
        vm.assertEq(token.balanceOf(aggregator) - before, BOND);
        vm.assertEq(_ledger().bonds, 0);
    }

    function test_WithdrawBond_WhenItHoldsEarnedFees() public {
        _bond(project, aggregator, BOND);
        round = _settledRound(project, 5);
        vm.assertEq(market.bondOf(project, aggregator).free, uint256(BOND) + FEE);
        _works(aggregator, _withdraw(uint256(BOND) + FEE));
        vm.assertEq(_ledger().fees, uint256(FEE) + PROTOCOL_FEE);
        _equation(project);
    }

    // ---- accept

    function test_Accept_RevertWhen_TheProjectIsUnknown() public {
        _reverts(aggregator, abi.encodeCall(market.accept, (7, 1)), _unknown(7));
    }

    function test_Accept_RevertWhen_TheProjectIsOver() public {
        _bond(project, aggregator, BOND);
        _end();
        _reverts(aggregator, _acceptCall(1), _over());
    }

    function test_Accept_RevertWhen_ItIsNotTheNextRound() public {
        _bond(project, aggregator, BOND);
        _reverts(aggregator, _acceptCall(2), abi.encodeWithSelector(IBonds.NotNextRound.selector, project, 2, 1));
        _reverts(aggregator, _acceptCall(0), abi.encodeWithSelector(IBonds.NotNextRound.selector, project, 0, 1));
    }

    function test_Accept_RevertWhen_TheCallerIsNoAggregator() public {
        bytes memory none = abi.encodeWithSelector(IBonds.NotAggregator.selector, project, stranger);
        _reverts(stranger, _acceptCall(1), none);
    }

    function test_Accept_RevertWhen_TheRoundIsTaken() public {
        _bond(project, aggregator, 2 * uint256(BOND));
        _bond(project, rival, BOND);
        _accept(project, aggregator);
        bytes memory taken = abi.encodeWithSelector(IBonds.RoundTaken.selector, project, 1, aggregator);
        _reverts(rival, _acceptCall(1), taken);
        _reverts(aggregator, _acceptCall(1), taken); // no second bond by mistake
    }

    function test_Accept_RevertWhen_TheBondIsTooLow() public {
        _bond(project, aggregator, BOND - 1);
        _reverts(aggregator, _acceptCall(1), _tooLow(aggregator, BOND - 1, BOND));
        _bond(project, aggregator, 1);
        _works(aggregator, _acceptCall(1));
    }

    function test_Accept_WhenTheBondIsFree() public {
        _bond(project, aggregator, uint256(BOND) + 5);
        vm.expectEmit(address(market));
        emit IBonds.RoundAccepted(project, 1, aggregator, BOND);
        vm.prank(aggregator);
        market.accept(project, 1);
        vm.assertEq(market.bondOf(project, aggregator).free, 5);
        vm.assertEq(market.bondOf(project, aggregator).locked, BOND);
        vm.assertEq(market.progressOf(project).acceptor, aggregator);
        vm.assertEq(_ledger().bonds, uint256(BOND) + 5);
    }

    /// @dev The next round can be accepted while this one runs, with a bond of its own.
    function test_Accept_WhenARoundRuns() public {
        _bond(project, aggregator, 2 * uint256(BOND));
        _open(project);
        vm.assertEq(market.progressOf(project).acceptor, address(0));
        _accept(project, aggregator);
        vm.assertEq(market.bondOf(project, aggregator).locked, 2 * uint256(BOND));
        vm.assertEq(market.progressOf(project).acceptor, aggregator);
    }

    function test_Accept_WhenTheAggregatorWasAddedLater() public {
        _give(token, stranger, BOND);
        vm.prank(owner);
        market.addAggregator(project, stranger);
        _bond(project, stranger, BOND);
        _works(stranger, _acceptCall(1));
    }

    // ---- withdrawAcceptance

    function test_WithdrawAcceptance_RevertWhen_TheProjectIsUnknown() public {
        _reverts(aggregator, abi.encodeCall(market.withdrawAcceptance, (7, 1)), _unknown(7));
    }

    function test_WithdrawAcceptance_RevertWhen_ItIsNotTheNextRound() public {
        _bond(project, aggregator, BOND);
        _open(project);
        bytes memory opened = abi.encodeWithSelector(IBonds.NotNextRound.selector, project, 1, 2);
        _reverts(aggregator, _takeBack(1), opened);
    }

    function test_WithdrawAcceptance_RevertWhen_TheCallerDidNotAccept() public {
        bytes memory nobody =
            abi.encodeWithSelector(IBonds.NotAcceptor.selector, project, 1, aggregator, address(0));
        _reverts(aggregator, _takeBack(1), nobody);
        _bond(project, aggregator, BOND);
        _accept(project, aggregator);
        bytes memory other = abi.encodeWithSelector(IBonds.NotAcceptor.selector, project, 1, rival, aggregator);
        _reverts(rival, _takeBack(1), other);
        _works(aggregator, _takeBack(1));
        _reverts(aggregator, _takeBack(1), nobody); // once
    }

    /// @dev An acceptance of an older round is no acceptance of the next one.
    function test_WithdrawAcceptance_RevertWhen_TheCallerAcceptedTheRoundBefore() public {
        _bond(project, aggregator, BOND);
        _open(project);
        bytes memory nobody =
            abi.encodeWithSelector(IBonds.NotAcceptor.selector, project, 2, aggregator, address(0));
        _reverts(aggregator, _takeBack(2), nobody);
    }

    function test_WithdrawAcceptance_WhenTheRoundHasNotOpened() public {
        _bond(project, aggregator, BOND);
        _accept(project, aggregator);
        vm.expectEmit(address(market));
        emit IBonds.AcceptanceWithdrawn(project, 1, aggregator);
        vm.expectEmit(address(market));
        emit IBonds.BondReleased(project, 1, aggregator, BOND);
        vm.prank(aggregator);
        market.withdrawAcceptance(project, 1);
        vm.assertEq(market.bondOf(project, aggregator).free, BOND);
        vm.assertEq(market.bondOf(project, aggregator).locked, 0);
        vm.assertEq(market.progressOf(project).acceptor, address(0));
        _bond(project, rival, BOND);
        _works(rival, _acceptCall(1));
    }

    function test_WithdrawAcceptance_WhenTheProjectIsOver() public {
        _bond(project, aggregator, BOND);
        _accept(project, aggregator);
        _end();
        _works(aggregator, _takeBack(1));
        _works(aggregator, _withdraw(BOND));
    }

    // ---- views

    function test_AggregatorsOf_WhenOneWasAdded() public {
        vm.prank(owner);
        market.addAggregator(project, stranger);
        address[] memory list = market.aggregatorsOf(project);
        vm.assertEq(list.length, 3);
        vm.assertEq(list[0], aggregator);
        vm.assertEq(list[1], rival);
        vm.assertEq(list[2], stranger);
    }

    function test_AggregatorsOf_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, abi.encodeCall(market.aggregatorsOf, (7)), _unknown(7));
    }

    function _deposit(uint256 amount) private view returns (bytes memory) {
        return abi.encodeCall(market.depositBond, (project, amount));
    }

    function _withdraw(uint256 amount) private view returns (bytes memory) {
        return abi.encodeCall(market.withdrawBond, (project, amount));
    }

    function _acceptCall(uint32 r) private view returns (bytes memory) {
        return abi.encodeCall(market.accept, (project, r));
    }

    function _takeBack(uint32 r) private view returns (bytes memory) {
        return abi.encodeCall(market.withdrawAcceptance, (project, r));
    }

    function _tooLow(address who, uint256 found, uint256 needed) private view returns (bytes memory) {
        return abi.encodeWithSelector(IBonds.BondTooLow.selector, project, who, found, needed);
    }

    function _tooLarge(uint256 amount, uint256 most) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IProjects.AmountTooLarge.selector, amount, most);
    }
}
