// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IBonds} from "../../../src/interfaces/IBonds.sol";
import {IMembers} from "../../../src/interfaces/IMembers.sol";
import {IPayouts} from "../../../src/interfaces/IPayouts.sol";
import {IProjects} from "../../../src/interfaces/IProjects.sol";
import {IRounds} from "../../../src/interfaces/IRounds.sol";
import {ISettlement} from "../../../src/interfaces/ISettlement.sol";
import {Admission, NextModel, Phase, Receipt} from "../../../src/types/Types.sol";
import {AttestedVerifier} from "../../../src/verification/AttestedVerifier.sol";
import {ClaimItem, CommitLeaf, CommitSignature, Opening, Packed, Row} from "../../support/Packed.sol";
import {Strangers} from "./Strangers.sol";

/// @notice What no state allows, tried in whatever state the market is in, each with the error that must stop it. The names
/// F1 .. F16 are those of the list in README.md.
abstract contract Forbidden is Strangers {
    function _tryForbidden(uint256 project) internal {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        uint256 person = _dice() % PEOPLE;
        _escrow(project, phase);
        _people_(project, person);
        _bonds_(project);
        if (round == 0) return;
        if (phase >= Phase.Final && r.outcome != Phase.None) _terminal(project, round, r);
        if (round > 1) _older(project, uint32(1 + _dice() % (round - 1)));
        if (phase == Phase.Commit) _inCommit(project, round, r, person);
        if (phase == Phase.Guard || phase == Phase.Reveal) _beforeSettle(project, round, r);
        if (phase == Phase.Reveal) _inReveal(project, round, r);
        if (phase == Phase.Settle) _inSettle(project, round, r);
        _slashes(project, round, person);
        _claims(project, person);
    }

    // ---- F1, F2: escrow

    function _escrow(uint256 project, Phase phase) private {
        GhostProject storage p = ghosts[project];
        bytes memory refund = abi.encodeCall(market.refund, (project));
        if (!p.ended) {
            _mustFail(p.owner, refund, IProjects.ProjectNotOver.selector); // F1: refund before the end
        } else {
            if (p.ledger.free == 0) _mustFail(p.owner, refund, IProjects.NothingToRefund.selector); // F1: a second refund
            bytes4 over = IProjects.ProjectIsOver.selector;
            _mustFail(stranger, abi.encodeCall(market.fund, (project, 1)), over); // F2: anything after the end
            _mustFail(stranger, abi.encodeCall(market.openRound, (project)), over);
            _mustFail(p.owner, abi.encodeCall(market.endProject, (project)), over);
            _mustFail(stranger, abi.encodeCall(market.stakeFor, (project, stranger)), over);
        }
        bytes memory add = abi.encodeCall(market.addAggregator, (project, stranger));
        _mustFail(stranger, add, IProjects.NotOwner.selector);
        if (_between(project)) return;
        // F3: a round that runs, or whose rows are not paid, cannot be passed over
        bytes4 why = phase < Phase.Final ? IProjects.RoundStillRunning.selector : IRounds.RoundNotClosed.selector;
        _mustFail(p.owner, abi.encodeCall(market.endProject, (project)), why);
        _mustFail(stranger, abi.encodeCall(market.openRound, (project)), why);
    }

    // ---- F4, F5: stakes and bonds

    function _people_(uint256 project, uint256 person) private {
        GhostMember storage m = memberGhosts[project][person];
        if (m.number == 0) return;
        bytes memory out = abi.encodeCall(market.withdrawStake, (project, trainers[person]));
        if (m.joined) _mustFail(trainers[person], out, IMembers.StillMember.selector); // F4: a stake out of a member
        else if (!m.staked) _mustFail(trainers[person], out, IMembers.NoStake.selector);
        else if (block.timestamp < m.unlockAt) _mustFail(trainers[person], out, IMembers.StakeLocked.selector);
        if (m.staked) {
            bytes memory again = abi.encodeCall(market.stakeFor, (project, trainers[person]));
            if (!ghosts[project].ended) _mustFail(stranger, again, IMembers.AlreadyStaked.selector);
        }
        _mustFail(stranger, abi.encodeCall(market.leave, (project)), IMembers.NotMember.selector);
    }

    function _bonds_(uint256 project) private {
        GhostProject storage p = ghosts[project];
        address who = _someAggregator(project);
        uint256 tooMuch = bondGhosts[project][who].free + 1;
        bytes4 low = IBonds.BondTooLow.selector;
        _mustFail(who, abi.encodeCall(market.withdrawBond, (project, tooMuch)), low); // F5: a locked bond
        _mustFail(stranger, abi.encodeCall(market.withdrawBond, (project, 1)), low);
        bytes memory deposit = abi.encodeCall(market.depositBond, (project, 1));
        _mustFail(stranger, deposit, IBonds.NotAggregator.selector);
        bytes memory accept = abi.encodeCall(market.accept, (project, p.round + 1));
        if (p.ended) return;
        _mustFail(stranger, accept, IBonds.NotAggregator.selector); // F6: acceptance by others, twice, or of another round
        if (p.acceptedRound == p.round + 1) _mustFail(who, accept, IBonds.RoundTaken.selector);
        accept = abi.encodeCall(market.accept, (project, p.round + 2));
        _mustFail(who, accept, IBonds.NotNextRound.selector);
    }

    // ---- F7: terminal states

    function _terminal(uint256 project, uint32 round, GhostRound storage r) private {
        bytes4 wrong = IRounds.WrongPhase.selector;
        Admission[] memory rows = _admissionsOf(r);
        bytes memory call = _encodeClose(project, round, rows);
        _mustFail(stranger, call, ISettlement.RoundAlreadyClosed.selector);
        _mustFail(r.acceptor, _settlementCall(project, round, rows, r.rows.length), wrong);
        _mustFail(stranger, _revealCall(project, round, r), wrong);
        _mustFail(r.acceptor, _batchCall(project, round), wrong);
        CommitLeaf[] memory batch = r.batch;
        uint32 number = memberGhosts[project][0].number;
        call = _encodeCommitSelf(project, round, number, keccak256("again"), batch);
        _mustFail(trainers[0], call, wrong);
    }

    /// @dev An older round can be claimed from, rescued and slashed, and nothing else.
    function _older(uint256 project, uint32 round) private {
        GhostRound storage r = roundGhosts[project][round];
        bytes4 old = IRounds.NotNewestRound.selector;
        Admission[] memory rows = _admissionsOf(r);
        _mustFail(stranger, _encodeClose(project, round, rows), old);
        _mustFail(r.acceptor, _settlementCall(project, round, rows, r.rows.length), old);
        _mustFail(stranger, _revealCall(project, round, r), old);
        _mustFail(r.acceptor, _batchCall(project, round), old);
    }

    // ---- F8: commitments

    function _inCommit(uint256 project, uint32 round, GhostRound storage r, uint256 person) private {
        CommitLeaf[] memory batch = r.batch;
        uint32 number = memberGhosts[project][person].number;
        bytes memory self =
            _encodeCommitSelf(project, round, number, keccak256("another"), batch);
        _mustFail(stranger, self, IRounds.NotTrainer.selector);
        if (places[project][round][person].seat == Seat.Self) {
            bool eligible = _eligible(project, round, person); // it may have left since
            bytes4 twice = eligible ? IRounds.AlreadyCommitted.selector : IRounds.NotEligible.selector;
            _mustFail(trainers[person], self, twice); // a second commitment
        }
        _mustFail(stranger, _batchCall(project, round), IRounds.NotBatcher.selector);
        uint256 until = r.commitEnd - ghosts[project].terms.windows.selfCommit;
        if (r.posted) {
            _mustFail(r.acceptor, _batchCall(project, round), IRounds.BatchAlreadyPosted.selector); // a second batch
        } else if (block.timestamp >= until) {
            _mustFail(r.acceptor, _batchCall(project, round), IRounds.BatchTooLate.selector);
        }
        _mustFail(stranger, _revealCall(project, round, r), IRounds.WrongPhase.selector); // reveals before tC + g
        Admission[] memory none;
        bytes memory close = _encodeClose(project, round, none);
        _mustFail(stranger, close, IProjects.RoundStillRunning.selector);
    }

    // ---- F9, F10: reveals

    function _beforeSettle(uint256 project, uint32 round, GhostRound storage r) private {
        bytes memory early = _settlementCall(project, round, _admissionsOf(r), r.rows.length);
        _mustFail(r.acceptor, early, IRounds.WrongPhase.selector);
        CommitLeaf[] memory batch = r.batch;
        Opening[] memory openings = new Opening[](1);
        openings[0].member = 1;
        bytes memory call = _encodeRescue(project, round, batch, openings);
        _mustFail(stranger, call, IRounds.OutsideWindow.selector); // F9: a rescue before tR
        call = _encodeSlash(project, round, 1, batch);
        _mustFail(stranger, call, IRounds.OutsideWindow.selector); // F9: a slash before tG
    }

    function _inReveal(uint256 project, uint32 round, GhostRound storage r) private {
        CommitLeaf[] memory batch = r.batch;
        Opening[] memory openings = new Opening[](1);
        openings[0].member = 1;
        Receipt[] memory receipts = new Receipt[](1);
        receipts[0] = _receipt(project, round, openings, 0, type(uint32).max, 0);
        receipts[0].witness = 1; // F10: a receipt in another witness's name
        bytes memory call = _encodeReveal(project, round, batch, openings, receipts);
        _mustFail(stranger, call, IRounds.ReceiptInvalid.selector);
        if (batch.length != 0) {
            batch[0].commitment = keccak256("forged"); // F10: another batch than the posted one
            receipts[0].witness = 0;
            call = _encodeReveal(project, round, batch, openings, receipts);
            _mustFail(stranger, call, IRounds.BatchMismatch.selector);
        }
    }

    // ---- F11, F12: settlement

    function _inSettle(uint256 project, uint32 round, GhostRound storage r) private {
        Admission[] memory rows = _admissionsOf(r);
        bytes memory right = _settlementCall(project, round, rows, r.rows.length);
        bool early = block.timestamp < _tS(project, r);
        bytes4 notYours = early ? ISettlement.NotYours.selector : IBonds.NotAggregator.selector;
        _mustFail(stranger, right, notYours); // F11: by anybody else
        bytes memory close = _encodeClose(project, round, rows);
        _mustFail(stranger, close, IProjects.RoundStillRunning.selector);
        _mustFail(stranger, _revealCall(project, round, r), IRounds.WrongPhase.selector);
        _otherRows(project, round, r);
        if (!early) return;
        // F13: with scores that the witnesses did not sign
        Settlement memory s = _settlementOf(project, round, rows, r.rows.length);
        s.outcomes[0] = 5 << 8;
        bytes memory call = _encodeSettle(project, round, s);
        _mustFail(r.acceptor, call, AttestedVerifier.AttestationInvalid.selector);
    }

    /// @dev F12: with other rows than the admitted ones, or the same ones cut into calls in another way.
    function _otherRows(uint256 project, uint32 round, GhostRound storage r) private {
        Row[] memory rows = r.rows;
        uint256 n = rows.length;
        Row[] memory fewer = new Row[](n - 1);
        for (uint256 i; i < fewer.length; ++i) fewer[i] = rows[i];
        _rowsMustFail(project, round, r, Packed.admissions(fewer));
        Row[] memory more = new Row[](n + 1);
        for (uint256 i; i < n; ++i) more[i] = rows[i];
        more[n] = Row(1, keccak256("invented"), _cid("invented"));
        _rowsMustFail(project, round, r, Packed.admissions(more));
        if (r.admissions.length > 1) _rowsMustFail(project, round, r, Packed.admissions(rows)); // as if by one call
        Admission[] memory list = _admissionsOf(r);
        Admission[] memory longer = new Admission[](list.length + 1); // and one of nobody
        for (uint256 i; i < list.length; ++i) longer[i] = list[i];
        _rowsMustFail(project, round, r, longer);
        list[_dice() % list.length].rows = keccak256("swapped");
        _rowsMustFail(project, round, r, list);
        list = _admissionsOf(r);
        list[0].members[3] ^= 0x40; // another member
        _rowsMustFail(project, round, r, list);
    }

    function _rowsMustFail(uint256 project, uint32 round, GhostRound storage r, Admission[] memory admissions) private {
        bytes memory call = _settlementCall(project, round, admissions, r.rows.length);
        _mustFail(r.acceptor, call, ISettlement.RowsMismatch.selector);
    }

    // ---- F14: slashes

    function _slashes(uint256 project, uint32 round, uint256 person) private {
        GhostRound storage r = roundGhosts[project][round];
        uint256 from = _tG(project, r);
        if (!_hadReveals(project, round) || block.timestamp < from || block.timestamp >= from + SLASH) return;
        Place storage place = places[project][round][person];
        if (place.seat != Seat.None && place.fate == Fate.Open) return;
        CommitLeaf[] memory batch = r.batch;
        uint32 number = memberGhosts[project][person].number;
        // nobody who did not commit, whose commitment was opened, or who was slashed already
        bytes memory call = _encodeSlash(project, round, number, batch);
        _mustFail(stranger, call, IRounds.NothingToSlash.selector);
    }

    // ---- F15, F16: claims

    function _claims(uint256 project, uint256 person) private {
        uint32 number = memberGhosts[project][person].number;
        if (number == 0) return;
        ClaimItem[] memory one = new ClaimItem[](1);
        (ClaimItem[] memory items, uint256 sum) = _claimable(project, person);
        if (sum != 0) {
            address to = address(0xBAD);
            bytes memory unsigned = _encodeClaimTo(project, number, items, to, uint64(block.timestamp), new bytes(65));
            _mustFail(stranger, unsigned, IPayouts.ClaimNotSigned.selector); // F16: to another address, unsigned
            one[0] = items[0];
            one[0].amount += 1; // F16: more than was earned
            _mustFail(
                trainers[person],
                _encodeClaim(project, number, one),
                IPayouts.ProofInvalid.selector
            );
        }
        for (uint32 round = ghosts[project].round; round > 0; --round) {
            GhostRound storage r = roundGhosts[project][round];
            for (uint256 i; i < r.pays.length; ++i) {
                uint32 member = r.rows[i].member; // F15: a second payout
                if (memberGhosts[project][personOf[project][member]].claimed >> round & 1 == 0) continue;
                one[0] = _claimItem(project, round, r.rows, r.pays, i);
                _mustFail(
                    stranger,
                    _encodeClaim(project, member, one),
                    IPayouts.AlreadyClaimed.selector
                );
                return;
            }
        }
    }

    // ---- calls that would be right in another state

    function _settlementOf(uint256 project, uint32 round, Admission[] memory admissions, uint256 n)
        private
        view
        returns (Settlement memory s)
    {
        s.admissions = admissions;
        s.outcomes = _outcomes(n, ONE);
        s.next = NextModel(keccak256("next"), _cid(keccak256("next")));
        s.bundle = _cid(keccak256("bundle"));
        s.evidence = _evidence(project, round, s, 3 - ghosts[project].terms.quorum, ghosts[project].terms.quorum);
    }

    function _settlementCall(uint256 project, uint32 round, Admission[] memory admissions, uint256 n)
        private
        view
        returns (bytes memory)
    {
        return _encodeSettle(project, round, _settlementOf(project, round, admissions, n));
    }

    function _revealCall(uint256 project, uint32 round, GhostRound storage r) private view returns (bytes memory) {
        CommitLeaf[] memory batch = r.batch;
        Opening[] memory openings = new Opening[](1);
        openings[0] = _openingOf(project, round, personOf[project][1], false);
        return _encodeReveal(project, round, batch, openings, _receipts(project, round, openings));
    }

    function _batchCall(uint256 project, uint32 round) private view returns (bytes memory) {
        CommitLeaf[] memory leaves = new CommitLeaf[](1);
        leaves[0] = CommitLeaf(1, keccak256("late"));
        CommitSignature[] memory signatures = new CommitSignature[](1);
        signatures[0] = _signLeaf(project, round, leaves[0], trainerKeys[personOf[project][1]]);
        return _encodeCommitBatch(project, round, leaves, signatures);
    }
}
