// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../interfaces/IRounds.sol";
import {SkipReason} from "../types/Types.sol";
import {Leaves} from "./Leaves.sol";
import {Call, RoundBase} from "./RoundBase.sol";
import {Header, Round} from "./RoundState.sol";
import {Rows} from "./Rows.sol";
import {SelfCommits} from "./SelfCommits.sol";

/// @title Openings: finding the commitment that a row opens, and resolving it once
/// @notice The market keeps only the hash of a batch. A caller brings the whole batch, or, which is cheaper, only the leaves that
/// it does not open: the others follow from the rows and salts, and the hash of all of them must be the stored one.
abstract contract Openings is RoundBase, SelfCommits {
    /// @dev How far the rows of a call, and the batch beside them, have been walked. Both are sorted by member.
    struct Walk {
        bool whole; // the leaves given are the whole batch
        uint256 leaf; // calldata: the next leaf given
        uint256 leavesEnd; // calldata
        uint256 row; // calldata: the row that is looked at
        uint256 salt; // calldata: its salt
        uint256 member; // of that row, or of the one before it while it has not been looked at
        uint256 position; // in the batch, of the next leaf
        uint256 scratch; // memory: domain of the round's commitments, and room to hash one
        uint256 rebuilt; // memory: the batch, as far as it was walked, if not `whole`
    }

    uint256 private constant SCRATCH = 192; // bytes
    uint256 private constant REBUILT = 2336; // at most 32 leaves given and 32 opened, and a word that the last may write over

    function _beginWalk(
        Round storage r,
        Call memory c,
        bytes calldata leaves,
        bytes calldata rows,
        bytes32[] calldata salts
    ) internal view returns (Walk memory walk) {
        // slither-disable-next-line unused-return (the number of leaves follows from their span)
        Leaves.count(leaves);
        (walk.leaf, walk.leavesEnd) = Leaves.span(leaves);
        (walk.row, walk.salt) = Rows.start(rows, salts);
        if (!c.header.batchPosted) {
            if (leaves.length != 0) revert IRounds.BatchMismatch(keccak256(leaves), 0);
            walk.whole = true;
        } else {
            walk.whole = leaves.length != 0 && keccak256(leaves) == r.batchHash;
        }
        bytes32 domain = Rows.domainOf(c.project, c.round);
        uint256 free;
        assembly ("memory-safe") {
            free := mload(0x40)
            mstore(free, domain)
            mstore(0x40, add(free, add(SCRATCH, REBUILT)))
        }
        walk.scratch = free;
        walk.rebuilt = free + SCRATCH;
    }

    /// @dev Position of the member's leaf in the posted batch, which `leaves` must be, or Leaves.NONE. Whether the leaf counts is
    /// another question.
    function _leafOf(Round storage r, Header memory h, bytes calldata leaves, uint256 member)
        internal
        view
        returns (uint256)
    {
        if (!h.batchPosted && leaves.length == 0) return Leaves.NONE;
        bytes32 stored = h.batchPosted ? r.batchHash : bytes32(0);
        bytes32 found = keccak256(leaves);
        if (found != stored) revert IRounds.BatchMismatch(found, stored);
        return Leaves.find(leaves, member);
    }

    /// @dev Where the commitment of the row stands, and whether the row opens it.
    /// @param index of the row in the call.
    /// @return leaf position in the batch, or Leaves.NONE for a self-posted commitment.
    function _seatOf(Call memory c, Walk memory walk, uint256 index)
        internal
        view
        returns (uint256 leaf, SkipReason reason)
    {
        uint256 member = Rows.memberAt(walk.row);
        if (member <= walk.member) revert IRounds.OpeningsNotIncreasing(index);
        walk.member = member;
        if (walk.leaf < walk.leavesEnd) _passLeaves(walk, member);
        bytes32 opened = Rows.commitmentAt(walk.row, walk.salt, walk.scratch);
        leaf = walk.position;
        if (walk.leaf < walk.leavesEnd && Leaves.memberAt(walk.leaf) == member) {
            bytes32 committed = Leaves.commitmentAt(walk.leaf);
            _passLeaf(walk);
            if (c.header.batchBits >> leaf & 1 == 1) return (leaf, _reasonAt(c, leaf, committed == opened));
        } else if (!walk.whole && !_hasSelfCommit(c, member)) {
            _pass(walk, member, opened); // right, if the rebuilt batch is
            if (c.header.batchBits >> leaf & 1 == 1) return (leaf, _reasonAt(c, leaf, true));
        }
        return (Leaves.NONE, _selfReason(c, member, opened));
    }

    function _nextRow(Walk memory walk) internal pure {
        unchecked {
            walk.row += Rows.BYTES;
            walk.salt += 32;
        }
    }

    /// @dev After the last row: the leaves, given and opened, were those of the posted batch. Without any leaf there is nothing
    /// to compare: all rows opened self-posted commitments.
    function _endWalk(Round storage r, Walk memory walk) internal view {
        if (walk.whole) return;
        _passLeaves(walk, type(uint256).max);
        if (walk.position == 0) return;
        uint256 end = walk.rebuilt;
        uint256 length = walk.position * Leaves.BYTES;
        bytes32 found;
        assembly ("memory-safe") {
            found := keccak256(sub(end, length), length)
        }
        if (found != r.batchHash) revert IRounds.BatchMismatch(found, r.batchHash);
    }

    /// @dev A commitment is resolved once: admitted, refused, rescued or slashed.
    function _resolve(Call memory c, uint256 leaf, uint256 member) internal {
        if (leaf == Leaves.NONE) _resolveSelfCommit(c.project, c.round, member);
        else c.header.resolvedBits |= 1 << leaf;
        unchecked {
            c.header.unresolved -= 1; // counts every commitment that is not resolved
        }
    }

    /// @dev The leaves of members before `member`.
    function _passLeaves(Walk memory walk, uint256 member) private pure {
        while (walk.leaf < walk.leavesEnd && Leaves.memberAt(walk.leaf) < member) _passLeaf(walk);
    }

    /// @dev The next of the leaves given.
    function _passLeaf(Walk memory walk) private pure {
        uint256 at = walk.leaf;
        _pass(walk, Leaves.memberAt(at), Leaves.commitmentAt(at));
        unchecked {
            walk.leaf = at + Leaves.BYTES;
        }
    }

    /// @dev One leaf of the batch, given or opened.
    function _pass(Walk memory walk, uint256 member, bytes32 commitment) private pure {
        unchecked {
            ++walk.position;
            if (walk.whole) return;
            uint256 at = walk.rebuilt;
            assembly ("memory-safe") {
                mstore(at, shl(224, member))
                mstore(add(at, 4), commitment)
            }
            walk.rebuilt = at + Leaves.BYTES;
        }
    }

    function _reasonAt(Call memory c, uint256 leaf, bool right) private pure returns (SkipReason) {
        if (c.header.resolvedBits >> leaf & 1 == 1) return SkipReason.AlreadyResolved;
        return right ? SkipReason.None : SkipReason.WrongOpening;
    }

    function _hasSelfCommit(Call memory c, uint256 member) private view returns (bool) {
        if (c.header.selfCount == 0) return false;
        (bytes27 committed,) = _selfCommit(c.project, c.round, member);
        return committed != 0;
    }

    function _selfReason(Call memory c, uint256 member, bytes32 opened) private view returns (SkipReason) {
        if (c.header.selfCount == 0) return SkipReason.NotCommitted;
        (bytes27 committed, bool resolved) = _selfCommit(c.project, c.round, member);
        if (committed == 0) return SkipReason.NotCommitted;
        if (resolved) return SkipReason.AlreadyResolved;
        return committed == bytes27(opened) ? SkipReason.None : SkipReason.WrongOpening;
    }
}
