// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {RoundEnding} from "../rounds/RoundEnding.sol";
import {Project} from "../storage/MarketStorage.sol";
import {ProjectTerms, Windows} from "../types/Types.sol";
import {TermsCheck} from "./TermsCheck.sol";

/// @title Projects: terms and escrow
abstract contract Projects is RoundEnding, IProjects, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 private constant IDLE_SECONDS = 30 days;

    /// @inheritdoc IProjects
    function createProject(ProjectTerms calldata terms, uint256 deposit)
        external
        nonReentrant
        returns (uint256 project)
    {
        TermsCheck.check(terms);
        Project storage p;
        (project, p) = _newProject();
        p.owner = msg.sender;
        p.createdAt = uint32(block.timestamp); // wraps in 2106: only the idle rule of endProject reads it
        _storeTerms(p, terms);
        emit ProjectCreated(project, msg.sender, terms.token, terms);
        if (deposit != 0) _deposit(project, p, deposit);
    }

    /// @inheritdoc IProjects
    function fund(uint256 project, uint256 amount) external nonReentrant {
        Project storage p = _project(project);
        if (p.ended) revert ProjectIsOver(project);
        _deposit(project, p, amount);
    }

    /// @inheritdoc IProjects
    function endProject(uint256 project) external nonReentrant {
        Project storage p = _project(project);
        if (p.ended) revert ProjectIsOver(project);
        uint256 lastDeadline = _closeNewestRound(project, p);
        if (msg.sender != p.owner && block.timestamp <= lastDeadline + IDLE_SECONDS) {
            revert NotOwner(project, msg.sender, p.owner);
        }
        p.ended = true;
        emit ProjectEnded(project);
    }

    /// @inheritdoc IProjects
    function refund(uint256 project) external nonReentrant {
        Project storage p = _project(project);
        if (!p.ended) revert ProjectNotOver(project);
        uint128 amount = p.ledger.free;
        if (amount == 0) revert NothingToRefund(project);
        p.ledger.free = 0;
        p.ledger.refunded += amount;
        emit ProjectRefunded(project, p.owner, amount);
        IERC20(p.token).safeTransfer(p.owner, amount);
    }

    /// @inheritdoc IProjects
    function projectCount() external view returns (uint256) {
        return _projectCount;
    }

    /// @inheritdoc IProjects
    function ownerOf(uint256 project) external view returns (address) {
        return _project(project).owner;
    }

    /// @inheritdoc IProjects
    function termsOf(uint256 project) external view returns (ProjectTerms memory terms) {
        Project storage p = _project(project);
        terms.token = p.token;
        terms.verifier = p.verifier;
        terms.specDigest = p.specDigest;
        terms.policyHash = p.policyHash;
        terms.initialModel = p.initialModel;
        terms.roundBudget = p.roundBudget;
        terms.aggregatorFee = p.aggregatorFee;
        terms.stake = p.stake;
        terms.scoreFloor = p.scoreFloor;
        terms.rounds = p.rounds;
        terms.dimension = p.dimension;
        terms.slots = p.slots;
        terms.minTrainers = p.minTrainers;
        terms.quorum = p.quorum;
        terms.shareCap = p.shareCap;
        terms.windows = Windows(p.commitWindow, p.guardWindow, p.revealWindow, p.settleWindow);
        terms.witnesses = p.witnesses;
        terms.aggregators = p.aggregators;
    }

    /// @inheritdoc IProjects
    function ledgerOf(uint256 project) external view returns (Ledger memory) {
        return _project(project).ledger;
    }

    /// @inheritdoc IProjects
    function progressOf(uint256 project) external view returns (uint32 round, bytes32 model, bool ended) {
        Project storage p = _project(project);
        return (p.newestRound, p.model, p.ended);
    }

    /// @dev Takes exactly `amount` of `token` from `from`, or reverts: a token that takes a fee on transfer, or that
    /// says "done" without moving anything, must not enter the books.
    function _pull(address token, address from, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(from, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - before;
        if (received != amount) revert DepositNotExact(amount, received);
    }

    function _deposit(uint256 project, Project storage p, uint256 amount) private {
        uint256 total = p.ledger.deposited + amount;
        if (total > type(uint128).max) revert AmountTooLarge(amount);
        // Both fit: free never exceeds deposited.
        p.ledger.deposited = uint128(total);
        p.ledger.free += uint128(amount);
        emit ProjectFunded(project, msg.sender, amount);
        _pull(p.token, msg.sender, amount);
    }

    function _storeTerms(Project storage p, ProjectTerms calldata terms) private {
        p.token = terms.token;
        p.rounds = terms.rounds;
        p.dimension = terms.dimension;
        p.verifier = terms.verifier;
        p.scoreFloor = terms.scoreFloor;
        p.slots = terms.slots;
        p.minTrainers = terms.minTrainers;
        p.quorum = terms.quorum;
        p.shareCap = terms.shareCap;
        p.roundBudget = terms.roundBudget;
        p.aggregatorFee = terms.aggregatorFee;
        p.stake = terms.stake;
        p.commitWindow = terms.windows.commit;
        p.guardWindow = terms.windows.guard;
        p.revealWindow = terms.windows.reveal;
        p.settleWindow = terms.windows.settle;
        p.model = terms.initialModel;
        p.initialModel = terms.initialModel;
        p.policyHash = terms.policyHash;
        p.specDigest = terms.specDigest;
        p.witnesses = terms.witnesses;
        p.aggregators = terms.aggregators;
    }
}
