// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {MemberRecord, Project} from "../storage/MarketStorage.sol";
import {CommitLeaf, Phase, Receipt, Reveal, SkipReason} from "../types/Types.sol";
import {Cids} from "./Cids.sol";
import {Commits} from "./Commits.sol";
import {Round} from "./RoundState.sol";
import {Tally} from "./Tally.sol";

/// @title Reveals: opened commitments that a quorum of witnesses vouches for become rows
abstract contract Reveals is Commits {
    using Tally for Tally.Count;

    bytes32 internal constant RECEIPT_TYPEHASH =
        keccak256("Receipt(uint256 project,uint32 round,bytes32 revealsHash,uint32 endorsed,uint32 refused)");

    uint256 internal constant MAX_REVEALS = 32; // bits of a receipt

    uint8 internal constant ADMITTED = 1;
    uint8 internal constant REFUSED = 2;

    /// @inheritdoc IRounds
    function reveal(
        uint256 project,
        uint32 round,
        CommitLeaf[] calldata batch,
        Reveal[] calldata reveals,
        Receipt[] calldata receipts
    ) external nonReentrant {
        Project storage p = _project(project);
        Round storage r = _roundIn(project, round, p, Phase.Reveal);
        if (reveals.length == 0) revert NoReveals();
        if (reveals.length > MAX_REVEALS) revert TooManyReveals(reveals.length);
        if (batch.length != 0) {
            bytes32 found = keccak256(abi.encode(batch));
            if (found != r.batchHash) revert BatchMismatch(found, r.batchHash);
        }
        (uint256 endorsed, uint256 refused) = _tally(project, round, p, revealsHashOf(reveals), receipts);
        for (uint256 i; i < reveals.length; ++i) {
            _revealOne(project, round, r, batch, reveals[i], endorsed >> i & 1 == 1, refused >> i & 1 == 1);
        }
        _endRevealIfComplete(project, round, r);
    }

    /// @inheritdoc IRounds
    function revealStateOf(uint256 project, uint32 round, address trainer) external view returns (uint8) {
        MemberRecord storage m = _member(project, trainer);
        if (m.revealRound > round) revert StateOverwritten(project, round, m.revealRound);
        return m.revealRound == round ? m.revealState : 0;
    }

    /// @inheritdoc IRounds
    function revealsHashOf(Reveal[] calldata reveals) public pure returns (bytes32) {
        bytes32[] memory words = new bytes32[](3 * reveals.length);
        for (uint256 i; i < reveals.length; ++i) {
            words[3 * i] = bytes32(uint256(uint160(reveals[i].trainer)));
            words[3 * i + 1] = reveals[i].update;
            words[3 * i + 2] = keccak256(reveals[i].cid);
        }
        return keccak256(abi.encodePacked(words)); // array elements are whole words: no ambiguity
    }

    function _revealOne(
        uint256 project,
        uint32 round,
        Round storage r,
        CommitLeaf[] calldata batch,
        Reveal calldata item,
        bool endorsed,
        bool refused
    ) private {
        MemberRecord storage m = _member(project, item.trainer);
        SkipReason reason = _whySkipped(project, round, m, batch, item, endorsed || refused);
        if (reason != SkipReason.None) {
            emit RevealSkipped(project, round, item.trainer, reason);
            return;
        }
        m.revealRound = round;
        if (refused) {
            m.revealState = REFUSED;
            r.refused += 1;
            emit RevealRefused(project, round, item.trainer, item.update);
            return;
        }
        m.revealState = ADMITTED;
        uint8 row = r.admitted;
        r.admitted = row + 1;
        r.admittedHash = keccak256(abi.encode(r.admittedHash, item.trainer, item.update));
        emit UpdateAdmitted(project, round, item.trainer, row, item.update, item.cid);
    }

    function _whySkipped(
        uint256 project,
        uint32 round,
        MemberRecord storage m,
        CommitLeaf[] calldata batch,
        Reveal calldata item,
        bool decided
    ) private view returns (SkipReason) {
        if (m.revealRound == round) return SkipReason.AlreadyRevealed;
        bytes32 committed = _commitmentIn(project, round, m, item.trainer, batch);
        if (committed == 0) return SkipReason.NotCommitted;
        if (committed != commitmentOf(project, round, item.trainer, item.update, item.salt)) {
            return SkipReason.WrongOpening;
        }
        if (!Cids.isCid(item.cid)) return SkipReason.BadCid;
        return decided ? SkipReason.None : SkipReason.NoQuorum;
    }

    /// @dev Checks every receipt and returns, bit by bit, what at least a quorum of witnesses endorses and refuses.
    /// A quorum is a majority and a witness's word counts one way, so no bit is in both.
    function _tally(
        uint256 project,
        uint32 round,
        Project storage p,
        bytes32 revealsHash,
        Receipt[] calldata receipts
    ) private view returns (uint256 endorsed, uint256 refused) {
        bytes32 domain = _domainSeparatorV4();
        uint256 next; // lowest witness index that may come now: keeps the witnesses distinct
        Tally.Count memory endorsements;
        Tally.Count memory refusals;
        for (uint256 i; i < receipts.length; ++i) {
            Receipt calldata receipt = receipts[i];
            if (receipt.witness < next) revert WitnessesNotIncreasing(i);
            next = uint256(receipt.witness) + 1;
            _checkReceipt(domain, project, round, p, revealsHash, i, receipt);
            uint256 both = receipt.endorsed & receipt.refused; // contradicts itself: no word at all
            endorsements.add(receipt.endorsed ^ both);
            refusals.add(receipt.refused ^ both);
        }
        return (endorsements.atLeast(p.quorum), refusals.atLeast(p.quorum));
    }

    function _checkReceipt(
        bytes32 domain,
        uint256 project,
        uint32 round,
        Project storage p,
        bytes32 revealsHash,
        uint256 index,
        Receipt calldata receipt
    ) private view {
        address expected = receipt.witness < p.witnesses.length ? p.witnesses[receipt.witness] : address(0);
        bytes32 digest = MessageHashUtils.toTypedDataHash(
            domain,
            keccak256(
                abi.encode(RECEIPT_TYPEHASH, project, round, revealsHash, receipt.endorsed, receipt.refused)
            )
        );
        (address signer,,) = ECDSA.tryRecoverCalldata(digest, receipt.signature);
        if (signer == address(0) || signer != expected) revert ReceiptInvalid(index, signer, expected);
    }
}
