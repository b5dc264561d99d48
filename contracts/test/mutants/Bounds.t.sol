// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {Phase, ProjectTerms} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";
import {CommitLeaf} from "../support/Packed.sol";

/// @notice The largest values that are allowed work; beyond them there is a named error and no panic.
contract BoundsTest is MarketFixture {
    uint256 private constant MOST_BOND = type(uint112).max / 2;

    function test_Round_WhenItHas32Trainers() public {
        ProjectTerms memory terms = _terms();
        terms.slots = 32;
        uint256 project = _create(terms, BUDGET);
        _join(project, 0, 32);
        uint32 round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 32);
        vm.assertEq(market.roundOf(project, round).batchCount, 32);
        vm.warp(market.roundOf(project, round).revealStart);
        _reveal(project, round, batch, 0, 32);
        vm.assertEq(market.roundOf(project, round).admitted, 32);
        _settle(project, round, 32);
        _assertPhase(project, round, Phase.Final);
    }

    function test_DepositBond_WhenTheAmountIsTheLargest() public {
        uint256 project = _createWithoutBond();
        _give(token, aggregator, MOST_BOND);
        _bond(project, aggregator, MOST_BOND);
        vm.assertEq(market.bondOf(project, aggregator).free, MOST_BOND);
    }

    function test_DepositBond_RevertWhen_TheSumIsBeyondTheLargest() public {
        uint256 project = _createWithoutBond();
        _bond(project, aggregator, 1);
        _give(token, aggregator, MOST_BOND);
        vm.expectRevert(abi.encodeWithSelector(IProjects.AmountTooLarge.selector, MOST_BOND, MOST_BOND));
        vm.prank(aggregator);
        market.depositBond(project, MOST_BOND);
    }

    function test_DepositBond_RevertWhen_TheAmountWouldOverflowTheSum() public {
        uint256 project = _create(_terms(), 0);
        vm.expectRevert(abi.encodeWithSelector(IProjects.AmountTooLarge.selector, type(uint256).max, MOST_BOND));
        vm.prank(aggregator);
        market.depositBond(project, type(uint256).max);
    }

    function _createWithoutBond() private returns (uint256) {
        vm.prank(owner);
        return market.createProject(_terms(), 0);
    }
}
