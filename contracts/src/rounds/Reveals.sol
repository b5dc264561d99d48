// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {Phase, Receipt, SkipReason} from "../types/Types.sol";
import {Cids} from "./Cids.sol";
import {Commits} from "./Commits.sol";
import {Leaves} from "./Leaves.sol";
import {Call} from "./RoundBase.sol";
import {Header, Round, RoundState} from "./RoundState.sol";
import {Rows} from "./Rows.sol";
import {Tally} from "./Tally.sol";

/// @title Reveals: opened commitments that a quorum of witnesses vouches for become rows
abstract contract Reveals is Commits {
    using RoundState for Header;
    using Tally for Tally.Count;

    bytes32 internal constant RECEIPT_TYPEHASH =
        keccak256("Receipt(uint256 project,uint32 round,bytes32 openingsHash,uint32 endorsed,uint32 refused)");

    /// @dev What the witnesses say of the rows of one call, and those admitted so far.
    struct Verdict {
        uint256 endorsed; // bitmap
        uint256 refused; // bitmap
        uint256 admitted; // rows
        bytes rows; // packed as in Rows; the length is right only at the end
        bytes members; // 4 bytes each, likewise
    }

    /// @inheritdoc IRounds
    function reveal(
        uint256 project,
        uint32 round,
        bytes calldata leaves,
        bytes calldata rows,
        bytes32[] calldata salts,
        Receipt[] calldata receipts
    ) external nonReentrant {
        (, Round storage r, Call memory c) = _enter()(project, round, Phase.Reveal);
        uint256 count = Rows.count(rows, salts);
        // slither-disable-next-line uninitialized-local (filled here and below)
        Verdict memory v;
        (v.endorsed, v.refused) = _tally(c, keccak256(rows), receipts);
        v.rows = new bytes(rows.length);
        v.members = new bytes(count * 4 + 28); // the last is written as a word
        Walk memory walk = _beginWalk(r, c, leaves, rows, salts);
        for (uint256 i = _admitRun(c, v, walk, 0, count); i < count; i = _admitRun(c, v, walk, i + 1, count)) {
            _revealOne(c, v, walk, i);
            _nextRow(walk);
        }
        _endWalk(r, walk);
        if (v.admitted != 0) _admit(r, c, v);
        if (c.header.endRevealIfComplete()) {
            emit DeadlinesMoved(project, round, uint40(c.header.commitEnd), uint40(c.header.revealEnd));
        }
        RoundState.save(r, c.header);
    }

    /// @dev What `_revealOne` does, for as many rows from `index` on as have nothing against them: endorsed, not refused, and opening
    /// leaves of the batch that count, are open and were not given. Most rows are such, and written out here they cost a sixth.
    /// The first row about which anything else is to be said stops the run.
    /// @return the row that it stopped at.
    function _admitRun(Call memory c, Verdict memory v, Walk memory walk, uint256 index, uint256 count)
        private
        pure
        returns (uint256)
    {
        if (walk.whole || c.header.selfCount != 0) return index;
        // Bit i: row index + i is endorsed, and the leaf that it would open counts and is open. Then: rows taken.
        uint256 run = (v.endorsed & ~v.refused) >> index
            & (c.header.batchBits & ~c.header.resolvedBits) >> walk.position;
        uint256 first = walk.row;
        _takeRows(walk, v, run, first + (count - index) * Rows.BYTES);
        unchecked {
            run = (walk.row - first) / Rows.BYTES;
            c.header.resolvedBits |= ((1 << run) - 1) << walk.position;
            c.header.unresolved -= run;
            walk.position += run;
            v.admitted += run;
            return index + run;
        }
    }

    /// @dev Takes rows before `end` (calldata), as long as the next bit of `run` is set, members increase and stay below that of the
    /// next leaf given, and the codec is one of Cids.isValid.
    function _takeRows(Walk memory walk, Verdict memory v, uint256 run, uint256 end) private pure {
        uint256 before = walk.leaf < walk.leavesEnd ? Leaves.memberAt(walk.leaf) : type(uint256).max;
        assembly ("memory-safe") {
            let rows := add(add(mload(add(v, 0x60)), 32), mul(mload(add(v, 0x40)), 69))
            let members := add(add(mload(add(v, 0x80)), 32), mul(mload(add(v, 0x40)), 4))
            let row := mload(add(walk, 0x60))
            let salt := mload(add(walk, 0x80))
            let member := mload(add(walk, 0xa0))
            let scratch := mload(add(walk, 0xe0))
            let leaf := mload(add(walk, 0x100))
            for {} lt(row, end) {} {
                if iszero(and(run, 1)) { break }
                let head := calldataload(row)
                let next := shr(224, head)
                let codec := byte(4, head)
                if iszero(and(and(gt(next, member), lt(next, before)), or(eq(codec, 0x55), eq(codec, 0x70)))) { break }
                member := next
                calldatacopy(rows, row, 69)
                mcopy(add(scratch, 32), rows, 69)
                calldatacopy(add(scratch, 101), salt, 32)
                head := shl(224, next)
                mstore(members, head)
                mstore(leaf, head)
                mstore(add(leaf, 4), keccak256(scratch, 133))
                rows := add(rows, 69)
                members := add(members, 4)
                leaf := add(leaf, 36)
                row := add(row, 69)
                salt := add(salt, 32)
                run := shr(1, run)
            }
            mstore(add(walk, 0x60), row)
            mstore(add(walk, 0x80), salt)
            mstore(add(walk, 0xa0), member)
            mstore(add(walk, 0x100), leaf)
        }
    }

    function _revealOne(Call memory c, Verdict memory v, Walk memory walk, uint256 index) private {
        (uint256 leaf, SkipReason reason) = _seatOf(c, walk, index);
        uint256 row = walk.row;
        uint256 member = walk.member;
        bool refused = v.refused >> index & 1 == 1;
        if (reason == SkipReason.None) {
            if (!Cids.isValid(Rows.codecAt(row))) reason = SkipReason.BadCid;
            else if (!refused && v.endorsed >> index & 1 == 0) reason = SkipReason.NoQuorum;
        }
        if (reason != SkipReason.None) {
            emit RevealSkipped(c.project, c.round, uint32(member), reason);
            return;
        }
        _resolve(c, leaf, member);
        if (refused) {
            c.header.refused += 1;
            emit UpdateRefused(c.project, c.round, uint32(member), Rows.updateAt(row));
            return;
        }
        uint256 at = v.admitted;
        bytes memory admitted = v.rows;
        bytes memory members = v.members;
        assembly ("memory-safe") {
            calldatacopy(add(add(admitted, 32), mul(at, 69)), row, 69)
            mstore(add(add(members, 32), mul(at, 4)), shl(224, member))
        }
        unchecked {
            v.admitted = at + 1;
        }
    }

    /// @dev Publishes the admitted rows of this call and makes them the next link of the round's chain.
    function _admit(Round storage r, Call memory c, Verdict memory v) private {
        uint256 firstRow = c.header.admitted;
        c.header.admitted = firstRow + v.admitted;
        bytes memory rows = v.rows;
        bytes memory members = v.members;
        uint256 admitted = v.admitted;
        assembly ("memory-safe") {
            mstore(rows, mul(admitted, 69)) // no more than there were
            mstore(members, mul(admitted, 4))
        }
        bytes32 previous = firstRow == 0 ? bytes32(0) : r.admittedHash;
        r.admittedHash = Rows.link(previous, keccak256(members), keccak256(rows));
        emit UpdatesAdmitted(c.project, c.round, uint8(firstRow), rows);
    }

    /// @dev Checks every receipt and returns, bit by bit, what at least a quorum of witnesses endorses and refuses.
    /// A quorum is a majority and a witness's word counts one way, so no bit is in both.
    function _tally(Call memory c, bytes32 openingsHash, Receipt[] calldata receipts)
        private
        view
        returns (uint256 endorsed, uint256 refused)
    {
        bytes32 domain = _domainSeparatorV4();
        // slither-disable-next-line uninitialized-local (below everything that may come)
        uint256 next; // lowest witness index that may come now: keeps the witnesses distinct
        // slither-disable-next-line uninitialized-local (counts begin at zero)
        Tally.Count memory endorsements;
        // slither-disable-next-line uninitialized-local (counts begin at zero)
        Tally.Count memory refusals;
        for (uint256 i; i < receipts.length; ++i) {
            Receipt calldata receipt = receipts[i];
            if (receipt.witness < next) revert WitnessesNotIncreasing(i);
            next = uint256(receipt.witness) + 1;
            _checkReceipt(domain, c, openingsHash, i, receipt);
            uint256 both = receipt.endorsed & receipt.refused; // contradicts itself: no word at all
            endorsements.add(receipt.endorsed ^ both);
            refusals.add(receipt.refused ^ both);
        }
        return (endorsements.atLeast(c.rules.quorum), refusals.atLeast(c.rules.quorum));
    }

    function _checkReceipt(
        bytes32 domain,
        Call memory c,
        bytes32 openingsHash,
        uint256 index,
        Receipt calldata receipt
    ) private pure {
        address expected = receipt.witness < c.rules.witnessCount ? c.witnesses[receipt.witness] : address(0);
        bytes32 digest = MessageHashUtils.toTypedDataHash(
            domain,
            keccak256(
                abi.encode(RECEIPT_TYPEHASH, c.project, c.round, openingsHash, receipt.endorsed, receipt.refused)
            )
        );
        // slither-disable-next-line unused-return (an error leaves the signer zero, which is nobody)
        (address signer,,) = ECDSA.tryRecover(digest, receipt.r, receipt.vs);
        if (signer == address(0) || signer != expected) revert ReceiptInvalid(index, signer, expected);
    }
}
