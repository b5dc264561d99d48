// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IProjects} from "../interfaces/IProjects.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {MarketStorage, Project} from "../storage/MarketStorage.sol";
import {Phase} from "../types/Types.sol";
import {Round, RoundState} from "./RoundState.sol";

/// @title RoundEnding: what both halves of the market ask about the end of a round
abstract contract RoundEnding is MarketStorage {
    using RoundState for Round;

    /// @dev Makes sure that the newest round is over and its money moved, or reverts. A void round without a single row
    /// owes nobody anything, so it is closed on the way; every other round must have been settled or closed by a call
    /// that brings its rows. Returns the round's last deadline, or the creation time before the first round.
    function _closeNewestRound(uint256 project, Project storage p) internal returns (uint256 lastDeadline) {
        uint32 round = p.newestRound;
        if (round == 0) return p.createdAt;
        Round storage r = _round(project, round);
        if (r.outcome == Phase.None) {
            Phase found = r.phaseAt(p.minTrainers, block.timestamp);
            if (found < Phase.Final) revert IProjects.RoundStillRunning(project, round);
            if (found != Phase.Void || r.admitted != 0) revert IRounds.RoundNotClosed(project, round);
            _closeWithoutRows(project, round, p, r);
        }
        return r.settleEnd;
    }

    /// @dev held -> free, all of it. Only for a void round in which nobody was admitted.
    function _closeWithoutRows(uint256 project, uint32 round, Project storage p, Round storage r) internal {
        r.outcome = Phase.Void;
        p.ledger.held -= p.roundBudget;
        p.ledger.free += p.roundBudget;
        emit IRounds.RoundVoided(project, round, bytes32(0), 0);
    }

    /// @dev Whether nothing can happen in `round` any more but paying out. True for round 0.
    function _roundIsOver(uint256 project, Project storage p, uint32 round) internal view returns (bool) {
        return round == 0 || _round(project, round).phaseAt(p.minTrainers, block.timestamp) >= Phase.Final;
    }
}
