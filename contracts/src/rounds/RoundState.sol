// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Rules} from "../projects/TermsCode.sol";
import {Phase} from "../types/Types.sol";

/// @notice What a round's calls read and write, in one slot. Times are unix seconds.
struct Header {
    uint40 openedAt; // 0: not opened
    uint40 commitEnd; // tC
    uint40 revealEnd; // tR. All other times follow from these two and the project's windows
    uint32 batchBits; // bit i: leaf i of the batch counts
    uint32 resolvedBits; // bit i: leaf i was admitted, refused, rescued or slashed
    uint8 batchCount; // ones in batchBits
    uint8 selfCount; // commitments posted by their trainers
    uint8 unresolved; // commitments neither admitted, refused, rescued nor slashed
    uint8 admitted; // n
    uint8 refused; // opened, and refused by a quorum
    uint8 expected; // commitments that end the commit phase
    bool batchPosted;
    Phase outcome; // Final, Void or Defaulted once the money has been moved, else None
}

/// @notice One round in storage.
struct Round {
    Header header; // slot 0
    // The words below keep what the round before left in them until they are written: only the header says whether they
    // hold anything. Overwriting an old word costs 5,000 gas, writing a fresh one 22,100.
    bytes32 batchHash; // keccak256 of the leaves; valid if batchPosted
    bytes32 admittedHash; // chain over the rows; valid if admitted > 0
    address acceptor; // 160 bits; bonded aggregator of this round
    bytes32 validation; // digest of the validation batch; zero: not revealed
    bytes32 publicRows; // commitment of the public rows; zero: none posted
}

/// @title RoundState: the phase of a round, and how deadlines move
library RoundState {
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
        return uint256(h.batchCount) + h.selfCount;
    }

    /// @notice Whether reveals were ever due: a round that is void at tC for want of commitments punishes nobody.
    function hadReveals(Header memory h, Rules memory rules) internal pure returns (bool) {
        return commits(h) >= rules.minTrainers;
    }

    /// @notice Ends the commit phase now if everyone has committed. All later windows keep their length.
    function endCommitIfComplete(Header memory h) internal view returns (bool) {
        if (commits(h) < h.expected) return false;
        uint40 shift = h.commitEnd - uint40(block.timestamp);
        h.commitEnd -= shift;
        h.revealEnd -= shift;
        return true;
    }

    /// @notice Ends the reveal phase now if no commitment is unresolved.
    function endRevealIfComplete(Header memory h) internal view returns (bool) {
        if (h.unresolved != 0) return false;
        h.revealEnd = uint40(block.timestamp);
        return true;
    }
}
