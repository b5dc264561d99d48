// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title TestToken: play money for a local chain
/// @notice Anyone can mint any amount: worthless by design. 18 decimals, EIP-2612 permit.
contract TestToken is ERC20, ERC20Permit {
    constructor() ERC20("Cohort Test Token", "COTEST") ERC20Permit("Cohort Test Token") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
