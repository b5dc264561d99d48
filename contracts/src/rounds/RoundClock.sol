// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IOpening} from "../interfaces/IOpening.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {ISettlement} from "../interfaces/ISettlement.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {Project} from "../storage/MarketStorage.sol";
import {RoundBase} from "./RoundBase.sol";
import {Header, Round, RoundState} from "./RoundState.sol";

/// @title RoundClock: opening a round
abstract contract RoundClock is RoundBase, IOpening, ReentrancyGuardTransient {
    using RoundState for Header;

    /// @inheritdoc IOpening
    function openRound(uint256 project) external nonReentrant returns (uint32 round) {
        Project storage p = _project(project);
        if (p.ended) revert IProjects.ProjectIsOver(project);
        Rules memory rules = TermsStore.read(p.rules);
        _closeNewestRound(project, p, rules);
        _keepUnresolved(project, p.newestRound, rules);
        round = p.newestRound + 1;
        _checkOpening(project, round, p, rules);
        _dropPendingModel(project, p);

        p.newestRound = round;
        p.free -= uint112(rules.roundBudget);
        _start(project, round, p, rules);
    }

    /// @dev Copies what rescue and slash need of the round that is about to be overwritten.
    function _keepUnresolved(uint256 project, uint32 round, Rules memory rules) private {
        Round storage r = _newestRound(project);
        Header memory h = RoundState.load(r);
        if (round == 0 || h.unresolved == 0 || !h.hadReveals(rules)) return;
        Round storage kept = _olderRound(project, round);
        RoundState.save(kept, h);
        kept.batchHash = r.batchHash;
    }

    function _checkOpening(uint256 project, uint32 round, Project storage p, Rules memory rules) private view {
        if (round > rules.rounds) revert IRounds.AllRoundsRun(project, rules.rounds);
        if (p.members < rules.minTrainers) revert IRounds.TooFewMembers(project, p.members, rules.minTrainers);
        if (p.free < rules.roundBudget) revert IRounds.BudgetTooLow(project, p.free, rules.roundBudget);
        if (p.acceptedRound != round) revert IRounds.NotAccepted(project, round);
    }

    /// @dev A model whose bytes nobody vouches for must not hold up the project for ever.
    function _dropPendingModel(uint256 project, Project storage p) private {
        bytes32 pending = p.pendingModel;
        if (pending == 0) return;
        // slither-disable-next-line timestamp (end of the time for receipts; a few seconds either way decide nothing)
        if (block.timestamp < p.pendingUntil) revert IRounds.ModelNotReceipted(project, pending, p.pendingUntil);
        p.pendingModel = 0;
        emit ISettlement.ModelDropped(project, pending);
    }

    function _start(uint256 project, uint32 round, Project storage p, Rules memory rules) private {
        Round storage r = _newestRound(project);
        // slither-disable-next-line uninitialized-local (a new round has nothing yet)
        Header memory h;
        h.openedAt = block.timestamp;
        h.commitEnd = block.timestamp + rules.commitWindow;
        h.revealEnd = h.commitEnd + rules.guardWindow + rules.revealWindow;
        h.expected = p.members < rules.slots ? p.members : rules.slots;
        RoundState.save(r, h);
        if (r.acceptor != p.acceptor) r.acceptor = p.acceptor;
        emit IRounds.RoundOpened(
            project,
            round,
            p.acceptor,
            p.model,
            rules.roundBudget,
            uint8(h.expected),
            uint40(h.openedAt),
            uint40(h.commitEnd),
            uint40(h.revealEnd)
        );
    }
}
