// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Phase, Receipt, WitnessSignature} from "../../../src/types/Types.sol";
import {CommitLeaf, Opening, Row} from "../../support/Packed.sol";
import {Did} from "../World.sol";
import {Aggregators} from "./Aggregators.sol";

/// @notice What witnesses say: openings endorsed, refused, contradicted, or passed over in silence; public facts; models.
abstract contract Witnesses is Aggregators {
    /// @dev Openings of one call, whether each is right, and whether the market could ever admit its CID.
    struct Shown {
        Opening[] openings;
        uint256[] persons;
        bool[] right;
        bool[] fetchable;
    }

    function _revealNow(uint256 project) internal returns (bool) {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        if (phase != Phase.Reveal) return false;
        Shown memory shown = _show(project, round);
        if (shown.openings.length == 0) return false;
        (Receipt[] memory receipts, uint256 endorsed, uint256 refused) = _say(project, round, shown.openings);
        CommitLeaf[] memory leaves = _leavesFor(project, round, r, shown.openings);
        if (leaves.length != r.batch.length) _count(Did.RevealWithoutLeaves);
        _send(project, stranger, _encodeReveal(project, round, leaves, shown.openings, receipts));
        _noteReveal(project, round, shown, endorsed, refused);
        if (r.unresolved == 0) r.revealEnd = block.timestamp;
        _count(Did.Reveal);
        return true;
    }

    function _noteReveal(uint256 project, uint32 round, Shown memory shown, uint256 endorsed, uint256 refused) private {
        GhostRound storage r = roundGhosts[project][round];
        uint256 before = r.rows.length;
        for (uint256 i; i < shown.openings.length; ++i) {
            bool no = refused >> i & 1 == 1;
            bool yes = endorsed >> i & 1 == 1;
            if (!shown.right[i] || !shown.fetchable[i] || (!no && !yes)) {
                _count(Did.OpeningSkipped);
                continue;
            }
            places[project][round][shown.persons[i]].fate = no ? Fate.Refused : Fate.Admitted;
            r.unresolved -= 1;
            if (no) r.refused += 1;
            else r.rows.push(Row(shown.openings[i].member, shown.openings[i].update, shown.openings[i].cid));
            _count(no ? Did.UpdateRefused : Did.UpdateAdmitted);
        }
        _noteAdmission(r, before);
    }

    /// @dev The whole batch, or what the market cannot rebuild from the openings: leaves that none of them opens.
    function _leavesFor(uint256 project, uint32 round, GhostRound storage r, Opening[] memory openings)
        internal
        returns (CommitLeaf[] memory leaves)
    {
        CommitLeaf[] memory batch = r.batch;
        if (batch.length == 0 || _oneIn(3)) return batch;
        for (uint256 k; k < openings.length; ++k) {
            // Somebody without a leaf and without a commitment of its own: only the whole batch shows that.
            if (_standsIn(batch, openings[k].member)) continue;
            if (_seatOf(project, round, openings[k].member) != Seat.Self) return batch;
        }
        uint256 kept;
        bool[] memory keep = new bool[](batch.length);
        for (uint256 i; i < batch.length; ++i) {
            keep[i] = _oneIn(8) || !_isOpened(project, round, batch[i], openings);
            if (keep[i]) ++kept;
        }
        leaves = new CommitLeaf[](kept);
        for (uint256 i = batch.length; i > 0; --i) if (keep[i - 1]) leaves[--kept] = batch[i - 1];
    }

    /// @dev Whether one of the openings opens the leaf. A member who committed itself opens that commitment and no leaf.
    function _isOpened(uint256 project, uint32 round, CommitLeaf memory leaf, Opening[] memory openings)
        private
        view
        returns (bool)
    {
        if (_seatOf(project, round, leaf.member) == Seat.Self) return false;
        for (uint256 k; k < openings.length; ++k) {
            if (openings[k].member == leaf.member) {
                return _commitmentOf(project, round, openings[k]) == leaf.commitment;
            }
        }
        return false;
    }

    /// @dev Nobody has the number 0, or one that was not given.
    function _seatOf(uint256 project, uint32 round, uint32 member) private view returns (Seat) {
        if (member > ghosts[project].numbers) return Seat.None;
        return places[project][round][personOf[project][member]].seat;
    }

    function _standsIn(CommitLeaf[] memory batch, uint32 member) private pure returns (bool) {
        for (uint256 i; i < batch.length; ++i) if (batch[i].member == member) return true;
        return false;
    }

    /// @dev Mostly everybody who committed; sometimes with a wrong salt, sometimes somebody who did not commit or whose
    /// commitment is resolved.
    function _show(uint256 project, uint32 round) internal returns (Shown memory shown) {
        uint32 numbers = ghosts[project].numbers;
        uint256 left = _oneIn(3) ? _dice() : 0;
        uint256 n;
        bool[] memory chosen = new bool[](numbers + 1);
        for (uint32 number = 1; number <= numbers; ++number) {
            Place storage place = places[project][round][personOf[project][number]];
            bool due = place.seat != Seat.None && place.fate == Fate.Open;
            // Lets its reveal slip, whatever happens: anybody now and then, one of them every other round.
            bool shy = uint256(place.commitment) % (personOf[project][number] == 1 ? 2 : 8) == 0;
            chosen[number] = due ? left >> number & 1 == 0 && !shy : _oneIn(12);
            if (chosen[number]) ++n;
        }
        shown.openings = new Opening[](n);
        shown.persons = new uint256[](n);
        shown.right = new bool[](n);
        shown.fetchable = new bool[](n);
        uint256 at;
        for (uint32 number = 1; number <= numbers; ++number) {
            if (chosen[number]) _showOne(project, round, shown, at++, personOf[project][number]);
        }
    }

    function _showOne(uint256 project, uint32 round, Shown memory shown, uint256 at, uint256 person) private {
        Place storage place = places[project][round][person];
        Opening memory o = _openingOf(project, round, person, place.seat == Seat.Self);
        bool wrong = _oneIn(14);
        if (wrong) o.salt = keccak256(abi.encode(o.salt));
        shown.openings[at] = o;
        shown.persons[at] = person;
        shown.right[at] = !wrong && place.seat != Seat.None && place.fate == Fate.Open;
        shown.fetchable[at] = o.cid.codec != 0x71;
    }

    /// @dev Receipts of some of the three witnesses, and what a quorum of them says, counted one by one.
    function _say(uint256 project, uint32 round, Opening[] memory openings)
        private
        returns (Receipt[] memory receipts, uint256 endorsed, uint256 refused)
    {
        uint256 quorum = ghosts[project].terms.quorum;
        uint256 first = quorum == 3 || !_oneIn(3) ? 0 : 1; // without the first witness
        receipts = new Receipt[](3 - first);
        uint256[32] memory yes;
        uint256[32] memory no;
        bool quarrel = _oneIn(3);
        uint256 common = _dice() & _dice();
        for (uint256 i; i < receipts.length; ++i) {
            uint32 refuses = uint32(quarrel ? common | (_dice() & _dice() & _dice()) : 0);
            uint32 endorses = uint32(quarrel && _oneIn(2) ? ~(_dice() & _dice() & _dice()) : ~uint256(refuses));
            receipts[i] = _receipt(project, round, openings, first + i, endorses, refuses);
            for (uint256 k; k < openings.length; ++k) {
                bool e = endorses >> k & 1 == 1;
                bool f = refuses >> k & 1 == 1;
                if (e && !f) ++yes[k];
                if (f && !e) ++no[k];
            }
        }
        for (uint256 k; k < openings.length; ++k) {
            if (yes[k] >= quorum) endorsed |= 1 << k;
            if (no[k] >= quorum) refused |= 1 << k;
        }
    }

    function _revealValidation(uint256 project) internal returns (bool) {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        if (phase != Phase.Guard && phase != Phase.Reveal) return false;
        if (ghosts[project].terms.validationRoot == 0 || r.validation != 0 || round > VALIDATION_BATCHES) return false;
        bytes32 digest = _validationDigest(round);
        bytes32[] memory proof = _proof(_validationLeaves(), round - 1);
        _send(project, stranger, abi.encodeCall(market.revealValidation, (project, round, digest, proof)));
        r.validation = digest;
        _count(Did.RevealValidation);
        return true;
    }

    function _postPublicRows(uint256 project) internal returns (bool) {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        if (phase != Phase.Settle || r.publicRows != 0) return false;
        bytes32 rows = keccak256(abi.encode("public rows", project, round));
        bytes32 struct_ =
            keccak256(abi.encode(keccak256("PublicRows(uint256 project,uint32 round,bytes32 rows)"), project, round, rows));
        _send(
            project,
            stranger,
            abi.encodeCall(market.postPublicRows, (project, round, rows, _quorumOver(project, struct_)))
        );
        r.publicRows = rows;
        _count(Did.PostPublicRows);
        return true;
    }

    function _receiptModel(uint256 project) internal returns (bool) {
        GhostProject storage p = ghosts[project];
        if (p.pending == 0) return false;
        bytes32 struct_ =
            keccak256(abi.encode(keccak256("ModelReceipt(uint256 project,bytes32 model)"), project, p.pending));
        _send(
            project, stranger, abi.encodeCall(market.receiptModel, (project, _quorumOver(project, struct_)))
        );
        p.model = p.pending;
        p.pending = 0;
        _count(Did.ReceiptModel);
        return true;
    }

    /// @dev The last `quorum` of the three witnesses.
    function _quorumOver(uint256 project, bytes32 struct_) private view returns (WitnessSignature[] memory list) {
        uint256 quorum = ghosts[project].terms.quorum;
        bytes32 digest = _digest("CohortMarket", address(market), struct_);
        list = new WitnessSignature[](quorum);
        for (uint256 i; i < quorum; ++i) {
            uint256 witness = 3 - quorum + i;
            (bytes32 r, bytes32 vs) = _compact(witnessKeys[witness], digest);
            list[i] = WitnessSignature(uint8(witness), r, vs);
        }
    }
}
