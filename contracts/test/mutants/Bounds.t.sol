// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../../src/interfaces/IProjects.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

/// @notice Amounts at the ends of their types meet a named error and no panic.
contract BoundsTest is MarketFixture {
    function test_DepositBond_RevertWhen_TheAmountWouldOverflowTheSum() public {
        uint256 project = _create(_terms(), 0);
        uint256 most = type(uint112).max / 2;
        vm.expectRevert(
            abi.encodeWithSelector(IProjects.AmountTooLarge.selector, type(uint256).max, most)
        );
        vm.prank(aggregator);
        market.depositBond(project, type(uint256).max);
    }
}
