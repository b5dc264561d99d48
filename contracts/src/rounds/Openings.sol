// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../interfaces/IRounds.sol";
import {CommitLeaf, Opening, SkipReason} from "../types/Types.sol";
import {AdmittedRows} from "./AdmittedRows.sol";
import {Call, RoundBase} from "./RoundBase.sol";
import {Header, Round} from "./RoundState.sol";
import {Seats} from "./Seats.sol";

/// @title Openings: finding the commitment that an opening opens, and resolving it once
abstract contract Openings is RoundBase {
    /// @dev What the witnesses say of the openings of one call, and how far the batch has been walked.
    struct Walk {
        uint256 endorsed; // bitmap
        uint256 refused; // bitmap
        uint256 cursor; // position in the batch
        bytes32 admittedHash;
        AdmittedRows.Buffer rows;
    }

    uint256 internal constant MAX_OPENINGS = 32; // bits of a receipt

    /// @dev In place of a self-posted commitment once it was resolved: no commitment hashes to it.
    bytes32 internal constant RESOLVED = bytes32(uint256(1));

    /// @dev The batch as posted, or none if every commitment in question was self-posted.
    function _checkBatchHash(Round storage r, Header memory h, CommitLeaf[] calldata batch) internal view {
        bytes32 found = Seats.hashOf(batch);
        bytes32 stored = h.batchPosted ? r.batchHash : bytes32(0);
        if (found != stored) revert IRounds.BatchMismatch(found, stored);
    }

    function _checkOpenings(Opening[] calldata openings) internal pure {
        if (openings.length == 0) revert IRounds.NoOpenings();
        if (openings.length > MAX_OPENINGS) revert IRounds.TooManyOpenings(openings.length, MAX_OPENINGS);
        uint256 previous;
        for (uint256 i; i < openings.length; ++i) {
            if (openings[i].member <= previous) revert IRounds.OpeningsNotIncreasing(i);
            previous = openings[i].member;
        }
    }

    /// @dev Where the commitment of an opening stands, and whether the opening is right. Openings and batch are both
    /// sorted by member, so one walk over the batch finds all of them.
    /// @return leaf position in the batch, or Seats.NONE for a self-posted commitment.
    function _seatOf(Call memory c, Walk memory walk, CommitLeaf[] calldata batch, Opening calldata o)
        internal
        view
        returns (uint256 leaf, SkipReason reason)
    {
        uint256 at = walk.cursor;
        while (at < batch.length && batch[at].member < o.member) ++at;
        walk.cursor = at;
        bytes32 committed;
        leaf = Seats.NONE;
        if (at < batch.length && batch[at].member == o.member && c.header.batchBits >> at & 1 == 1) {
            if (c.header.resolvedBits >> at & 1 == 1) return (at, SkipReason.AlreadyResolved);
            leaf = at;
            committed = batch[at].commitment;
        } else if (c.header.selfCount != 0) {
            committed = _selfCommits[c.project][c.round][o.member];
            if (committed == RESOLVED) return (leaf, SkipReason.AlreadyResolved);
        }
        if (committed == 0) return (leaf, SkipReason.NotCommitted);
        if (committed != Seats.commitmentOf(c.project, c.round, o)) return (leaf, SkipReason.WrongOpening);
        return (leaf, SkipReason.None);
    }

    /// @dev A commitment is resolved once: admitted, refused, rescued or slashed.
    function _resolve(Call memory c, uint256 leaf, uint256 member) internal {
        if (leaf == Seats.NONE) _selfCommits[c.project][c.round][member] = RESOLVED;
        else c.header.resolvedBits |= uint32(1 << leaf);
        c.header.unresolved -= 1;
    }
}
