// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Profile} from "../types/Types.sol";
import {IBonds} from "./IBonds.sol";
import {IMembers} from "./IMembers.sol";
import {IOpening} from "./IOpening.sol";
import {IPayouts} from "./IPayouts.sol";
import {IProjects} from "./IProjects.sol";
import {IResolution} from "./IResolution.sol";
import {IRoundViews} from "./IRoundViews.sol";
import {IRounds} from "./IRounds.sol";
import {ISettlement} from "./ISettlement.sol";
import {IStanding} from "./IStanding.sol";
import {ITerms} from "./ITerms.sol";

/// @title ICohortMarket: the whole market
interface ICohortMarket is
    IProjects,
    ITerms,
    IMembers,
    IBonds,
    IOpening,
    IRounds,
    IRoundViews,
    IResolution,
    ISettlement,
    IPayouts,
    IStanding
{
    error PartMissing(address part);
    error WindowTooShort(bytes32 what, uint256 found, uint256 least);

    /// @notice Uses an EIP-2612 permit of the caller, then works in one `multicall` with createProject, fund, join, ...
    /// Never reverts on a permit that was already used (anyone may front-run it; the allowance is what counts).
    function selfPermit(address token, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice Several calls of the market in one transaction: all of them or none.
    function multicall(bytes[] calldata data) external returns (bytes[] memory results);

    /// @notice The contracts whose code this address runs besides its own: resolution, settlement, projects,
    /// accounts.
    function parts() external view returns (address, address, address, address);

    /// @notice What this deployment fixes for all projects.
    function profile() external view returns (Profile memory);
}
