// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {MemberRecord, Project} from "../storage/MarketStorage.sol";
import {Phase} from "../types/Types.sol";
import {RoundEnding} from "./RoundEnding.sol";
import {Round, RoundState} from "./RoundState.sol";

/// @title RoundClock: opening a round, its deadlines, and how it looks from outside
abstract contract RoundClock is RoundEnding, IRounds, ReentrancyGuardTransient {
    using RoundState for Round;
    using SafeCast for uint256;

    /// @dev keccak256 of the structure that a commitment hashes.
    bytes32 private constant COMMITMENT_TYPEHASH = keccak256(
        "CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round,"
        "address trainer,bytes32 update,bytes32 salt)"
    );

    /// @inheritdoc IRounds
    function openRound(uint256 project) external nonReentrant returns (uint32 round) {
        Project storage p = _project(project);
        if (p.ended) revert IProjects.ProjectIsOver(project);
        _closeNewestRound(project, p);
        round = p.newestRound + 1;
        if (round > p.rounds) revert AllRoundsRun(project, p.rounds);
        if (p.members < p.minTrainers) revert TooFewMembers(project, p.members, p.minTrainers);
        uint128 budget = p.roundBudget;
        if (p.ledger.free < budget) revert BudgetTooLow(project, p.ledger.free, budget);

        p.newestRound = round;
        p.ledger.free -= budget;
        p.ledger.held += budget;
        Round storage r = _round(project, round);
        _startClock(p, r);
        r.eligible = p.members < type(uint16).max ? uint16(p.members) : type(uint16).max;
        r.model = p.model;
        emit RoundOpened(
            project, round, budget, r.model, r.eligible, r.commitEnd, r.revealStart, r.revealEnd, r.settleEnd
        );
    }

    /// @inheritdoc IRounds
    function advance(uint256 project, uint32 round) external nonReentrant {
        Project storage p = _project(project);
        Round storage r = _round(project, round);
        Phase found = r.phaseAt(p.minTrainers, block.timestamp);
        bool moved;
        if (found == Phase.Commit) moved = _endCommitIfComplete(project, round, p, r);
        else if (found == Phase.Reveal) moved = _endRevealIfComplete(project, round, r);
        if (!moved) revert NothingToAdvance(project, round, found);
    }

    /// @inheritdoc IRounds
    function phaseOf(uint256 project, uint32 round) external view returns (Phase) {
        return _round(project, round).phaseAt(_project(project).minTrainers, block.timestamp);
    }

    /// @inheritdoc IRounds
    function roundOf(uint256 project, uint32 round) external view returns (RoundView memory v) {
        Project storage p = _project(project);
        Round storage r = _round(project, round);
        v.phase = r.phaseAt(p.minTrainers, block.timestamp);
        v.openedAt = r.openedAt;
        v.commitEnd = r.commitEnd;
        v.revealStart = r.revealStart;
        v.revealEnd = r.revealEnd;
        v.settleEnd = r.settleEnd;
        v.budget = r.openedAt == 0 ? 0 : p.roundBudget;
        v.eligible = r.eligible;
        v.batchCount = r.batchCount;
        v.selfCount = r.selfCount;
        v.admitted = r.admitted;
        v.refused = r.refused;
        v.closed = r.outcome != Phase.None;
        v.claimedBits = r.claimedBits;
        v.batchHash = r.batchHash;
        v.admittedHash = r.admittedHash;
        v.model = r.model;
        v.payoutRoot = r.payoutRoot;
    }

    /// @inheritdoc IRounds
    function commitmentOf(uint256 project, uint32 round, address trainer, bytes32 update, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(COMMITMENT_TYPEHASH, block.chainid, address(this), project, round, trainer, update, salt)
        );
    }

    /// @dev The round, if it is in `allowed` now; reverts otherwise.
    function _roundIn(uint256 project, uint32 round, Project storage p, Phase allowed)
        internal
        view
        returns (Round storage r)
    {
        r = _round(project, round);
        Phase found = r.phaseAt(p.minTrainers, block.timestamp);
        if (found != allowed) revert WrongPhase(project, round, found, allowed);
    }

    function _endCommitIfComplete(uint256 project, uint32 round, Project storage p, Round storage r)
        internal
        returns (bool)
    {
        if (!r.everyoneCommitted(p.slots)) return false;
        r.endCommitPhase();
        emit DeadlinesMoved(project, round, r.commitEnd, r.revealStart, r.revealEnd, r.settleEnd);
        return true;
    }

    function _endRevealIfComplete(uint256 project, uint32 round, Round storage r) internal returns (bool) {
        if (!r.everyoneRevealed()) return false;
        r.endRevealPhase();
        emit DeadlinesMoved(project, round, r.commitEnd, r.revealStart, r.revealEnd, r.settleEnd);
        return true;
    }

    /// @dev May commit in `round`: joined before it opened and, if the trainer has left, left after that.
    function _isEligible(MemberRecord storage m, uint32 round) internal view returns (bool) {
        return m.staked && m.joinedRound < round && (!m.left || m.leftRound >= round);
    }

    function _isAggregator(Project storage p, address account) internal view returns (bool) {
        uint256 count = p.aggregators.length;
        for (uint256 i; i < count; ++i) {
            if (p.aggregators[i] == account) return true;
        }
        return false;
    }

    function _startClock(Project storage p, Round storage r) private {
        uint256 time = block.timestamp;
        r.openedAt = time.toUint32();
        r.commitEnd = (time += p.commitWindow).toUint32();
        r.revealStart = (time += p.guardWindow).toUint32();
        r.revealEnd = (time += p.revealWindow).toUint32();
        r.settleEnd = (time += p.settleWindow).toUint32();
    }
}
