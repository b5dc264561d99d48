// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {IStanding} from "../../src/interfaces/IStanding.sol";
import {Phase} from "../../src/types/Types.sol";
import {Compare} from "./Compare.sol";
import {Forbidden} from "./roles/Forbidden.sol";

/// @notice The market against the ghost. The names I1 .. I14 are those of the list in README.md.
abstract contract MarketCheck is Compare, Forbidden {
    /// @dev Money and progress of every project after every call (so that a call on one project shows in no other), people,
    /// bonds and older rounds of the project that the call was about.
    function check() external {
        uint256 plain;
        uint256 hostile;
        for (uint256 project = 1; project <= projectsMade; ++project) {
            IProjects.Ledger memory l = market.ledgerOf(project);
            _checkLedger(project, l);
            _checkNewest(project);
            if (address(ghosts[project].token) == address(token)) plain += _owed(l);
            else hostile += _owed(l);
        }
        // I1: solvency, to the last base unit
        _same(token.balanceOf(address(market)), plain, "I1 tokens belong to one purse");
        _same(hostileToken.balanceOf(address(market)), hostile, "I1 hostile tokens, one purse");
        if (touched == 0) return;
        _checkProgress(touched);
        _checkPeople(touched);
        _checkBonds(touched);
        _checkOlder(touched);
    }

    function _checkLedger(uint256 project, IProjects.Ledger memory l) private view {
        IProjects.Ledger memory g = ghosts[project].ledger;
        _same(
            l.deposited,
            l.free + l.held + l.claimable + l.claimed + l.fees + l.burned + l.refunded,
            "I2 the equation of a project"
        );
        if (keccak256(abi.encode(l)) == keccak256(abi.encode(g))) return;
        _same(l.deposited, g.deposited, "I3 deposited");
        _same(l.free, g.free, "I3 free");
        _same(l.held, g.held, "I3 held");
        _same(l.claimable, g.claimable, "I3 claimable");
        _same(l.claimed, g.claimed, "I3 claimed");
        _same(l.fees, g.fees, "I3 fees");
        _same(l.burned, g.burned, "I3 burned");
        _same(l.refunded, g.refunded, "I3 refunded");
        _same(l.stakes, g.stakes, "I3 stakes");
        _same(l.bonds, g.bonds, "I3 bonds");
        _same(l.stakesBurned, g.stakesBurned, "I3 burned stakes");
        _same(l.bondsBurned, g.bondsBurned, "I3 burned bonds");
        _same(l.protocolFees, g.protocolFees, "I3 protocol fees");
    }

    function _checkNewest(uint256 project) private {
        GhostProject storage p = ghosts[project];
        uint32 round = p.round;
        if (round == 0) return;
        GhostRound storage r = roundGhosts[project][round];
        IRoundViews.RoundView memory v = market.roundOf(project, round);
        _checkPhase(project, round, v.phase);
        bool closed = r.outcome != Phase.None;
        _same(v.budget, closed ? 0 : p.terms.roundBudget, "I4 held: the running budget");
        _same(v.closed, closed, "I4 closed");
        _same(v.openedAt, r.openedAt, "I6 opened");
        _same(v.commitEnd, r.commitEnd, "I6 tC");
        _same(v.revealEnd, r.revealEnd, "I6 tR");
        _same(v.acceptorEnd, _tS(project, r), "I6 tS");
        _same(v.settleEnd, _tF(project, r), "I6 tF");
        _same(v.acceptor, r.acceptor, "I6 acceptor");
        _same(v.model, p.model, "I13 model of the next round");
        _same(v.validation, r.validation, "I13 validation");
        _same(v.publicRows, r.publicRows, "I13 public rows");
        _checkCounts(project, round, v.batchCount, v.selfCount, v.admitted, v.refused, v.unresolved);
        _same(v.batchCount, _ones(v.batchBits), "I7 leaves that count");
        _holds((v.payoutRoot != 0) == (closed && r.rows.length != 0), "I10 a payout root where rows are");
        _same(v.admittedHash, r.admittedHash, "I8 rows: what calls admitted");
    }

    /// @dev I5: the phase is what time and the calls so far make it; it only goes forward, and a terminal one stays.
    function _checkPhase(uint256 project, uint32 round, Phase found) private {
        GhostRound storage r = roundGhosts[project][round];
        Phase last = r.seen;
        _same(uint256(found), uint256(_modelPhase(project, round)), "I5 phase");
        if (last >= Phase.Final) _same(uint256(found), uint256(last), "I5 a terminal state was left");
        else _atLeast(uint256(found), uint256(last), "I5 a phase went back");
        r.seen = found;
    }

    function _checkCounts(
        uint256 project,
        uint32 round,
        uint256 leaves,
        uint256 selves,
        uint256 admitted,
        uint256 refused,
        uint256 unresolved
    ) private view {
        GhostRound storage r = roundGhosts[project][round];
        _same(leaves, r.leaves, "I7 leaves");
        _same(selves, r.selves, "I7 self-posted");
        _same(admitted, r.rows.length, "I8 admitted");
        _same(refused, r.refused, "I8 refused");
        _same(unresolved, r.unresolved, "I9 unresolved");
        _atMost(leaves + selves, ghosts[project].terms.slots, "I7 slots");
        uint256 open;
        uint256 committed;
        mapping(uint256 person => Place) storage seats = places[project][round];
        for (uint256 i; i < PEOPLE; ++i) {
            Place storage place = seats[i];
            if (place.seat == Seat.None) continue;
            ++committed;
            if (place.fate == Fate.Open) ++open;
        }
        _same(leaves + selves, committed, "I7 a commitment counts once");
        _same(unresolved, open, "I9 committed less resolved");
    }

    function _checkProgress(uint256 project) private view {
        GhostProject storage p = ghosts[project];
        IProjects.Progress memory v = market.progressOf(project);
        _same(v.round, p.round, "I12 rounds");
        _same(v.members, p.members, "I11 members");
        _same(v.memberNumbers, p.numbers, "I11 numbers");
        _same(v.ended, p.ended, "I12 ended");
        _same(v.acceptor, p.acceptedRound == p.round + 1 ? p.acceptor : address(0), "I6 acceptor of the next round");
        _same(v.model, p.model, "I13 model");
        _same(v.pendingModel, p.pending, "I13 pending model");
        if (p.ended) _same(p.ledger.held, 0, "I4 an ended project holds none");
    }

    function _checkPeople(uint256 project) private view {
        GhostProject storage p = ghosts[project];
        uint256 stakes;
        uint256 members;
        mapping(uint256 person => GhostMember) storage people = memberGhosts[project];
        for (uint256 i; i < PEOPLE; ++i) {
            GhostMember storage m = people[i];
            if (m.number == 0) continue;
            IMembers.Member memory v = market.memberOf(project, trainers[i]);
            _same(v.number, m.number, "I11 a number is for ever");
            _holds(v.staked == m.staked && v.joined == m.joined, "I11 staked and joined");
            _same(v.joinedRound, m.joinedRound, "I11 joined in");
            _same(v.unlockAt, m.unlockAt, "I11 unlock time");
            _same(v.delegate, m.delegated ? delegates[i] : address(0), "I7 delegate");
            _same(market.claimedRounds(project, m.number, 0), m.claimed, "I10 rounds that were paid");
            if (m.staked) ++stakes;
            if (m.staked && m.joined) ++members;
            _checkStanding(project, i, m);
        }
        _same(p.ledger.stakes, stakes * p.terms.stake, "I11 stakes are those of people");
        _same(p.members, members, "I11 members: joined and staked");
    }

    /// @dev I14: by the rule, row by row; credit, rounds, rejections and losses never fall because the ghost's never do.
    function _checkStanding(uint256 project, uint256 person, GhostMember storage m) private view {
        IStanding.Record memory s = market.recordOf(project, m.number);
        _same(s.credit, m.credit, "I14 credit");
        _same(s.usefulness, m.usefulness, "I14 usefulness");
        _same(s.rounds, m.rounds, "I14 rounds");
        _same(s.rejections, m.rejections, "I14 rejections");
        _same(market.lossesOf(trainers[person]), lossSums[person], "I14 losses");
    }

    function _checkBonds(uint256 project) private view {
        address[] memory list = ghosts[project].aggregators;
        uint256 sum;
        uint256 locked;
        for (uint256 i; i < list.length; ++i) {
            IBonds.Bond memory b = market.bondOf(project, list[i]);
            GhostBond storage g = bondGhosts[project][list[i]];
            _same(b.free, g.free, "I15 free bond");
            _same(b.locked, g.locked, "I15 locked bond");
            sum += uint256(b.free) + b.locked;
            locked += b.locked;
        }
        GhostProject storage p = ghosts[project];
        _same(sum, p.ledger.bonds, "I15 bonds are of aggregators");
        uint256 behind = (_running(project) ? 1 : 0) + (p.acceptedRound == p.round + 1 ? 1 : 0);
        _same(locked, behind * p.terms.bond, "I15 locked: running, accepted");
    }

    /// @dev What is left of the rounds before.
    function _checkOlder(uint256 project) private {
        uint32 newest = ghosts[project].round;
        if (newest < 2) return;
        uint32 round = uint32(1 + _dice() % (newest - 1));
        GhostRound storage r = roundGhosts[project][round];
        IRoundViews.RoundView memory v = market.roundOf(project, round);
        _checkPhase(project, round, v.phase);
        _holds(v.closed && v.budget == 0, "I4 an older round holds nothing");
        if (v.openedAt != 0) _same(v.unresolved, r.unresolved, "I9 unresolved, older round");
        else _holds(r.unresolved == 0 || !_hadReveals(project, round), "I9 commitments were forgotten");
    }

    function _ones(uint256 bits) private pure returns (uint256 n) {
        for (; bits != 0; bits &= bits - 1) ++n;
    }
}
