// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMembers} from "./IMembers.sol";
import {IPayouts} from "./IPayouts.sol";
import {IProjects} from "./IProjects.sol";
import {IRounds} from "./IRounds.sol";
import {IStanding} from "./IStanding.sol";

/// @title ICohortMarket: the whole market
interface ICohortMarket is IProjects, IMembers, IRounds, IPayouts, IStanding {
    /// @notice Pulls an EIP-2612 permit for the caller, then works in one `multicall` with createProject, fund or join.
    /// Never reverts on a permit that was already used (anyone may front-run it; the allowance is what counts).
    function selfPermit(address token, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
}
