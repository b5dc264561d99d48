// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../interfaces/IBonds.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {ISettlement} from "../interfaces/ISettlement.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {MarketStorage, Project} from "../storage/MarketStorage.sol";
import {Phase} from "../types/Types.sol";
import {Header, Round, RoundState} from "./RoundState.sol";

/// @notice Everything that a call on one round reads first.
struct Call {
    uint256 project;
    uint32 round;
    Rules rules;
    address[7] witnesses;
    Header header;
}

/// @title RoundBase: finding a round, and what all parts of the market ask about its end
abstract contract RoundBase is MarketStorage {
    using RoundState for Header;

    /// @dev Part of a slashed stake that goes to the caller; the rest is burned.
    uint256 internal constant REWARD_DIVISOR = 10;

    /// @dev The newest round, if it is `round` and in `allowed` now; reverts otherwise: `_enter()(project, round, allowed)`.
    ///
    /// A function that returns a struct in memory begins by filling one with zeros, which is 1,300 gas for a Call and for
    /// nothing, since all of it is written afterwards. So the function returns the address, and is given the type of one
    /// that returns the struct (the way of Seaport's type casts).
    function _enter()
        internal
        pure
        returns (
            function(uint256, uint32, Phase) internal view returns (Project storage, Round storage, Call memory) typed
        )
    {
        function(uint256, uint32, Phase) internal view returns (Project storage, Round storage, uint256) untyped = _read;
        assembly ("memory-safe") {
            typed := untyped
        }
    }

    function _read(uint256 project, uint32 round, Phase allowed)
        private
        view
        returns (Project storage p, Round storage r, uint256 at)
    {
        p = _project(project);
        if (round != p.newestRound) revert IRounds.NotNewestRound(project, round, p.newestRound);
        r = _newestRound(project);
        Call memory c = _newCall()();
        c.project = project;
        c.round = round;
        TermsStore.readInto(p.rules, c.rules, c.witnesses);
        RoundState.loadInto(r, c.header);
        Phase found = c.header.phaseAt(c.rules, block.timestamp);
        // slither-disable-next-line timestamp (phases follow from time by design)
        if (found != allowed) revert IRounds.WrongPhase(project, round, found, allowed);
        assembly ("memory-safe") {
            at := c
        }
    }

    /// @dev A Call whose every word must be written before it is read.
    function _newCall() private pure returns (function() internal pure returns (Call memory) typed) {
        function() internal pure returns (uint256) untyped = _allocateCall;
        assembly ("memory-safe") {
            typed := untyped
        }
    }

    function _allocateCall() private pure returns (uint256 at) {
        assembly ("memory-safe") {
            at := mload(0x40)
            let rules := add(at, 160) // behind the five members: 33 words,
            let witnesses := add(rules, 1056) // 7 words,
            let header := add(witnesses, 224) // 15 words
            mstore(add(at, 64), rules)
            mstore(add(at, 96), witnesses)
            mstore(add(at, 128), header)
            mstore(0x40, add(header, 480))
        }
    }

    function _phaseOf(uint256 project, Project storage p, Rules memory rules, uint32 round)
        internal
        view
        returns (Phase)
    {
        if (round == 0 || round > p.newestRound) return Phase.None;
        if (round == p.newestRound) {
            Header memory h = RoundState.load(_newestRound(project));
            return h.phaseAt(rules, block.timestamp);
        }
        Phase outcome = _ending(project, round).outcome;
        return outcome == Phase.None ? Phase.Void : outcome; // closed without rows: nothing was written
    }

    /// @dev Makes sure that the newest round is over and its money moved, or reverts. A void round without a single row
    /// owes nobody anything, so it is closed on the way; every other round must have been settled or closed by a call
    /// that brings its rows. Returns the round's last deadline, or the creation time before the first round.
    function _closeNewestRound(uint256 project, Project storage p, Rules memory rules)
        internal
        returns (uint256 lastDeadline)
    {
        uint32 round = p.newestRound;
        if (round == 0) return p.createdAt;
        Round storage r = _newestRound(project);
        Header memory h = RoundState.load(r);
        if (h.outcome == Phase.None) {
            Phase found = h.phaseAt(rules, block.timestamp);
            if (found < Phase.Final) revert IProjects.RoundStillRunning(project, round);
            // slither-disable-next-line timestamp (phases follow from time by design)
            if (found != Phase.Void || h.admitted != 0) revert IRounds.RoundNotClosed(project, round);
            _closeWithoutRows(project, round, p, r, rules);
        }
        return h.settleEnd(rules);
    }

    /// @dev held -> free, all of it, and the bond with it. Only for a void round in which nobody was admitted.
    function _closeWithoutRows(uint256 project, uint32 round, Project storage p, Round storage r, Rules memory rules)
        internal
    {
        Header memory h = RoundState.load(r);
        h.outcome = Phase.Void;
        RoundState.save(r, h);
        p.free += uint112(rules.roundBudget);
        emit ISettlement.RoundVoided(project, round, bytes27(0), 0, new uint32[](0));
        _releaseBond(project, round, r.acceptor, rules.bond);
    }

    /// @dev Of a round that ended without scores.
    function _releaseBond(uint256 project, uint32 round, address aggregator, uint256 bond) internal {
        _unlockBond(project, aggregator, bond, 0);
        emit IBonds.BondReleased(project, round, aggregator, bond);
    }

    /// @dev locked -> free, with the fee that the aggregator earned. All amounts are below 2^112 by the terms.
    function _unlockBond(uint256 project, address aggregator, uint256 bond, uint256 fee) internal {
        IBonds.Bond memory account = _bonds[project][aggregator];
        account.locked -= uint112(bond);
        account.free += uint112(bond + fee);
        _bonds[project][aggregator] = account;
    }

    /// @dev Seconds after tG in which an unrevealed commitment can be slashed.
    function _slashWindow() internal view returns (uint256) {
        return _profile.slashWindow;
    }

    /// @dev Where the commitments of a round are kept: the newest, or an older one that had unresolved ones when the
    /// next round opened (empty otherwise).
    function _roundWithSeats(uint256 project, uint32 round, Project storage p)
        internal
        view
        returns (Round storage)
    {
        return round == p.newestRound ? _newestRound(project) : _olderRound(project, round);
    }

    function _isAggregator(Project storage p, address account) internal view returns (bool) {
        uint256 count = p.aggregators.length;
        for (uint256 i; i < count; ++i) {
            if (p.aggregators[i] == account) return true;
        }
        return false;
    }
}
