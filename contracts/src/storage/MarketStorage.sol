// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../interfaces/IBonds.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {Round} from "../rounds/RoundState.sol";
import {Phase, Profile} from "../types/Types.sol";

/// @notice One project: what changes. Its terms never do and are kept as code, see TermsCode.
/// Amounts are base units of the project's token, below 2^112.
struct Project {
    // slot 0: read by almost every call
    address rules; // 160 bits; code that holds the terms; zero: no such project
    uint32 newestRound; // 32; 0 before the first
    uint32 members; // 32; joined, staked, not left
    bool ended; // 8
    // slot 1: changes in every settlement
    uint112 free; // 112; may open rounds, or go back to the owner once the project has ended
    uint112 claimable; // 112; earned by rows, and not claimed yet
    uint32 settled; // 32; rounds that were settled: what the fees add up to follows from it
    // slot 2
    address owner; // 160
    uint40 createdAt; // 40; unix seconds
    uint32 memberNumbers; // 32; numbers given so far
    // slot 3
    uint112 deposited; // 112
    uint112 refunded; // 112
    uint32 stakes; // 32; stakes that are held
    // slot 4
    uint112 burned; // 112; undistributed pay and unearned fees; stays in the contract for ever
    uint112 bondsBurned; // 112
    uint32 slashedStakes; // 32
    // slot 5
    uint112 protocolFeesPaid; // 112
    // slots 6, 7
    bytes32 model; // that the next round starts from
    bytes32 pendingModel; // left by the newest settlement, waits for receipts; 0: none
    // slot 8
    address acceptor; // 160; of the round that opens next
    uint32 acceptedRound; // 32; the acceptance is for this round
    uint40 pendingUntil; // 40; unix seconds; from then on a round may open without the pending model
    // slot 9
    address[] aggregators;
}

/// @notice How a round ended. One slot, written once.
struct Ending {
    bytes27 payoutRoot; // 216 bits; zero: no row
    Phase outcome; // 8; Final, Void or Defaulted. A closed round without rows leaves None here and is Void
}

/// @notice A trainer in one project.
struct MemberRecord {
    // slot 0: read for every leaf of a batch, see MemberHead
    address trainer; // 160
    uint32 joinedRound; // 32; newest round when joining
    uint40 unlockAt; // 40; 0, or: has left, and the stake is free from then on (unix seconds)
    bool staked; // 8
    bool joined; // 8; and has not left
    bool delegated; // 8; slot 1 is worth reading
    // slot 1
    address delegate; // 160
}

/// @title MarketStorage: every variable of the market
/// @notice Declared once and inherited first by all parts of the market's code (CohortMarket and the Market*
/// contracts beside it), which run on the same storage. No other contract of the market declares a state variable.
abstract contract MarketStorage {
    uint256 internal _projectCount;
    mapping(uint256 project => Project) private _projects;
    mapping(uint256 project => mapping(uint256 number => MemberRecord)) private _members;
    mapping(uint256 project => mapping(address trainer => uint32)) internal _memberNumbers;
    /// @dev The newest round of each project. Overwritten by the next one, which makes a round cheap.
    mapping(uint256 project => Round) private _newest;
    /// @dev Older rounds in which commitments were unresolved when the next one opened: to rescue or slash them.
    mapping(uint256 project => mapping(uint32 round => Round)) private _older;
    mapping(uint256 project => mapping(uint32 round => Ending)) private _endings;
    /// @dev Bit r % 256 of word r / 256: what the member earned in round r has been paid out. One slot for 256 rounds, so that a
    /// claim on many rounds writes once.
    // slither-disable-next-line uninitialized-state (written by Payouts, through a reference to one member's words)
    mapping(uint256 project => mapping(uint256 member => mapping(uint256 word => uint256))) internal _claimedRounds;
    /// @dev The newest commitment that each trainer posted itself, see SelfCommits.
    mapping(uint256 project => mapping(uint256 member => uint256)) internal _selfCommits;
    /// @dev Older ones that were unresolved when the next one was posted: to rescue or slash them.
    mapping(uint256 project => mapping(uint256 round => mapping(uint256 member => uint256))) internal _olderSelfCommits;
    mapping(uint256 project => mapping(address aggregator => IBonds.Bond)) internal _bonds;
    /// @dev Four records of 64 bits to a slot, see RecordCell.
    mapping(uint256 project => mapping(uint256 cell => uint256)) internal _records;
    // slither-disable-next-line uninitialized-state (written by Deployment or StandingBook in another part of the same market)
    mapping(address trainer => uint256) internal _losses;
    // slither-disable-next-line uninitialized-state (written by Deployment or StandingBook in another part of the same market)
    mapping(address trainer => mapping(address owner => uint256)) internal _lossesThrough;
    /// @dev What the deployment fixed: written by the constructor alone.
    // slither-disable-next-line uninitialized-state (written by Deployment or StandingBook in another part of the same market)
    Profile internal _profile;
    // slither-disable-next-line uninitialized-state (written by Deployment or StandingBook in another part of the same market)
    mapping(bytes32 codeHash => bool) internal _verifierAllowed;
    // slither-disable-next-line uninitialized-state (written by Deployment or StandingBook in another part of the same market)
    mapping(bytes32 codeHash => bool) internal _policyAllowed;
    // slither-disable-next-line uninitialized-state (written by Deployment or StandingBook in another part of the same market)
    mapping(address token => uint112) internal _fullFee;

    function _newProject() internal returns (uint256 project, Project storage p) {
        project = ++_projectCount;
        p = _projects[project];
    }

    function _project(uint256 project) internal view returns (Project storage p) {
        p = _projects[project];
        if (p.rules == address(0)) revert IProjects.UnknownProject(project);
    }

    function _member(uint256 project, uint256 number) internal view returns (MemberRecord storage) {
        return _members[project][number];
    }

    function _membersOf(uint256 project) internal view returns (mapping(uint256 => MemberRecord) storage) {
        return _members[project];
    }

    function _newestRound(uint256 project) internal view returns (Round storage) {
        return _newest[project];
    }

    function _olderRound(uint256 project, uint32 round) internal view returns (Round storage) {
        return _older[project][round];
    }

    function _ending(uint256 project, uint32 round) internal view returns (Ending storage) {
        return _endings[project][round];
    }

    function _endingsOf(uint256 project) internal view returns (mapping(uint32 => Ending) storage) {
        return _endings[project];
    }
}
