// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {NextModel, Phase} from "../../../src/types/Types.sol";
import {CommitLeaf, CommitSignature, Row} from "../../support/Packed.sol";
import {Did} from "../World.sol";
import {Owners} from "./Owners.sol";
import {Trainers} from "./Trainers.sol";

/// @notice What aggregators do: bonds, acceptance, batches (with leaves that cannot count), settlement in time, in the
/// place of another, and late.
abstract contract Aggregators is Owners, Trainers {
    // ---- bonds

    function _someAggregator(uint256 project) internal returns (address) {
        address[] storage list = ghosts[project].aggregators;
        return list[_dice() % list.length];
    }

    function _depositBond(uint256 project, address who) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        uint256 amount = _oneIn(3) ? 1 + _dice() % p.terms.bond : p.terms.bond;
        _send(project, who, abi.encodeCall(market.depositBond, (project, amount)));
        bondGhosts[project][who].free += amount;
        p.ledger.bonds += amount;
        _count(Did.DepositBond);
        return true;
    }

    function _withdrawBond(uint256 project, address who) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        GhostBond storage b = bondGhosts[project][who];
        if (b.free == 0) return false;
        uint256 amount = 1 + _dice() % b.free;
        uint256 before = p.token.balanceOf(who);
        _send(project, who, abi.encodeCall(market.withdrawBond, (project, amount)));
        vm.assertEq(p.token.balanceOf(who) - before, amount, "the aggregator gets what it asked for");
        b.free -= amount;
        p.ledger.bonds -= amount;
        _count(Did.WithdrawBond);
        return true;
    }

    function _mayAccept(uint256 project, address who) internal view returns (bool) {
        GhostProject storage p = ghosts[project];
        return !p.ended && p.acceptedRound != p.round + 1 && bondGhosts[project][who].free >= p.terms.bond;
    }

    function _acceptAs(uint256 project, address who) internal returns (bool) {
        if (!_mayAccept(project, who)) return false;
        _send(project, who, abi.encodeCall(market.accept, (project, ghosts[project].round + 1)));
        _noteAcceptance(project, who);
        return true;
    }

    function _noteAcceptance(uint256 project, address who) private {
        GhostProject storage p = ghosts[project];
        bondGhosts[project][who].free -= p.terms.bond;
        bondGhosts[project][who].locked += p.terms.bond;
        p.acceptor = who;
        p.acceptedRound = p.round + 1;
        _count(Did.Accept);
    }

    function _withdrawAcceptance(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        if (p.acceptedRound != p.round + 1) return false;
        _send(project, p.acceptor, abi.encodeCall(market.withdrawAcceptance, (project, p.round + 1)));
        p.acceptedRound = 0;
        _unlock(project, p.acceptor);
        _count(Did.WithdrawAcceptance);
        return true;
    }

    // ---- opening

    /// @dev Whether a round could open if it had an aggregator.
    function _couldOpen(uint256 project) internal view returns (bool) {
        GhostProject storage p = ghosts[project];
        if (p.ended || !_between(project) || p.round >= p.terms.rounds) return false;
        if (p.members < p.terms.minTrainers) return false;
        if (p.pending != 0 && block.timestamp < p.pendingUntil) return false;
        return p.ledger.free + p.ledger.held >= p.terms.roundBudget;
    }

    function _openRound(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        if (!_couldOpen(project) || p.acceptedRound != p.round + 1) return false;
        _send(project, stranger, abi.encodeCall(market.openRound, (project)));
        _noteOpening(project);
        return true;
    }

    /// @dev In one transaction.
    function _acceptAndOpen(uint256 project, address who) internal returns (bool) {
        if (!_couldOpen(project) || !_mayAccept(project, who)) return false;
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(market.accept, (project, ghosts[project].round + 1));
        calls[1] = abi.encodeCall(market.openRound, (project));
        _send(project, who, abi.encodeCall(market.multicall, (calls)));
        _noteAcceptance(project, who);
        _noteOpening(project);
        _count(Did.Multicall);
        return true;
    }

    function _noteOpening(uint256 project) private {
        GhostProject storage p = ghosts[project];
        if (_running(project)) {
            _closeEmptyOnTheWay(project);
            _count(Did.OpenAfterEmptyVoid);
        }
        if (p.pending != 0) {
            p.pending = 0;
            _count(Did.DropModel);
        }
        p.round += 1;
        p.ledger.free -= p.terms.roundBudget;
        p.ledger.held += p.terms.roundBudget;
        GhostRound storage r = roundGhosts[project][p.round];
        r.openedAt = block.timestamp;
        r.commitEnd = block.timestamp + p.terms.windows.commit;
        r.revealEnd = r.commitEnd + p.terms.windows.guard + p.terms.windows.reveal;
        r.expected = _least(p.members, p.terms.slots);
        r.acceptor = p.acceptor;
        r.model = p.model;
        _count(Did.OpenRound);
    }

    // ---- the batch

    struct Draft {
        CommitLeaf[] leaves;
        CommitSignature[] signatures;
        uint256[] persons;
        bool[] good;
        uint256 count; // good ones
    }

    function _commitBatch(uint256 project) internal returns (bool) {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        if (phase != Phase.Commit || r.posted) return false;
        if (block.timestamp + ghosts[project].terms.windows.selfCommit >= r.commitEnd) return false;
        Draft memory d = _draft(project, round, r);
        if (d.count == 0) return false;
        _send(
            project, r.acceptor, _encodeCommitBatch(project, round, d.leaves, d.signatures)
        );
        r.posted = true;
        r.leaves = d.count;
        r.unresolved += d.count;
        for (uint256 i; i < d.leaves.length; ++i) {
            r.batch.push(d.leaves[i]);
            if (d.good[i]) places[project][round][d.persons[i]] = Place(Seat.Leaf, Fate.Open, d.leaves[i].commitment);
            _count(d.good[i] ? Did.LeafCounted : Did.LeafSkipped);
        }
        _endCommitIfComplete(project, r);
        _count(Did.CommitBatch);
        return true;
    }

    function _draft(uint256 project, uint32 round, GhostRound storage r) private returns (Draft memory d) {
        uint32 numbers = ghosts[project].numbers;
        uint256 omitted = _oneIn(3) ? _dice() : 0; // often everybody
        uint256 n;
        for (uint32 number = 1; number <= numbers; ++number) if (omitted >> number & 1 == 0) ++n;
        bool invented = _oneIn(6); // a leaf of nobody, at the end
        d.leaves = new CommitLeaf[](invented ? n + 1 : n);
        d.signatures = new CommitSignature[](d.leaves.length);
        d.persons = new uint256[](d.leaves.length);
        d.good = new bool[](d.leaves.length);
        if (invented) d.leaves[n] = CommitLeaf(numbers + 7, keccak256("nobody"));
        uint256 at;
        for (uint32 number = 1; number <= numbers; ++number) {
            if (omitted >> number & 1 == 0) _draftLeaf(project, round, r, d, at++, number);
        }
    }

    /// @dev One leaf in four has something wrong with it.
    function _draftLeaf(
        uint256 project,
        uint32 round,
        GhostRound storage r,
        Draft memory d,
        uint256 at,
        uint32 number
    ) private {
        uint256 person = personOf[project][number];
        GhostMember storage m = memberGhosts[project][person];
        uint256 fault = _dice() % 16; // 0: no commitment, 1: another round's, 2: somebody else's signature, 3: revoked delegate's
        uint256 key = trainerKeys[person];
        if (fault == 2) key = trainerKeys[(person + 1) % PEOPLE];
        else if (fault == 3 || (m.delegated && fault % 2 == 0)) key = delegateKeys[person];
        bytes32 commitment =
            fault == 0 ? bytes32(0) : _commitmentOf(project, round, _openingOf(project, round, person, false));
        d.leaves[at] = CommitLeaf(number, commitment);
        d.signatures[at] = _signLeaf(project, fault == 1 ? round + 1 : round, d.leaves[at], key);
        d.persons[at] = person;
        bool slot = d.count + r.selves < ghosts[project].terms.slots;
        d.good[at] = slot && _eligible(project, round, person) && fault != 0 && fault != 1 && fault != 2
            && (fault != 3 || m.delegated) && places[project][round][person].seat == Seat.None;
        if (d.good[at]) ++d.count;
    }

    // ---- settlement

    function _settleNow(uint256 project) internal returns (bool) {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        if (phase != Phase.Settle) return false;
        address settler = r.acceptor;
        bool late = block.timestamp >= _tS(project, r);
        if (late) settler = _someAggregator(project);
        GhostBond storage b = bondGhosts[project][settler];
        uint256 has = b.free + b.locked;
        if (late) {
            if (settler == r.acceptor) has -= ghosts[project].terms.bond; // it is about to lose that
            if (has < ghosts[project].terms.bond) return false;
        }
        _settleWith(project, round, r, settler);
        _noteBond(project, r, settler, late);
        return true;
    }

    function _settleWith(uint256 project, uint32 round, GhostRound storage r, address settler) private {
        GhostProject storage p = ghosts[project];
        Settlement memory s;
        s.admissions = _admissionsOf(r);
        s.outcomes = _scores(r.rows.length);
        bytes32 model = keccak256(abi.encode("model", project, round));
        s.next = NextModel(model, _cid(model));
        s.bundle = _cid(keccak256(abi.encode("bundle", project, round)));
        s.evidence = _evidence(project, round, s, 3 - p.terms.quorum, p.terms.quorum);
        _send(
            project,
            settler,
            _encodeSettle(project, round, s)
        );
        _notePay(project, r, r.rows, s.outcomes);
        if (p.receipts) {
            p.model = model;
        } else {
            p.pending = model;
            p.pendingUntil = block.timestamp + p.terms.windows.rescue;
        }
    }

    /// @dev Score << 8 | reason: nothing, dust, ordinary, one that takes all, the largest, rejected.
    function _scores(uint256 n) private returns (uint256[] memory outcomes) {
        outcomes = new uint256[](n);
        uint256 all = _dice() % 8;
        for (uint256 i; i < n; ++i) {
            uint256 kind = all < 3 ? all : 3 + _dice() % 7;
            if (kind == 0) continue;
            else if (kind == 1) outcomes[i] = (_dice() % 3) << 8;
            else if (kind == 4) outcomes[i] = 1 + _dice() % 255;
            else if (kind == 5) outcomes[i] = uint256(type(uint64).max) << 8;
            else outcomes[i] = (_dice() % (4 * ONE)) << 8;
        }
    }

    function _notePay(uint256 project, GhostRound storage r, Row[] memory rows, uint256[] memory outcomes) private {
        GhostProject storage p = ghosts[project];
        (uint256[] memory pays, uint256 sum) = _modelPays(project, outcomes);
        r.pays = pays;
        r.outcome = Phase.Final;
        for (uint256 i; i < rows.length; ++i) {
            _recordRow(project, personOf[project][rows[i].member], pays[i], rows.length, outcomes[i] % 256 != 0);
        }
        p.ledger.held -= p.terms.roundBudget;
        p.ledger.claimable += sum;
        p.ledger.fees += p.terms.aggregatorFee + p.protocolFee;
        p.ledger.protocolFees += p.protocolFee;
        uint256 rest = p.distributable - sum;
        if (rest < rows.length) p.ledger.free += rest;
        else p.ledger.burned += rest;
    }

    function _noteBond(uint256 project, GhostRound storage r, address settler, bool late) private {
        GhostProject storage p = ghosts[project];
        bondGhosts[project][settler].free += p.terms.aggregatorFee;
        p.ledger.bonds += p.terms.aggregatorFee;
        if (!late) {
            _unlock(project, r.acceptor);
            _count(Did.Settle);
            return;
        }
        uint256 reward = settler == r.acceptor ? 0 : p.terms.bond / 2;
        bondGhosts[project][r.acceptor].locked -= p.terms.bond;
        bondGhosts[project][settler].free += reward;
        p.ledger.bonds -= p.terms.bond - reward;
        p.ledger.bondsBurned += p.terms.bond - reward;
        _count(settler == r.acceptor ? Did.SettleLateByAcceptor : Did.SettleByRival);
    }
}
