// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../interfaces/IRounds.sol";
import {CommitLeaf, Opening, SkipReason} from "../types/Types.sol";
import {AdmittedRows} from "./AdmittedRows.sol";
import {Call, RoundBase} from "./RoundBase.sol";
import {Header, Round} from "./RoundState.sol";
import {Seats} from "./Seats.sol";
import {SelfCommits} from "./SelfCommits.sol";

/// @title Openings: finding the commitment that an opening opens, and resolving it once
abstract contract Openings is RoundBase, SelfCommits {
    /// @dev What the witnesses say of the openings of one call, and how far the batch has been walked.
    struct Walk {
        uint256 endorsed; // bitmap
        uint256 refused; // bitmap
        uint256 cursor; // position in the batch
        uint256 previous; // member of the opening before
        uint256[10] frame; // see Seats
        uint256[3] admitted; // the chain over the rows, and the words of its next link
        AdmittedRows.Buffer rows;
    }

    uint256 internal constant MAX_OPENINGS = 32; // bits of a receipt

    /// @dev The batch as posted, or none if every commitment in question was self-posted.
    function _checkBatchHash(Round storage r, Header memory h, CommitLeaf[] calldata batch) internal view {
        bytes32 found = Seats.hashOf(batch);
        bytes32 stored = h.batchPosted ? r.batchHash : bytes32(0);
        if (found != stored) revert IRounds.BatchMismatch(found, stored);
    }

    function _checkCount(Opening[] calldata openings) internal pure {
        if (openings.length == 0) revert IRounds.NoOpenings();
        if (openings.length > MAX_OPENINGS) revert IRounds.TooManyOpenings(openings.length, MAX_OPENINGS);
    }

    /// @dev Where the commitment of an opening stands, and whether the opening is right. Openings and batch are both
    /// sorted by member, so one walk over the batch finds all of them.
    /// @return leaf position in the batch, or Seats.NONE for a self-posted commitment.
    function _seatOf(Call memory c, Walk memory walk, CommitLeaf[] calldata batch, Opening calldata o, uint256 index)
        internal
        view
        returns (uint256 leaf, SkipReason reason)
    {
        uint256 member = o.member;
        if (member <= walk.previous) revert IRounds.OpeningsNotIncreasing(index);
        walk.previous = member;
        leaf = _find(c.header, walk, batch, member);
        // slither-disable-next-line uninitialized-local (no commitment until found)
        bytes32 committed;
        // slither-disable-next-line uninitialized-local (not resolved until found so)
        bool resolved;
        if (leaf != Seats.NONE) {
            resolved = c.header.resolvedBits >> leaf & 1 == 1;
            committed = batch[leaf].commitment;
        } else if (c.header.selfCount != 0) {
            (committed, resolved) = _selfCommit(c.project, c.round, member);
        }
        if (committed == 0) return (leaf, SkipReason.NotCommitted);
        if (resolved) return (leaf, SkipReason.AlreadyResolved);
        bytes32 opened = Seats.commitmentIn(walk.frame, o);
        if (leaf == Seats.NONE) opened = bytes27(opened);
        return (leaf, committed == opened ? SkipReason.None : SkipReason.WrongOpening);
    }

    /// @dev Position of the member's leaf, if it has one that counts. Moves the walk on to it.
    function _find(Header memory h, Walk memory walk, CommitLeaf[] calldata batch, uint256 member)
        private
        pure
        returns (uint256)
    {
        uint256 at = walk.cursor;
        uint256 count = batch.length;
        uint256 found;
        while (at < count) {
            found = batch[at].member;
            if (found >= member) break;
            ++at;
        }
        if (found != member) {
            walk.cursor = at;
            return Seats.NONE;
        }
        walk.cursor = at + 1; // the next opening is of a later member
        return h.batchBits >> at & 1 == 1 ? at : Seats.NONE;
    }

    /// @dev A commitment is resolved once: admitted, refused, rescued or slashed.
    function _resolve(Call memory c, uint256 leaf, uint256 member) internal {
        if (leaf == Seats.NONE) _resolveSelfCommit(c.project, c.round, member);
        else c.header.resolvedBits |= 1 << leaf;
        c.header.unresolved -= 1;
    }
}
