// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {Words} from "../hashing/Words.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {MemberHead} from "../staking/MemberHead.sol";
import {MemberRecord} from "../storage/MarketStorage.sol";
import {CommitLeaf, CommitSignature, LeafSkip, Phase} from "../types/Types.sol";
import {Openings} from "./Openings.sol";
import {Call} from "./RoundBase.sol";
import {RoundClock} from "./RoundClock.sol";
import {Header, Round, RoundState} from "./RoundState.sol";
import {Seats} from "./Seats.sol";

/// @title Commits: one batch of signed commitments, and the path that needs nobody
/// @notice Counting is exact: a commitment counts once, as a batch leaf or as self-posted, and only with its trainer's
/// consent (signature or transaction). So the counts can neither exceed the slots nor end the phase too early.
abstract contract Commits is RoundClock, Openings, EIP712 {
    using RoundState for Header;

    bytes32 internal constant COMMIT_TYPEHASH =
        keccak256("Commit(uint256 project,uint32 round,uint32 member,bytes32 commitment,uint64 expiry)");

    /// @dev What is signed of each leaf: EIP-712 domain and the words of the structure.
    struct Signed {
        bytes32 domain;
        uint256[6] words;
    }

    uint256 internal constant MAX_LEAVES = 32; // bits of batchBits

    /// @inheritdoc IRounds
    function commitBatch(
        uint256 project,
        uint32 round,
        CommitLeaf[] calldata leaves,
        CommitSignature[] calldata signatures
    ) external nonReentrant {
        (, Round storage r, Call memory c) = _enter(project, round, Phase.Commit);
        _checkBatch(r, c, leaves.length, signatures.length);
        Header memory h = c.header;
        _count(c, leaves, signatures);
        if (h.batchBits == 0) revert EmptyBatch();
        h.batchPosted = true;
        h.unresolved += h.batchCount;
        bytes32 batchHash = Seats.hashOf(leaves);
        r.batchHash = batchHash;
        _emitCommits(project, round, batchHash, h.batchBits, leaves);
        _store(r, c);
    }

    /// @inheritdoc IRounds
    function commitSelf(
        uint256 project,
        uint32 round,
        uint32 member,
        bytes32 commitment,
        CommitLeaf[] calldata batch
    ) external nonReentrant {
        (, Round storage r, Call memory c) = _enter(project, round, Phase.Commit);
        MemberRecord storage m = _member(project, member);
        uint256 head = MemberHead.load(m);
        if (!_mayActFor(m, head, msg.sender)) revert NotTrainer(project, member, msg.sender);
        if (!MemberHead.isEligible(head, round)) revert NotEligible(project, round, member);
        if (bytes27(commitment) == 0) revert CommitmentReserved(member, commitment);
        if (_hasSelfCommit(project, round, member)) revert AlreadyCommitted(project, round, member);

        uint8 replaced = _giveUpLeaf(r, c, member, batch);
        c.header.selfCount += 1;
        c.header.unresolved += 1;
        _postSelfCommit(project, round, member, commitment);
        emit CommittedSelf(project, round, member, commitment, replaced);
        _store(r, c);
    }

    function _hasSelfCommit(uint256 project, uint32 round, uint256 member) private view returns (bool) {
        return uint32(_selfCommits[project][member] >> 8) == round; // `round` is running: an older slot cannot have it
    }

    /// @dev The trainer, or the delegate that it has now.
    function _mayActFor(MemberRecord storage m, uint256 head, address account) private view returns (bool) {
        if (account == address(0)) return false; // no valid signature
        return account == MemberHead.trainer(head) || (MemberHead.hasDelegate(head) && account == m.delegate);
    }

    function _checkBatch(Round storage r, Call memory c, uint256 leaves, uint256 signatures) private view {
        if (r.acceptor != msg.sender) revert NotBatcher(c.project, c.round, msg.sender, r.acceptor);
        if (c.header.batchPosted) revert BatchAlreadyPosted(c.project, c.round);
        uint256 until = c.header.commitEnd - c.rules.selfCommitWindow;
        // slither-disable-next-line timestamp (end of the batch window; a few seconds either way decide nothing)
        if (block.timestamp >= until) revert BatchTooLate(c.project, c.round, block.timestamp, until);
        if (leaves == 0) revert EmptyBatch();
        if (leaves > MAX_LEAVES) revert BatchTooLong(leaves, MAX_LEAVES);
        if (signatures != leaves) revert SignaturesMismatch(signatures, leaves);
    }

    /// @dev emit CommitsPosted(project, round, batchHash, batchBits, leaves). The leaves lie in calldata as the event has them,
    /// and all of them have been read; the compiler would take each apart and put it together again.
    function _emitCommits(
        uint256 project,
        uint32 round,
        bytes32 batchHash,
        uint256 batchBits,
        CommitLeaf[] calldata leaves
    ) private {
        bytes32 topic = CommitsPosted.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            let bytes_ := mul(leaves.length, 64)
            mstore(data, batchHash)
            mstore(add(data, 32), batchBits)
            mstore(add(data, 64), 96) // where the array begins
            mstore(add(data, 96), leaves.length)
            calldatacopy(add(data, 128), leaves.offset, bytes_)
            log3(data, add(128, bytes_), topic, project, round)
        }
    }

    /// @dev Sets batchBits and batchCount.
    function _count(Call memory c, CommitLeaf[] calldata leaves, CommitSignature[] calldata signatures) private {
        // slither-disable-next-line uninitialized-local (filled below)
        Signed memory s;
        s.domain = _domainSeparatorV4();
        s.words[0] = uint256(COMMIT_TYPEHASH);
        s.words[1] = c.project;
        s.words[2] = c.round;
        mapping(uint256 => MemberRecord) storage members = _membersOf(c.project);
        uint256 free = c.rules.slots - c.header.commits();
        // slither-disable-next-line uninitialized-local (below everything that may come)
        uint256 previous; // numbers begin at 1
        for (uint256 i; i < leaves.length; ++i) {
            uint256 member = leaves[i].member;
            if (member <= previous) revert BatchNotIncreasing(i);
            previous = member;
            LeafSkip skip = LeafSkip.NoSlot;
            if (free != 0) skip = _whySkipped(s, c, members[member], leaves[i], signatures[i]);
            if (skip == LeafSkip.None) {
                c.header.batchBits |= 1 << i;
                --free;
            } else {
                emit LeafSkipped(c.project, c.round, uint32(member), skip);
            }
        }
        c.header.batchCount = c.rules.slots - free - c.header.selfCount;
    }

    function _whySkipped(
        Signed memory s,
        Call memory c,
        MemberRecord storage m,
        CommitLeaf calldata leaf,
        CommitSignature calldata signed
    ) private view returns (LeafSkip) {
        uint256 member = leaf.member;
        bytes32 commitment = leaf.commitment;
        uint256 head = MemberHead.load(m);
        if (!MemberHead.isEligible(head, c.round)) return LeafSkip.NotEligible;
        if (commitment == 0) return LeafSkip.NoCommitment;
        if (c.header.selfCount != 0 && _hasSelfCommit(c.project, c.round, member)) return LeafSkip.AlreadyCommitted;
        uint256 expiry = signed.expiry;
        // slither-disable-next-line timestamp (a signature's last second; a few seconds either way decide nothing)
        if (expiry < block.timestamp) return LeafSkip.Expired;
        s.words[3] = member;
        s.words[4] = uint256(commitment);
        s.words[5] = expiry;
        bytes32 digest = MessageHashUtils.toTypedDataHash(s.domain, Words.hashOf(s.words));
        // slither-disable-next-line unused-return (an error leaves the signer zero, which is nobody)
        (address signer,,) = ECDSA.tryRecover(digest, signed.r, signed.vs);
        return _mayActFor(m, head, signer) ? LeafSkip.None : LeafSkip.NotSigned;
    }

    /// @dev The trainer's leaf gives its slot up. Without one there is a free slot: the call that takes the last one ends the
    /// phase. Returns the leaf's position.
    function _giveUpLeaf(Round storage r, Call memory c, uint32 member, CommitLeaf[] calldata batch)
        private
        view
        returns (uint8)
    {
        Header memory h = c.header;
        if (h.batchPosted || batch.length != 0) _checkBatchHash(r, h, batch);
        uint256 leaf = Seats.find(batch, member);
        if (leaf != Seats.NONE && h.batchBits >> leaf & 1 == 1) {
            h.batchBits ^= 1 << leaf;
            h.batchCount -= 1;
            h.unresolved -= 1;
        } else {
            leaf = Seats.NONE;
        }
        return uint8(leaf);
    }

    function _store(Round storage r, Call memory c) private {
        if (c.header.endCommitIfComplete()) {
            emit DeadlinesMoved(c.project, c.round, uint40(c.header.commitEnd), uint40(c.header.revealEnd));
        }
        RoundState.save(r, c.header);
    }
}
