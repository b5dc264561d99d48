// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Rules} from "../projects/TermsCode.sol";
import {Phase} from "../types/Types.sol";

/// @notice What a round's calls read and write: one slot in storage, see RoundState.load. Times are unix seconds.
struct Header {
    uint256 openedAt; // bits 0 - 39; 0: not opened
    uint256 commitEnd; // 40 - 79; tC
    uint256 revealEnd; // 80 - 119; tR. All other times follow from these two and the project's windows
    uint256 batchBits; // 120 - 151; bit i: leaf i of the batch counts
    uint256 resolvedBits; // 152 - 183; bit i: leaf i was admitted, refused, rescued or slashed
    uint256 batchCount; // 184 - 191; ones in batchBits
    uint256 selfCount; // 192 - 199; commitments posted by their trainers
    uint256 unresolved; // 200 - 207; commitments neither admitted, refused, rescued nor slashed
    uint256 admitted; // 208 - 215; n
    uint256 refused; // 216 - 223; opened, and refused by a quorum
    uint256 expected; // 224 - 231; commitments that end the commit phase
    bool batchPosted; // 232 - 239
    Phase outcome; // 240 - 247; Final, Void or Defaulted once the money has been moved, else None
    bool validated; // 248; the validation batch is public
    bool publicRowsPosted; // 249
}

/// @notice One round in storage.
struct Round {
    uint256 header; // slot 0, a packed Header
    // The words below keep what the round before left in them until they are written: only the header says whether they
    // hold anything. Overwriting an old word costs 5,000 gas, writing a fresh one 22,100.
    bytes32 batchHash; // keccak256 of the leaves; valid if batchPosted
    bytes32 admittedHash; // chain over the rows; valid if admitted > 0
    address acceptor; // 160 bits; bonded aggregator of this round
    bytes32 validation; // digest of the validation batch; valid if validated
    bytes32 publicRows; // commitment of the public rows; valid if publicRowsPosted
}

/// @title RoundState: the phase of a round, and how deadlines move
library RoundState {
    function load(Round storage r) internal view returns (Header memory h) {
        loadInto(r, h);
    }

    /// @dev One read; the compiler would read the slot once for every member.
    function loadInto(Round storage r, Header memory h) internal view {
        uint256 word = r.header;
        h.openedAt = uint40(word);
        h.commitEnd = uint40(word >> 40);
        h.revealEnd = uint40(word >> 80);
        h.batchBits = uint32(word >> 120);
        h.resolvedBits = uint32(word >> 152);
        h.batchCount = uint8(word >> 184);
        h.selfCount = uint8(word >> 192);
        h.unresolved = uint8(word >> 200);
        h.admitted = uint8(word >> 208);
        h.refused = uint8(word >> 216);
        h.expected = uint8(word >> 224);
        h.batchPosted = uint8(word >> 232) != 0;
        h.outcome = Phase(uint8(word >> 240));
        h.validated = word >> 248 & 1 == 1;
        h.publicRowsPosted = word >> 249 & 1 == 1;
    }

    /// @dev One write. Every member fits its place: times are below 2^40 for 34,000 years, counts are at most 32, and bits are
    /// set below 32 only.
    function save(Round storage r, Header memory h) internal {
        uint256 word = h.openedAt | h.commitEnd << 40 | h.revealEnd << 80 | h.batchBits << 120 | h.resolvedBits << 152;
        word |= h.batchCount << 184 | h.selfCount << 192 | h.unresolved << 200 | h.admitted << 208;
        word |= h.refused << 216 | h.expected << 224 | uint256(h.outcome) << 240;
        if (h.batchPosted) word |= 1 << 232;
        if (h.validated) word |= 1 << 248;
        if (h.publicRowsPosted) word |= 1 << 249;
        r.header = word;
    }

    /// @notice A pure function of storage and time: nobody has to poke a round for its phase to change.
    function phaseAt(Header memory h, Rules memory rules, uint256 time) internal pure returns (Phase) {
        if (h.openedAt == 0) return Phase.None;
        if (h.outcome != Phase.None) return h.outcome;
        if (time < h.commitEnd) return Phase.Commit;
        if (commits(h) < rules.minTrainers) return Phase.Void;
        if (time < revealStart(h, rules)) return Phase.Guard;
        if (time < h.revealEnd) return Phase.Reveal;
        if (h.admitted < rules.minTrainers) return Phase.Void;
        if (time < settleEnd(h, rules)) return Phase.Settle;
        return Phase.Defaulted;
    }

    /// @notice tC + g.
    function revealStart(Header memory h, Rules memory rules) internal pure returns (uint256) {
        return h.commitEnd + rules.guardWindow;
    }

    /// @notice tG: until then an unrevealed commitment can be rescued, from then on slashed.
    function rescueEnd(Header memory h, Rules memory rules) internal pure returns (uint256) {
        return h.revealEnd + rules.rescueWindow;
    }

    /// @notice tS: until then only the aggregator that accepted the round may settle it.
    function acceptorEnd(Header memory h, Rules memory rules) internal pure returns (uint256) {
        return rescueEnd(h, rules) + rules.settleWindow;
    }

    /// @notice tF.
    function settleEnd(Header memory h, Rules memory rules) internal pure returns (uint256) {
        return acceptorEnd(h, rules) + rules.takeoverWindow;
    }

    /// @notice Commitments that count.
    function commits(Header memory h) internal pure returns (uint256) {
        return h.batchCount + h.selfCount;
    }

    /// @notice Whether reveals were ever due: a round that is void at tC for want of commitments punishes nobody.
    function hadReveals(Header memory h, Rules memory rules) internal pure returns (bool) {
        return commits(h) >= rules.minTrainers;
    }

    /// @notice Ends the commit phase now if everyone has committed. All later windows keep their length.
    function endCommitIfComplete(Header memory h) internal view returns (bool) {
        if (commits(h) < h.expected) return false;
        uint256 shift = h.commitEnd - block.timestamp;
        h.commitEnd -= shift;
        h.revealEnd -= shift;
        return true;
    }

    /// @notice Ends the reveal phase now if no commitment is unresolved.
    function endRevealIfComplete(Header memory h) internal view returns (bool) {
        if (h.unresolved != 0) return false;
        h.revealEnd = block.timestamp;
        return true;
    }
}
