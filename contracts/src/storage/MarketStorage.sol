// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../interfaces/IProjects.sol";
import {IStanding} from "../interfaces/IStanding.sol";
import {Round} from "../rounds/RoundState.sol";

/// @notice Terms of a project, packed by what is read together, and the little that changes.
struct Project {
    // slot 0: what changes
    address owner; // 160 bits; zero: no such project
    uint32 newestRound; // 32; 0 before the first
    uint32 members; // 32; joined and not left
    bool ended; // 8
    // slot 1
    address token; // 160
    uint32 createdAt; // 32; unix seconds
    uint32 rounds; // 32
    uint32 dimension; // 32
    // slot 2: read by every settlement
    address verifier; // 160
    uint64 scoreFloor; // 64
    uint8 slots; // 8
    uint8 minTrainers; // 8
    uint8 quorum; // 8
    uint8 shareCap; // 8
    // slot 3: base units
    uint128 roundBudget; // 128
    uint128 aggregatorFee; // 128
    // slot 4: base units; seconds
    uint128 stake; // 128
    uint32 commitWindow; // 32
    uint32 guardWindow; // 32
    uint32 revealWindow; // 32
    uint32 settleWindow; // 32
    // slots 5 - 8
    bytes32 model; // that the next round starts from
    bytes32 policyHash;
    bytes32 specDigest;
    bytes32 initialModel;
    // slots 9 - 12
    IProjects.Ledger ledger;
    // slots 13, 14
    address[] witnesses;
    address[] aggregators;
}

/// @notice A trainer in one project. One slot: rounds run one after another, so one number per kind of act is enough
/// to know what a trainer did in the running round, at the price of a warm write instead of a new slot per round.
struct MemberRecord {
    uint32 joinedRound; // 32 bits; newest round when joining
    uint32 leftRound; // 32; newest round when leaving
    uint32 batchRound; // 32; last round with a batch leaf of this trainer
    uint32 selfRound; // 32; last round with a self-posted commitment
    uint32 revealRound; // 32; last round with a reveal that was admitted or refused
    uint8 revealState; // 8; of revealRound: 1 admitted, 2 refused
    bool staked; // 8; the contract holds this trainer's stake
    bool left; // 8; no longer takes part, stake still here
}

/// @title MarketStorage: every variable of the market
/// @notice Declared once and inherited first by both halves of the market's code (CohortMarket and MarketRounds), which
/// run on the same storage. No other contract of the market declares a state variable.
abstract contract MarketStorage {
    uint256 internal _projectCount;
    mapping(uint256 project => Project) private _projects;
    mapping(uint256 project => mapping(address trainer => MemberRecord)) private _members;
    mapping(uint256 project => mapping(uint32 round => Round)) private _rounds;
    /// @dev Self-posted commitments; valid for MemberRecord.selfRound.
    mapping(uint256 project => mapping(address trainer => bytes32)) internal _selfCommits;
    mapping(address token => mapping(address aggregator => uint256)) internal _fees;
    /// @dev 16 + 16 + 32 + 32 bits: one slot.
    mapping(address trainer => IStanding.Standing) internal _standings;

    function _newProject() internal returns (uint256 project, Project storage p) {
        project = ++_projectCount;
        p = _projects[project];
    }

    function _project(uint256 project) internal view returns (Project storage p) {
        p = _projects[project];
        if (p.owner == address(0)) revert IProjects.UnknownProject(project);
    }

    function _member(uint256 project, address trainer) internal view returns (MemberRecord storage) {
        return _members[project][trainer];
    }

    function _round(uint256 project, uint32 round) internal view returns (Round storage) {
        return _rounds[project][round];
    }
}
