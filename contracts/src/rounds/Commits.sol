// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {MemberHead} from "../staking/MemberHead.sol";
import {MemberRecord} from "../storage/MarketStorage.sol";
import {LeafSkip, Phase} from "../types/Types.sol";
import {Leaves} from "./Leaves.sol";
import {Openings} from "./Openings.sol";
import {Call} from "./RoundBase.sol";
import {Header, Round, RoundState} from "./RoundState.sol";

/// @title Commits: one batch of signed commitments, and the path that needs nobody
/// @notice Counting is exact: a commitment counts once, as a batch leaf or as self-posted, and only with its trainer's
/// consent (signature or transaction). So the counts can neither exceed the slots nor end the phase too early.
abstract contract Commits is Openings, IRounds, ReentrancyGuardTransient, EIP712 {
    using RoundState for Header;

    bytes32 internal constant COMMIT_TYPEHASH =
        keccak256("Commit(uint256 project,uint32 round,uint32 member,bytes32 commitment)");

    /// @dev How far a batch has been counted. The assembly below reads and writes the members at these places.
    struct Count {
        uint256 leaf; // 0x00; calldata: the next one
        uint256 end; // 0x20; calldata: of the leaves
        uint256 signature; // 0x40; calldata: of the next leaf
        uint256 member; // 0x60; of the leaf before; numbers begin at 1
        uint256 bits; // 0x80; of the leaves that count
        uint256 bit; // 0xa0; of the next leaf
        uint256 free; // 0xc0; slots
    }

    uint256 private constant SIGNATURE_BYTES = 64; // r, vs

    /// @inheritdoc IRounds
    function commitBatch(
        uint256 project,
        uint32 round,
        bytes calldata leaves,
        bytes calldata signatures
    ) external nonReentrant {
        (, Round storage r, Call memory c) = _enter()(project, round, Phase.Commit);
        _checkBatch(r, c, leaves, signatures);
        Header memory h = c.header;
        _count(c, leaves, signatures);
        if (h.batchBits == 0) revert EmptyBatch();
        h.batchPosted = true;
        h.unresolved += h.batchCount;
        r.batchHash = keccak256(leaves);
        emit CommitsPosted(project, round, uint32(h.batchBits), leaves);
        _store(r, c);
    }

    /// @inheritdoc IRounds
    function commitSelf(
        uint256 project,
        uint32 round,
        uint32 member,
        bytes32 commitment,
        bytes calldata batch
    ) external nonReentrant {
        (, Round storage r, Call memory c) = _enter()(project, round, Phase.Commit);
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

    function _checkBatch(Round storage r, Call memory c, bytes calldata leaves, bytes calldata signatures)
        private
        view
    {
        if (r.acceptor != msg.sender) revert NotBatcher(c.project, c.round, msg.sender, r.acceptor);
        if (c.header.batchPosted) revert BatchAlreadyPosted(c.project, c.round);
        uint256 until = c.header.commitEnd - c.rules.selfCommitWindow;
        // slither-disable-next-line timestamp (end of the batch window; a few seconds either way decide nothing)
        if (block.timestamp >= until) revert BatchTooLate(c.project, c.round, block.timestamp, until);
        uint256 count = Leaves.count(leaves);
        if (count == 0) revert EmptyBatch();
        if (signatures.length != count * SIGNATURE_BYTES) {
            revert SignaturesMismatch(signatures.length, count * SIGNATURE_BYTES);
        }
    }

    /// @dev Sets batchBits and batchCount.
    function _count(Call memory c, bytes calldata leaves, bytes calldata signatures) private {
        // slither-disable-next-line uninitialized-local (filled below)
        Count memory n;
        (n.leaf, n.end) = Leaves.span(leaves);
        assembly ("memory-safe") {
            mstore(add(n, 0x40), signatures.offset)
        }
        n.bit = 1;
        n.free = c.rules.slots - c.header.commits();
        bytes32 domain = _domainSeparatorV4();
        _countRun(c, n, domain);
        while (n.leaf != n.end) {
            _countOne(c, n, domain);
            _countRun(c, n, domain);
        }
        c.header.batchBits = n.bits;
        c.header.batchCount = c.rules.slots - n.free - c.header.selfCount;
    }

    /// @dev The next leaf, whatever is to be said of it.
    function _countOne(Call memory c, Count memory n, bytes32 domain) private {
        uint256 member = Leaves.memberAt(n.leaf);
        if (member <= n.member) revert BatchNotIncreasing(_log2(n.bit));
        n.member = member;
        LeafSkip skip = n.free == 0 ? LeafSkip.NoSlot : _whySkipped(c, n, domain);
        unchecked {
            if (skip == LeafSkip.None) {
                n.bits |= n.bit;
                --n.free; // is not zero
            } else {
                emit LeafSkipped(c.project, c.round, uint32(member), skip);
            }
            n.leaf += Leaves.BYTES;
            n.signature += SIGNATURE_BYTES;
            n.bit <<= 1;
        }
    }

    /// @dev What `_countOne` does, for as many leaves as have nothing against them and were signed by their trainer or its
    /// delegate. Most leaves are such, and written out here they cost 1,500 gas less each. The first leaf about which
    /// anything else is to be said, or could be, stops the run.
    function _countRun(Call memory c, Count memory n, bytes32 domain) private view {
        if (c.header.selfCount != 0) return; // any of them may have been posted by a leaf's trainer
        mapping(uint256 => MemberRecord) storage members = _membersOf(c.project);
        bytes32 typehash = COMMIT_TYPEHASH;
        assembly ("memory-safe") {
            // Behind the free memory: the structure that is signed (5 words), then 0x1901, domain, hash of the structure
            // (66 bytes), then what ecrecover takes (4 words).
            let free := mload(0x40)
            mstore(free, typehash)
            mstore(add(free, 0x20), mload(c)) // project
            mstore(add(free, 0x40), mload(add(c, 0x20))) // round
            mstore(add(free, 0xa0), shl(240, 0x1901))
            mstore(add(free, 0xa2), domain)
            let leaf := mload(n)
            let end := add(leaf, mul(36, mload(add(n, 0xc0)))) // as many as there are slots
            if gt(end, mload(add(n, 0x20))) { end := mload(add(n, 0x20)) }
            let signature := mload(add(n, 0x40))
            for {} lt(leaf, end) {} {
                let member := shr(224, calldataload(leaf))
                calldatacopy(add(free, 0x80), add(leaf, 4), 32)
                if iszero(and(gt(member, mload(add(n, 0x60))), gt(mload(add(free, 0x80)), 0))) { break }
                mstore(add(free, 0x60), member)
                mstore(0x00, member)
                mstore(0x20, members.slot)
                let key := keccak256(0x00, 0x40)
                let head := sload(key) // see MemberHead; eligible:
                if iszero(
                    and(
                        eq(and(shr(232, head), 0x0101), 0x0101),
                        lt(and(shr(160, head), 0xffffffff), mload(add(free, 0x40)))
                    )
                ) { break }
                mstore(add(free, 0xc2), keccak256(free, 0xa0))
                mstore(add(free, 0x100), keccak256(add(free, 0xa0), 0x42))
                {
                    // As ECDSA.tryRecover: no s in the upper half (EIP-2), and no signer is nobody.
                    let vs := calldataload(add(signature, 0x20))
                    mstore(add(free, 0x120), add(27, shr(255, vs)))
                    calldatacopy(add(free, 0x140), signature, 32)
                    vs := and(vs, 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff)
                    if gt(vs, 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0) { break }
                    mstore(add(free, 0x160), vs)
                }
                mstore(0x00, 0)
                pop(staticcall(gas(), 1, add(free, 0x100), 0x80, 0x00, 0x20))
                let signer := mload(0x00)
                if iszero(eq(signer, and(head, 0xffffffffffffffffffffffffffffffffffffffff))) {
                    // The delegate, if there is one; a member's trainer is not zero.
                    if iszero(mul(shr(248, head), signer)) { break }
                    if iszero(eq(signer, and(sload(add(key, 1)), 0xffffffffffffffffffffffffffffffffffffffff))) { break }
                }
                mstore(add(n, 0x60), member)
                leaf := add(leaf, 36)
                signature := add(signature, 0x40)
            }
            let run := div(sub(leaf, mload(n)), 36)
            mstore(n, leaf)
            mstore(add(n, 0x40), signature)
            let bit := mload(add(n, 0xa0))
            mstore(add(n, 0x80), or(mload(add(n, 0x80)), sub(shl(run, bit), bit))) // as many ones as leaves
            mstore(add(n, 0xa0), shl(run, bit))
            mstore(add(n, 0xc0), sub(mload(add(n, 0xc0)), run))
        }
    }

    function _whySkipped(Call memory c, Count memory n, bytes32 domain) private view returns (LeafSkip) {
        bytes32 commitment = Leaves.commitmentAt(n.leaf);
        MemberRecord storage m = _member(c.project, n.member);
        uint256 head = MemberHead.load(m);
        if (!MemberHead.isEligible(head, c.round)) return LeafSkip.NotEligible;
        if (commitment == 0) return LeafSkip.NoCommitment;
        if (c.header.selfCount != 0 && _hasSelfCommit(c.project, c.round, n.member)) return LeafSkip.AlreadyCommitted;
        bytes32 message = keccak256(abi.encode(COMMIT_TYPEHASH, c.project, c.round, n.member, commitment));
        (bytes32 r, bytes32 vs) = _signatureAt(n.signature);
        // slither-disable-next-line unused-return (an error leaves the signer zero, which is nobody)
        (address signer,,) = ECDSA.tryRecover(MessageHashUtils.toTypedDataHash(domain, message), r, vs);
        return _mayActFor(m, head, signer) ? LeafSkip.None : LeafSkip.NotSigned;
    }

    function _signatureAt(uint256 at) private pure returns (bytes32 r, bytes32 vs) {
        assembly ("memory-safe") {
            r := calldataload(at)
            vs := calldataload(add(at, 32))
        }
    }

    function _log2(uint256 bit) private pure returns (uint256 index) {
        while (bit >> index != 1) ++index;
    }

    /// @dev The trainer's leaf gives its slot up. Without one there is a free slot: the call that takes the last one ends the
    /// phase. Returns the leaf's position.
    function _giveUpLeaf(Round storage r, Call memory c, uint32 member, bytes calldata batch)
        private
        view
        returns (uint8)
    {
        Header memory h = c.header;
        uint256 leaf = _leafOf(r, h, batch, member);
        if (leaf != Leaves.NONE && h.batchBits >> leaf & 1 == 1) {
            h.batchBits ^= 1 << leaf;
            h.batchCount -= 1;
            h.unresolved -= 1;
        } else {
            leaf = Leaves.NONE;
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
