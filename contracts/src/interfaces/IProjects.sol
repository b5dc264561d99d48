// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ProjectTerms} from "../types/Types.sol";

/// @title Projects: creation, escrow, refund
/// @notice Per project, exactly: deposited = free + held + claimable + claimed + fees + burned + refunded.
/// Stakes and bonds are other people's money and stand beside it.
interface IProjects {
    /// @notice The money of one project, in base units of its token. `stakes`, `bonds`, `free`, `held` and `claimable` go
    /// up and down, everything else only ever grows.
    struct Ledger {
        uint256 deposited;
        uint256 free; // may open rounds, or go back to the owner once the project has ended
        uint256 held; // set aside for the round that is running
        uint256 claimable; // earned, not yet taken out
        uint256 claimed;
        uint256 fees; // earned by aggregators (now part of `bonds` or withdrawn) and by the protocol
        uint256 burned; // undistributed pay; stays in the contract for ever, no call can move it
        uint256 refunded;
        uint256 stakes; // of trainers
        uint256 bonds; // of aggregators, their fees included
        uint256 stakesBurned; // the burned part of slashed stakes
        uint256 bondsBurned;
        uint256 protocolFees; // part of `fees` that has not been collected; never is where nobody was made recipient
    }

    /// @notice How far a project has come.
    struct Progress {
        uint32 round; // newest, 0 before the first
        uint32 members; // who would be waited for in a round that opens now
        uint32 memberNumbers; // members are numbered from 1 to this
        bool ended;
        bytes32 model; // that the next round starts from
        bytes32 pendingModel; // waits for receipts; 0: none
        uint40 pendingUntil; // meaningful while a model is pending: from then on the next round may open without it
        address acceptor; // aggregator of the next round; 0: nobody has accepted it
        address owner;
        address rules; // where the terms are kept, as code
    }

    event ProjectCreated(
        uint256 indexed project,
        address indexed owner,
        address indexed token,
        ProjectTerms terms,
        uint256 protocolFee,
        uint256 standingWeight
    );
    event ProjectFunded(uint256 indexed project, address indexed from, uint256 amount);
    event AggregatorAdded(uint256 indexed project, address indexed aggregator);
    event ProjectEnded(uint256 indexed project);
    event ProjectRefunded(uint256 indexed project, address indexed owner, uint256 amount);
    event ProtocolFeesCollected(uint256 indexed project, address indexed recipient, uint256 amount);

    error UnknownProject(uint256 project);
    error NotOwner(uint256 project, address caller, address owner);
    error TermsInvalid(bytes32 what, uint256 found, uint256 allowed);
    error AddressesNotIncreasing(bytes32 what, uint256 index);
    error CodeHashNotAllowed(bytes32 what, bytes32 found, bytes32 pinned);
    error ProjectIsOver(uint256 project);
    error ProjectNotOver(uint256 project);
    error NothingToRefund(uint256 project);
    error RoundStillRunning(uint256 project, uint256 round);
    error DepositNotExact(uint256 expected, uint256 received);
    error AmountTooLarge(uint256 amount, uint256 most);
    error AmountIsZero();
    error AggregatorKnown(uint256 project, address aggregator);
    error TooManyAggregators(uint256 project, uint256 most);

    /// @notice Creates a project and deposits `deposit` (may be 0) from the caller, who becomes its owner.
    function createProject(ProjectTerms calldata terms, uint256 deposit) external returns (uint256 project);

    /// @notice Adds to the project's escrow. Anyone may.
    function fund(uint256 project, uint256 amount) external;

    /// @notice Lets one more aggregator accept later rounds. Owner only; nobody can be removed, so that an owner cannot
    /// choose who settles a round after having seen it.
    function addAggregator(uint256 project, address aggregator) external;

    /// @notice Ends the project: no round opens any more. Only between rounds. The owner at any time; anyone once
    /// nothing has happened for 30 days since the newest round's tF (since creation, before the first round).
    function endProject(uint256 project) external;

    /// @notice Sends the free escrow of an ended project back to its owner. Anyone may call.
    function refund(uint256 project) external;

    /// @notice Sends the protocol's fees of this project to the recipient that the deployment fixed. Anyone may call.
    function collectProtocolFees(uint256 project) external;

    function projectCount() external view returns (uint256);

    /// @notice The protocol's fee per settled round (base units), and the part of the full standing gain that this
    /// project's fee earns, in 1/65536.
    function feesOf(uint256 project) external view returns (uint256 protocolFee, uint256 standingWeight);

    function ledgerOf(uint256 project) external view returns (Ledger memory);

    function progressOf(uint256 project) external view returns (Progress memory);
}
