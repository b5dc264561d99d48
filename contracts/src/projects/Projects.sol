// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {RoundBase} from "../rounds/RoundBase.sol";
import {Header, RoundState} from "../rounds/RoundState.sol";
import {StandingRule} from "../standing/StandingRule.sol";
import {Project} from "../storage/MarketStorage.sol";
import {Phase, ProjectTerms} from "../types/Types.sol";
import {Deposits} from "./Deposits.sol";
import {TermsCheck} from "./TermsCheck.sol";
import {Rules, TermsStore} from "./TermsCode.sol";

/// @title Projects: terms and escrow
abstract contract Projects is RoundBase, IProjects, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    uint256 private constant IDLE_SECONDS = 30 days;
    uint256 private constant MAX_AGGREGATORS = 16; // added ones included: bounds the search for one
    uint256 private constant BPS = 10_000;

    /// @inheritdoc IProjects
    function createProject(ProjectTerms calldata terms, uint256 deposit)
        external
        nonReentrant
        returns (uint256 project)
    {
        _checkCode("verifier", terms.verifier, terms.verifierCodeHash, _verifierAllowed[terms.verifierCodeHash]);
        _checkCode("policy", terms.policy, terms.policyCodeHash, _policyAllowed[terms.policyCodeHash]);
        uint256 protocolFee = uint256(terms.roundBudget) * _profile.protocolFeeBps / BPS;
        TermsCheck.check(terms, protocolFee, _profile.minimum);
        uint256 weight = _standingWeight(terms.token, protocolFee);

        Project storage p;
        (project, p) = _newProject();
        p.rules = TermsStore.write(_rulesOf(terms, protocolFee, weight), terms.witnesses);
        p.owner = msg.sender;
        p.createdAt = uint40(block.timestamp);
        p.model = terms.initialModel;
        p.aggregators = terms.aggregators;
        emit ProjectCreated(project, msg.sender, terms.token, terms, protocolFee, weight);
        if (deposit != 0) _deposit(project, p, terms.token, deposit);
    }

    /// @inheritdoc IProjects
    function fund(uint256 project, uint256 amount) external nonReentrant {
        Project storage p = _project(project);
        if (p.ended) revert ProjectIsOver(project);
        if (amount == 0) revert AmountIsZero();
        Rules memory rules = TermsStore.read(p.rules);
        _deposit(project, p, rules.token, amount);
    }

    /// @inheritdoc IProjects
    function addAggregator(uint256 project, address aggregator) external {
        Project storage p = _project(project);
        if (msg.sender != p.owner) revert NotOwner(project, msg.sender, p.owner);
        if (aggregator == address(0) || _isAggregator(p, aggregator)) revert AggregatorKnown(project, aggregator);
        if (p.aggregators.length >= MAX_AGGREGATORS) revert TooManyAggregators(project, MAX_AGGREGATORS);
        p.aggregators.push(aggregator);
        emit AggregatorAdded(project, aggregator);
    }

    /// @inheritdoc IProjects
    function endProject(uint256 project) external nonReentrant {
        Project storage p = _project(project);
        if (p.ended) revert ProjectIsOver(project);
        Rules memory rules = TermsStore.read(p.rules);
        uint256 lastDeadline = _closeNewestRound(project, p, rules);
        // slither-disable-next-line timestamp (30 idle days; a few seconds either way decide nothing)
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
        uint112 amount = p.free;
        if (amount == 0) revert NothingToRefund(project);
        p.free = 0;
        p.refunded += amount;
        emit ProjectRefunded(project, p.owner, amount);
        Rules memory rules = TermsStore.read(p.rules);
        IERC20(rules.token).safeTransfer(p.owner, amount);
    }

    /// @inheritdoc IProjects
    function collectProtocolFees(uint256 project) external nonReentrant {
        Project storage p = _project(project);
        Rules memory rules = TermsStore.read(p.rules);
        address recipient = _profile.feeRecipient;
        uint256 amount = p.settled * rules.protocolFee - p.protocolFeesPaid;
        if (amount == 0 || recipient == address(0)) revert AmountIsZero();
        p.protocolFeesPaid += uint112(amount); // at most what was deposited
        emit ProtocolFeesCollected(project, recipient, amount);
        IERC20(rules.token).safeTransfer(recipient, amount);
    }

    /// @inheritdoc IProjects
    function projectCount() external view returns (uint256) {
        return _projectCount;
    }

    /// @inheritdoc IProjects
    function feesOf(uint256 project) external view returns (uint256 protocolFee, uint256 standingWeight) {
        Rules memory rules = TermsStore.read(_project(project).rules);
        return (rules.protocolFee, rules.standingWeight);
    }

    /// @inheritdoc IProjects
    function ledgerOf(uint256 project) external view returns (Ledger memory ledger) {
        Project storage p = _project(project);
        Rules memory rules = TermsStore.read(p.rules);
        Header memory h = RoundState.load(_newestRound(project));
        ledger.deposited = p.deposited;
        ledger.free = p.free;
        ledger.held = h.openedAt != 0 && h.outcome == Phase.None ? rules.roundBudget : 0;
        ledger.claimable = p.claimable;
        ledger.fees = p.settled * (rules.aggregatorFee + rules.protocolFee);
        ledger.burned = p.burned;
        ledger.refunded = p.refunded;
        // Not stored: whatever was deposited and is nowhere else.
        ledger.claimed = ledger.deposited - ledger.free - ledger.held - ledger.claimable - ledger.fees - ledger.burned
            - ledger.refunded;
        ledger.stakes = p.stakes * rules.stake;
        for (uint256 i; i < p.aggregators.length; ++i) {
            ledger.bonds += uint256(_bonds[project][p.aggregators[i]].free) + _bonds[project][p.aggregators[i]].locked;
        }
        ledger.stakesBurned = p.slashedStakes * (rules.stake - rules.stake / REWARD_DIVISOR);
        ledger.bondsBurned = p.bondsBurned;
        ledger.protocolFees = p.settled * rules.protocolFee - p.protocolFeesPaid;
    }

    /// @inheritdoc IProjects
    function progressOf(uint256 project) external view returns (Progress memory progress) {
        Project storage p = _project(project);
        progress.round = p.newestRound;
        progress.members = p.members;
        progress.memberNumbers = p.memberNumbers;
        progress.ended = p.ended;
        progress.model = p.model;
        progress.pendingModel = p.pendingModel;
        progress.pendingUntil = p.pendingUntil;
        progress.acceptor = p.acceptedRound == p.newestRound + 1 ? p.acceptor : address(0);
        progress.owner = p.owner;
        progress.rules = p.rules;
    }

    /// @dev The code must be the one the owner saw, and one of those that this deployment was made for.
    function _checkCode(bytes32 what, address at, bytes32 pinned, bool allowed) private view {
        if (at.codehash != pinned || !allowed) revert CodeHashNotAllowed(what, at.codehash, pinned);
    }

    /// @dev Part of the full standing gain that this fee earns, in 1/65536; nothing in an unlisted token.
    function _standingWeight(address token, uint256 protocolFee) private view returns (uint256) {
        uint256 fullFee = _fullFee[token];
        if (fullFee == 0) return 0;
        if (protocolFee >= fullFee) return StandingRule.FULL_WEIGHT;
        return StandingRule.FULL_WEIGHT * protocolFee / fullFee;
    }

    function _deposit(uint256 project, Project storage p, address token, uint256 amount) private {
        uint256 most = type(uint112).max - p.deposited;
        if (amount > most) revert AmountTooLarge(amount, most);
        // Both fit: free never exceeds deposited.
        p.deposited += uint112(amount);
        p.free += uint112(amount);
        emit ProjectFunded(project, msg.sender, amount);
        Deposits.pull(token, msg.sender, amount);
    }

    function _rulesOf(ProjectTerms calldata terms, uint256 protocolFee, uint256 weight)
        private
        pure
        returns (Rules memory rules)
    {
        rules.token = terms.token;
        rules.verifier = terms.verifier;
        rules.policy = terms.policy;
        rules.verifierCodeHash = terms.verifierCodeHash;
        rules.policyCodeHash = terms.policyCodeHash;
        rules.specDigest = terms.specDigest;
        rules.policyHash = terms.policyHash;
        rules.initialModel = terms.initialModel;
        rules.validationRoot = terms.validationRoot;
        rules.accessRoot = terms.accessRoot;
        rules.roundBudget = terms.roundBudget;
        rules.aggregatorFee = terms.aggregatorFee;
        rules.protocolFee = protocolFee;
        rules.stake = terms.stake;
        rules.bond = terms.bond;
        rules.scoreFloor = terms.scoreFloor;
        rules.rounds = terms.rounds;
        rules.dimension = terms.dimension;
        rules.exponent = terms.exponent;
        rules.minReliability = terms.minReliability;
        rules.slots = terms.slots;
        rules.minTrainers = terms.minTrainers;
        rules.quorum = terms.quorum;
        rules.shareCap = terms.shareCap;
        rules.commitWindow = terms.windows.commit;
        rules.guardWindow = terms.windows.guard;
        rules.revealWindow = terms.windows.reveal;
        rules.rescueWindow = terms.windows.rescue;
        rules.settleWindow = terms.windows.settle;
        rules.takeoverWindow = terms.windows.takeover;
        rules.selfCommitWindow = terms.windows.selfCommit;
        rules.standingWeight = weight;
        rules.witnessCount = terms.witnesses.length;
    }
}
