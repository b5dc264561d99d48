// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Phase} from "../../../src/types/Types.sol";
import {CommitLeaf} from "../../support/Packed.sol";
import {Did} from "../World.sol";
import {Witnesses} from "./Witnesses.sol";

/// @notice What anybody may do once it is due: rescue, slash, close.
abstract contract Strangers is Witnesses {
    uint256 private constant LOOK_BACK = 4; // rounds that rescues and slashes are tried on

    /// @dev The latest round, or the earliest of the last few, in which a commitment is unresolved that somebody could have
    /// revealed. 0: none.
    function _unresolvedRound(uint256 project) internal returns (uint32 found) {
        uint32 newest = ghosts[project].round;
        bool earliest = _oneIn(2);
        for (uint32 round = newest; round > 0 && round + LOOK_BACK > newest; --round) {
            GhostRound storage r = roundGhosts[project][round];
            if (r.unresolved == 0 || !_hadReveals(project, round)) continue;
            if (block.timestamp >= _tG(project, r) + SLASH) break;
            found = round;
            if (!earliest) break;
        }
    }

    function _rescueSome(uint256 project) internal returns (bool) {
        uint32 round = _unresolvedRound(project);
        GhostRound storage r = roundGhosts[project][round];
        if (round == 0 || block.timestamp < r.revealEnd || block.timestamp >= _tG(project, r)) return false;
        Shown memory shown = _show(project, round);
        if (shown.openings.length == 0) return false;
        CommitLeaf[] memory leaves = _leavesFor(project, round, r, shown.openings);
        if (leaves.length != r.batch.length) _count(Did.RescueWithoutLeaves);
        _send(project, stranger, _encodeRescue(project, round, leaves, shown.openings));
        for (uint256 i; i < shown.openings.length; ++i) {
            if (!shown.right[i]) continue; // a CID of another kind does no harm here
            places[project][round][shown.persons[i]].fate = Fate.Rescued;
            r.unresolved -= 1;
            _count(Did.Rescue);
        }
        return true;
    }

    function _slashSomebody(uint256 project) internal returns (bool) {
        uint32 round = _unresolvedRound(project);
        GhostRound storage r = roundGhosts[project][round];
        uint256 from = _tG(project, r);
        if (round == 0 || block.timestamp >= from + SLASH) return false;
        if (block.timestamp < from) {
            // Not while the round can still be settled, or nothing else would ever happen.
            if (_modelPhase(project, round) < Phase.Final && !_oneIn(3)) return false;
            vm.warp(from);
        }
        uint256 start = _dice();
        for (uint256 k; k < PEOPLE; ++k) {
            uint256 person = (start % PEOPLE + k) % PEOPLE;
            Place storage place = places[project][round][person];
            if (place.seat == Seat.None || place.fate != Fate.Open) continue;
            _slash(project, round, person);
            return true;
        }
        return false;
    }

    function _slash(uint256 project, uint32 round, uint256 person) private {
        GhostProject storage p = ghosts[project];
        GhostMember storage m = memberGhosts[project][person];
        GhostRound storage r = roundGhosts[project][round];
        uint256 before = p.token.balanceOf(stranger);
        CommitLeaf[] memory batch = r.batch;
        _send(project, stranger, _encodeSlash(project, round, m.number, batch));
        uint256 reward = m.staked ? p.terms.stake / 10 : 0;
        vm.assertEq(p.token.balanceOf(stranger) - before, reward, "a tenth of the stake goes to the caller");
        places[project][round][person].fate = Fate.Slashed;
        r.unresolved -= 1;
        _lose(project, person, 20_000);
        if (m.staked) {
            m.staked = false;
            p.ledger.stakes -= p.terms.stake;
            p.ledger.stakesBurned += p.terms.stake - reward;
            if (m.joined) p.members -= 1;
            else m.unlockAt = 0;
            _count(round == p.round ? Did.SlashNewest : Did.SlashOlder);
        } else {
            _count(Did.SlashWithoutStake);
        }
    }

    function _closeNow(uint256 project) internal returns (bool) {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        if (!_running(project) || (phase != Phase.Void && phase != Phase.Defaulted)) return false;
        GhostProject storage p = ghosts[project];
        _send(project, stranger, _encodeClose(project, round, _admissionsOf(r)));
        uint256 n = r.rows.length;
        if (n == 0) {
            _closeEmptyOnTheWay(project);
            _count(Did.CloseVoidWithoutRows);
            return true;
        }
        bool isVoid = phase == Phase.Void;
        uint256 share = p.distributable / (isVoid ? p.terms.slots : n);
        for (uint256 i; i < n; ++i) r.pays.push(share);
        r.outcome = phase;
        p.ledger.held -= p.terms.roundBudget;
        p.ledger.claimable += share * n;
        if (isVoid) {
            p.ledger.free += p.terms.roundBudget - share * n;
            _unlock(project, r.acceptor);
            _count(Did.CloseVoid);
            return true;
        }
        p.ledger.free += p.distributable - share * n; // dust
        p.ledger.burned += p.terms.roundBudget - p.distributable; // the fees that nobody earned
        bondGhosts[project][r.acceptor].locked -= p.terms.bond;
        p.ledger.bonds -= p.terms.bond;
        p.ledger.bondsBurned += p.terms.bond;
        _count(Did.CloseDefaulted);
        return true;
    }
}
