// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Phase} from "../types/Types.sol";

/// @notice One round in storage. Times are unix seconds, half-open intervals.
/// @dev 32-bit times end in February 2106; opening a round then reverts, and nothing that pays out reads a clock.
struct Round {
    // slot 0
    uint32 openedAt; // 0: not opened
    uint32 commitEnd; // tC
    uint32 revealStart; // tC + g
    uint32 revealEnd; // tR
    uint32 settleEnd; // tF
    uint16 eligible; // members when it opened, at most 65,535
    uint8 batchCount; // batch leaves that count: not replaced by their trainers
    uint8 selfCount; // commitments posted by their trainers
    uint8 admitted; // n
    uint8 refused; // revealed, and refused by a quorum
    Phase outcome; // Final, Void or Defaulted once the money has been moved, else None
    uint32 claimedBits; // bit i: row i has been claimed
    // slots 1 - 4
    bytes32 batchHash; // keccak256(abi.encode(CommitLeaf[])), 0 before the batch
    bytes32 admittedHash; // chain of keccak256(abi.encode(previous, trainer, update))
    bytes32 model; // commitment of the model that this round starts from
    bytes32 payoutRoot;
}

/// @title RoundState: the phase of a round, and how deadlines move
library RoundState {
    /// @notice A pure function of storage and time: nobody has to poke a round for its phase to change.
    function phaseAt(Round storage r, uint256 minTrainers, uint256 time) internal view returns (Phase) {
        if (r.openedAt == 0) return Phase.None;
        if (r.outcome != Phase.None) return r.outcome;
        if (time < r.commitEnd) return Phase.Commit;
        if (commits(r) < minTrainers) return Phase.Void;
        if (time < r.revealStart) return Phase.Guard;
        if (time < r.revealEnd) return Phase.Reveal;
        if (r.admitted < minTrainers) return Phase.Void;
        if (time < r.settleEnd) return Phase.Settle;
        return Phase.Defaulted;
    }

    /// @notice Commitments that can still become, or have become, a row.
    function commits(Round storage r) internal view returns (uint256) {
        return uint256(r.batchCount) + r.selfCount;
    }

    /// @notice Everyone who may commit has. A member that leaves while a round runs may still commit to it, so the
    /// round goes on counting it; the deadline bounds the wait.
    function everyoneCommitted(Round storage r, uint256 slots) internal view returns (bool) {
        return commits(r) >= (r.eligible < slots ? r.eligible : slots);
    }

    /// @notice Every commitment has been admitted or refused.
    function everyoneRevealed(Round storage r) internal view returns (bool) {
        return uint256(r.admitted) + r.refused >= commits(r);
    }

    /// @notice Ends the commit phase now. The guard and all later windows keep their length.
    function endCommitPhase(Round storage r) internal {
        uint32 shift = r.commitEnd - uint32(block.timestamp);
        r.commitEnd -= shift;
        r.revealStart -= shift;
        r.revealEnd -= shift;
        r.settleEnd -= shift;
    }

    /// @notice Ends the reveal phase now. The settle window keeps its length.
    function endRevealPhase(Round storage r) internal {
        uint32 shift = r.revealEnd - uint32(block.timestamp);
        r.revealEnd -= shift;
        r.settleEnd -= shift;
    }
}
