// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICohortMarket} from "../../../src/interfaces/ICohortMarket.sol";
import {Phase} from "../../../src/types/Types.sol";
import {Did, World} from "../World.sol";

/// @notice What owners do: escrow in and out.
abstract contract Owners is World {
    uint256 private constant MOST_PROJECTS = 4;
    uint256 private constant MOST_FUNDING = 3;

    function _createLater() internal returns (bool) {
        if (projectsMade >= MOST_PROJECTS) return false;
        _createAs(SECOND_OWNER, _laterTerms(), true, _oneIn(2) ? 0 : BUDGET);
        return true;
    }

    function _fund(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        if (p.ended) return false;
        uint256 amount = 1 + _dice() % (MOST_FUNDING * p.terms.roundBudget);
        if (p.ledger.free < p.terms.roundBudget && _oneIn(2)) amount = p.terms.roundBudget;
        _send(project, _oneIn(2) ? p.owner : stranger, abi.encodeCall(market.fund, (project, amount)));
        p.ledger.deposited += amount;
        p.ledger.free += amount;
        _count(Did.Fund);
        return true;
    }

    function _addAggregator(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        if (p.aggregators.length > 2) return false;
        _send(project, p.owner, abi.encodeCall(market.addAggregator, (project, LATE_AGGREGATOR)));
        p.aggregators.push(LATE_AGGREGATOR);
        _count(Did.AddAggregator);
        return true;
    }

    /// @dev Between rounds: the newest is closed, or void without a row, which closes it on the way.
    function _between(uint256 project) internal view returns (bool) {
        (, GhostRound storage r, Phase phase) = _newest(project);
        return !_running(project) || (phase == Phase.Void && r.rows.length == 0);
    }

    /// @dev held -> free, because nobody has revealed anything.
    function _closeEmptyOnTheWay(uint256 project) internal {
        GhostProject storage p = ghosts[project];
        GhostRound storage r = roundGhosts[project][p.round];
        r.outcome = Phase.Void;
        p.ledger.held -= p.terms.roundBudget;
        p.ledger.free += p.terms.roundBudget;
        _unlock(project, r.acceptor);
    }

    function _end(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        if (p.ended || !_between(project)) return false;
        uint256 last = p.round == 0 ? p.createdAt : _tF(project, roundGhosts[project][p.round]);
        bool idle = _oneIn(2);
        if (idle && block.timestamp <= last + 30 days) vm.warp(last + 30 days + 1);
        _send(project, idle ? stranger : p.owner, abi.encodeCall(market.endProject, (project)));
        if (_running(project)) _closeEmptyOnTheWay(project);
        p.ended = true;
        _count(idle ? Did.EndWhenIdle : Did.EndByOwner);
        return true;
    }

    function _refund(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        uint256 amount = p.ledger.free;
        if (!p.ended || amount == 0) return false;
        uint256 before = p.token.balanceOf(p.owner);
        _send(project, stranger, abi.encodeCall(market.refund, (project)));
        vm.assertEq(p.token.balanceOf(p.owner) - before, amount, "the owner gets what was free");
        p.ledger.free = 0;
        p.ledger.refunded += amount;
        _count(Did.Refund);
        return true;
    }

    function _collect(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        uint256 amount = p.ledger.protocolFees;
        if (amount == 0) return false;
        uint256 before = p.token.balanceOf(treasury);
        _send(project, stranger, abi.encodeCall(market.collectProtocolFees, (project)));
        vm.assertEq(p.token.balanceOf(treasury) - before, amount, "the protocol gets its fee");
        p.ledger.protocolFees = 0;
        _count(Did.CollectProtocolFees);
        return true;
    }
}
