// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IProjects} from "../interfaces/IProjects.sol";

/// @title Deposits: tokens that come in
library Deposits {
    using SafeERC20 for IERC20;

    /// @dev Takes exactly `amount` of `token` from `from`, or reverts: a token that takes a fee on transfer, or that
    /// says "done" without moving anything, must not enter the books.
    function pull(address token, address from, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(address(this));
        // slither-disable-next-line arbitrary-send-erc20 (every caller passes msg.sender)
        IERC20(token).safeTransferFrom(from, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert IProjects.DepositNotExact(amount, received);
    }
}
