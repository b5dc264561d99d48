// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ProjectTerms} from "../types/Types.sol";

/// @title Projects: creation, escrow, refund
/// @notice Per project, exactly: deposited = free + held + claimable + claimed + fees + burned + refunded.
interface IProjects {
    /// @notice The ledger of one project, in base units of its token. Every field but `free`, `held` and
    /// `claimable` only ever grows.
    struct Ledger {
        uint128 free; // slot 0: may open rounds, or go back to the owner once the project has ended
        uint128 held; // slot 0: set aside for the round that is running
        uint128 claimable; // slot 1: earned, not yet taken out
        uint128 claimed; // slot 1
        uint128 fees; // slot 2: credited to aggregators
        uint128 burned; // slot 2: undistributed pay; stays in the contract for ever, no call can move it
        uint128 deposited; // slot 3
        uint128 refunded; // slot 3
    }

    event ProjectCreated(uint256 indexed project, address indexed owner, address indexed token, ProjectTerms terms);
    event ProjectFunded(uint256 indexed project, address indexed from, uint256 amount);
    event ProjectEnded(uint256 indexed project);
    event ProjectRefunded(uint256 indexed project, address indexed owner, uint256 amount);

    error UnknownProject(uint256 project);
    error NotOwner(uint256 project, address caller, address owner);
    error TermsInvalid(bytes32 what, uint256 found, uint256 allowed);
    error AddressesNotIncreasing(bytes32 what, uint256 index);
    error ProjectIsOver(uint256 project);
    error ProjectNotOver(uint256 project);
    error NothingToRefund(uint256 project);
    error RoundStillRunning(uint256 project, uint256 round);
    error DepositNotExact(uint256 expected, uint256 received);
    error AmountTooLarge(uint256 amount);

    /// @notice Creates a project and deposits `deposit` (may be 0) from the caller, who becomes its owner.
    function createProject(ProjectTerms calldata terms, uint256 deposit) external returns (uint256 project);

    /// @notice Adds to the project's escrow. Anyone may.
    function fund(uint256 project, uint256 amount) external;

    /// @notice Ends the project: no round opens any more. Only between rounds. The owner at any time; anyone once
    /// nothing has happened for 30 days since the newest round's tF (since creation, before the first round).
    function endProject(uint256 project) external;

    /// @notice Sends the free escrow of an ended project back to its owner. Anyone may call.
    function refund(uint256 project) external;

    function projectCount() external view returns (uint256);

    function ownerOf(uint256 project) external view returns (address);

    function termsOf(uint256 project) external view returns (ProjectTerms memory);

    function ledgerOf(uint256 project) external view returns (Ledger memory);

    /// @notice Number of the newest round (0 before the first), the model that the next round starts from, and
    /// whether the project has ended.
    function progressOf(uint256 project) external view returns (uint32 round, bytes32 model, bool ended);
}
