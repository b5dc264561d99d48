// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Words} from "../hashing/Words.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {CommitLeaf, Opening, Phase, Receipt, SkipReason} from "../types/Types.sol";
import {AdmittedRows} from "./AdmittedRows.sol";
import {Cids} from "./Cids.sol";
import {Commits} from "./Commits.sol";
import {Call} from "./RoundBase.sol";
import {Header, Round, RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";
import {Tally} from "./Tally.sol";

/// @title Reveals: opened commitments that a quorum of witnesses vouches for become rows
abstract contract Reveals is Commits {
    using AdmittedRows for AdmittedRows.Buffer;
    using RoundState for Header;
    using Tally for Tally.Count;

    bytes32 internal constant RECEIPT_TYPEHASH =
        keccak256("Receipt(uint256 project,uint32 round,bytes32 openingsHash,uint32 endorsed,uint32 refused)");

    /// @inheritdoc IRounds
    function reveal(
        uint256 project,
        uint32 round,
        CommitLeaf[] calldata batch,
        Opening[] calldata openings,
        Receipt[] calldata receipts
    ) external nonReentrant {
        (, Round storage r, Call memory c) = _enter(project, round, Phase.Reveal);
        _checkCount(openings);
        if (batch.length != 0) _checkBatchHash(r, c.header, batch);
        // slither-disable-next-line uninitialized-local (the walk begins at the first leaf)
        Walk memory walk;
        (walk.endorsed, walk.refused) = _tally(c, Seats.openingsHash(openings), receipts);
        walk.frame = Seats.frame(project, round);
        walk.rows = AdmittedRows.allocate(openings.length);
        uint256 firstRow = c.header.admitted;
        if (firstRow != 0) walk.admitted[0] = uint256(r.admittedHash);
        for (uint256 i; i < openings.length; ++i) _revealOne(c, walk, batch, openings[i], i);
        if (c.header.admitted != firstRow) {
            r.admittedHash = bytes32(walk.admitted[0]);
            emit UpdatesAdmitted(project, round, uint8(firstRow), walk.rows.finish());
        }
        if (c.header.endRevealIfComplete()) {
            emit DeadlinesMoved(project, round, uint40(c.header.commitEnd), uint40(c.header.revealEnd));
        }
        RoundState.save(r, c.header);
    }

    function _revealOne(
        Call memory c,
        Walk memory walk,
        CommitLeaf[] calldata batch,
        Opening calldata o,
        uint256 index
    ) private {
        (uint256 leaf, SkipReason reason) = _seatOf(c, walk, batch, o, index);
        bool refused = walk.refused >> index & 1 == 1;
        uint256 codec = o.cid.codec;
        if (reason == SkipReason.None) {
            if (!Cids.isValid(codec)) reason = SkipReason.BadCid;
            else if (!refused && walk.endorsed >> index & 1 == 0) reason = SkipReason.NoQuorum;
        }
        uint256 member = walk.previous;
        if (reason != SkipReason.None) {
            emit RevealSkipped(c.project, c.round, uint32(member), reason);
            return;
        }
        _resolve(c, leaf, member);
        if (refused) {
            c.header.refused += 1;
            emit UpdateRefused(c.project, c.round, uint32(member), o.update);
            return;
        }
        c.header.admitted += 1;
        walk.admitted[1] = member;
        walk.admitted[2] = uint256(o.update);
        walk.admitted[0] = uint256(Words.hashOf(walk.admitted));
        walk.rows.append(o, member, codec);
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
