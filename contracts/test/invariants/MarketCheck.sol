// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../src/interfaces/IBonds.sol";
import {IMembers} from "../../src/interfaces/IMembers.sol";
import {IProjects} from "../../src/interfaces/IProjects.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {IStanding} from "../../src/interfaces/IStanding.sol";
import {Phase} from "../../src/types/Types.sol";
import {Packed} from "../support/Packed.sol";
import {Forbidden} from "./roles/Forbidden.sol";

/// @notice The market against the ghost. The names I1 .. I14 are those of the list in README.md.
abstract contract MarketCheck is Forbidden {
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
        vm.assertEq(token.balanceOf(address(market)), plain, "I1 every token belongs to exactly one purse");
        vm.assertEq(hostileToken.balanceOf(address(market)), hostile, "I1 and so does every hostile one");
        if (touched == 0) return;
        _checkProgress(touched);
        _checkPeople(touched);
        _checkBonds(touched);
        _checkOlder(touched);
    }

    function _checkLedger(uint256 project, IProjects.Ledger memory l) private view {
        IProjects.Ledger memory g = ghosts[project].ledger;
        vm.assertEq(
            l.deposited,
            l.free + l.held + l.claimable + l.claimed + l.fees + l.burned + l.refunded,
            "I2 the equation of a project"
        );
        if (keccak256(abi.encode(l)) == keccak256(abi.encode(g))) return;
        vm.assertEq(l.deposited, g.deposited, "I3 deposited");
        vm.assertEq(l.free, g.free, "I3 free");
        vm.assertEq(l.held, g.held, "I3 held");
        vm.assertEq(l.claimable, g.claimable, "I3 claimable");
        vm.assertEq(l.claimed, g.claimed, "I3 claimed");
        vm.assertEq(l.fees, g.fees, "I3 fees");
        vm.assertEq(l.burned, g.burned, "I3 burned");
        vm.assertEq(l.refunded, g.refunded, "I3 refunded");
        vm.assertEq(l.stakes, g.stakes, "I3 stakes");
        vm.assertEq(l.bonds, g.bonds, "I3 bonds");
        vm.assertEq(l.stakesBurned, g.stakesBurned, "I3 burned stakes");
        vm.assertEq(l.bondsBurned, g.bondsBurned, "I3 burned bonds");
        vm.assertEq(l.protocolFees, g.protocolFees, "I3 protocol fees");
    }

    function _checkNewest(uint256 project) private {
        uint32 round = ghosts[project].round;
        if (round == 0) return;
        GhostRound storage r = roundGhosts[project][round];
        IRoundViews.RoundView memory v = market.roundOf(project, round);
        _checkPhase(project, round, v.phase);
        bool closed = r.outcome != Phase.None;
        vm.assertEq(v.budget, closed ? 0 : ghosts[project].terms.roundBudget, "I4 held is the budget of the running round");
        vm.assertTrue(v.closed == closed, "I4 closed");
        vm.assertEq(v.openedAt, r.openedAt, "I6 opened");
        vm.assertEq(v.commitEnd, r.commitEnd, "I6 tC");
        vm.assertEq(v.revealEnd, r.revealEnd, "I6 tR");
        vm.assertEq(v.acceptorEnd, _tS(project, r), "I6 tS");
        vm.assertEq(v.settleEnd, _tF(project, r), "I6 tF");
        vm.assertEq(v.acceptor, r.acceptor);
        vm.assertEq(v.model, ghosts[project].model, "I13 the model that the next round starts from");
        vm.assertEq(v.validation, r.validation, "I13 validation");
        vm.assertEq(v.publicRows, r.publicRows, "I13 public rows");
        _checkCounts(project, round, v.batchCount, v.selfCount, v.admitted, v.refused, v.unresolved);
        vm.assertEq(v.batchCount, _ones(v.batchBits), "I7 leaves that count");
        vm.assertTrue((v.payoutRoot != 0) == (closed && r.rows.length != 0), "I10 a payout root for every closed round with rows");
        bytes32 admitted = Packed.chain(_admissionsOf(r));
        vm.assertEq(v.admittedHash, admitted, "I8 the rows are the admitted updates, call by call, in order");
    }

    /// @dev I5: the phase is what time and the calls so far make it; it only goes forward, and a terminal one stays.
    function _checkPhase(uint256 project, uint32 round, Phase found) private {
        GhostRound storage r = roundGhosts[project][round];
        Phase last = r.seen;
        vm.assertEq(uint256(found), uint256(_modelPhase(project, round)), "I5 phase");
        if (last >= Phase.Final) vm.assertEq(uint256(found), uint256(last), "I5 a terminal state was left");
        else vm.assertGe(uint256(found), uint256(last), "I5 a phase went back");
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
        vm.assertEq(leaves, r.leaves, "I7 leaves");
        vm.assertEq(selves, r.selves, "I7 self-posted");
        vm.assertEq(admitted, r.rows.length, "I8 admitted");
        vm.assertEq(refused, r.refused, "I8 refused");
        vm.assertEq(unresolved, r.unresolved, "I9 unresolved");
        vm.assertLe(leaves + selves, ghosts[project].terms.slots, "I7 slots");
        uint256 open;
        uint256 committed;
        for (uint256 i; i < PEOPLE; ++i) {
            Place storage place = places[project][round][i];
            if (place.seat == Seat.None) continue;
            ++committed;
            if (place.fate == Fate.Open) ++open;
        }
        vm.assertEq(leaves + selves, committed, "I7 a commitment counts once");
        vm.assertEq(unresolved, open, "I9 unresolved = commitments less resolved ones");
    }

    function _checkProgress(uint256 project) private view {
        GhostProject storage p = ghosts[project];
        IProjects.Progress memory v = market.progressOf(project);
        vm.assertEq(v.round, p.round, "I12 rounds");
        vm.assertEq(v.members, p.members, "I11 members");
        vm.assertEq(v.memberNumbers, p.numbers, "I11 numbers");
        vm.assertTrue(v.ended == p.ended, "I12 ended");
        vm.assertEq(v.acceptor, p.acceptedRound == p.round + 1 ? p.acceptor : address(0));
        vm.assertEq(v.model, p.model, "I13 model");
        vm.assertEq(v.pendingModel, p.pending, "I13 pending model");
        if (p.ended) vm.assertEq(p.ledger.held, 0, "I4 an ended project holds nothing");
    }

    function _checkPeople(uint256 project) private view {
        GhostProject storage p = ghosts[project];
        uint256 stakes;
        uint256 members;
        for (uint256 i; i < PEOPLE; ++i) {
            GhostMember storage m = memberGhosts[project][i];
            if (m.number == 0) continue;
            IMembers.Member memory v = market.memberOf(project, trainers[i]);
            vm.assertEq(v.number, m.number, "I11 a number is for ever");
            vm.assertTrue(v.staked == m.staked && v.joined == m.joined, "I11 staked and joined");
            vm.assertEq(v.joinedRound, m.joinedRound, "I11 joined in");
            vm.assertEq(v.unlockAt, m.unlockAt, "I11 unlock time");
            vm.assertEq(v.delegate, m.delegated ? delegates[i] : address(0));
            vm.assertEq(market.claimedRounds(project, m.number, 0), m.claimed, "I10 rounds that were paid");
            if (m.staked) ++stakes;
            if (m.staked && m.joined) ++members;
            _checkStanding(project, i, m);
        }
        vm.assertEq(p.ledger.stakes, stakes * p.terms.stake, "I11 stakes are those of people");
        vm.assertEq(p.members, members, "I11 members are those joined and staked");
    }

    /// @dev I14: by the rule, row by row; credit, rounds, rejections and losses never fall because the ghost's never do.
    function _checkStanding(uint256 project, uint256 person, GhostMember storage m) private view {
        IStanding.Record memory s = market.recordOf(project, m.number);
        vm.assertEq(s.credit, m.credit, "I14 credit");
        vm.assertEq(s.usefulness, m.usefulness, "I14 usefulness");
        vm.assertEq(s.rounds, m.rounds, "I14 rounds");
        vm.assertEq(s.rejections, m.rejections, "I14 rejections");
        vm.assertEq(market.lossesOf(trainers[person]), lossSums[person], "I14 losses");
    }

    function _checkBonds(uint256 project) private view {
        address[] storage list = ghosts[project].aggregators;
        uint256 sum;
        uint256 locked;
        for (uint256 i; i < list.length; ++i) {
            IBonds.Bond memory b = market.bondOf(project, list[i]);
            vm.assertEq(b.free, bondGhosts[project][list[i]].free, "I15 free bond");
            vm.assertEq(b.locked, bondGhosts[project][list[i]].locked, "I15 locked bond");
            sum += uint256(b.free) + b.locked;
            locked += b.locked;
        }
        GhostProject storage p = ghosts[project];
        vm.assertEq(sum, p.ledger.bonds, "I15 bonds are those of aggregators");
        uint256 behind = (_running(project) ? 1 : 0) + (p.acceptedRound == p.round + 1 ? 1 : 0);
        vm.assertEq(locked, behind * p.terms.bond, "I15 locked: the round that runs, and the one accepted");
    }

    /// @dev What is left of the rounds before.
    function _checkOlder(uint256 project) private {
        uint32 newest = ghosts[project].round;
        if (newest < 2) return;
        uint32 round = uint32(1 + _dice() % (newest - 1));
        GhostRound storage r = roundGhosts[project][round];
        IRoundViews.RoundView memory v = market.roundOf(project, round);
        _checkPhase(project, round, v.phase);
        vm.assertTrue(v.closed && v.budget == 0, "I4 an older round holds nothing");
        if (v.openedAt != 0) vm.assertEq(v.unresolved, r.unresolved, "I9 unresolved in an older round");
        else vm.assertTrue(r.unresolved == 0 || !_hadReveals(project, round), "I9 unresolved commitments were forgotten");
    }

    function _ones(uint256 bits) private pure returns (uint256 n) {
        for (; bits != 0; bits &= bits - 1) ++n;
    }
}
