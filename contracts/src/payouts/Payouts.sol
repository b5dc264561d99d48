// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IPayouts} from "../interfaces/IPayouts.sol";
import {TermsStore} from "../projects/TermsCode.sol";
import {Ending, MarketStorage, Project} from "../storage/MarketStorage.sol";
import {AccountSignature} from "./AccountSignature.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title Payouts: trainers take out what they earned
abstract contract Payouts is MarketStorage, IPayouts, ReentrancyGuardTransient, EIP712 {
    using SafeERC20 for IERC20;

    /// @dev How far a claim has come. The assembly below reads and writes the members at these places.
    struct Marking {
        uint256 project; // 0x00; with the next four what a leaf is the hash of
        uint256 round; // 0x20
        uint256 row; // 0x40
        uint256 member; // 0x60
        uint256 amount; // 0x80
        uint256 key; // 0xa0; the round again: with the next what an ending's slot is the hash of
        uint256 endings; // 0xc0; slot of the project's endings
        uint256 item; // 0xe0; calldata: the next one
        uint256 end; // 0x100; calldata: of the items
        uint256 proof; // 0x120; calldata: of the next item
        uint256 proofsEnd; // 0x140; calldata
        uint256 sum; // 0x160; of a run's amounts: below 2^112 each, and a call cannot carry 2^144 of them
    }

    bytes32 internal constant CLAIM_TO_TYPEHASH =
        keccak256("ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry)");

    /// @inheritdoc IPayouts
    function claim(uint256 project, uint32 member, uint256[] calldata items, bytes32[] calldata proofs)
        external
        nonReentrant
    {
        _pay(project, member, items, proofs, _trainerOf(project, member));
    }

    /// @inheritdoc IPayouts
    function claimTo(
        uint256 project,
        uint32 member,
        uint256[] calldata items,
        bytes32[] calldata proofs,
        address to,
        uint64 expiry,
        bytes calldata signature
    ) external nonReentrant {
        if (to == address(0)) revert ReceiverIsZero();
        address trainer = _trainerOf(project, member);
        if (msg.sender != trainer) {
            // slither-disable-next-line timestamp (a signature's last second; a few seconds either way decide nothing)
            if (expiry < block.timestamp) revert ClaimExpired(expiry, block.timestamp);
            bytes32 itemsHash = keccak256(abi.encodePacked(items));
            bytes32 digest =
                _hashTypedDataV4(keccak256(abi.encode(CLAIM_TO_TYPEHASH, project, member, itemsHash, to, expiry)));
            if (!AccountSignature.isValid(trainer, digest, signature)) revert ClaimNotSigned(trainer, to);
        }
        _pay(project, member, items, proofs, to);
    }

    /// @inheritdoc IPayouts
    function payoutLeafOf(uint256 project, uint32 round, uint8 row, uint32 member, uint256 amount)
        external
        pure
        returns (bytes32)
    {
        return PayoutTree.leafOf(project, round, row, member, amount);
    }

    function _trainerOf(uint256 project, uint32 member) private view returns (address trainer) {
        _project(project);
        trainer = _member(project, member).trainer;
        if (trainer == address(0)) revert UnknownMember(project, member);
    }

    /// @inheritdoc IPayouts
    function claimedRounds(uint256 project, uint32 member, uint256 word) external view returns (uint256) {
        return _claimedRounds[project][member][word];
    }

    function _pay(
        uint256 project,
        uint32 member,
        uint256[] calldata items,
        bytes32[] calldata proofs,
        address to
    ) private {
        Project storage p = _project(project);
        Marking memory m = _markingOf(project, member, items, proofs);
        uint256 sum;
        while (m.item != m.end) sum += _markWord(m, proofs, to);
        if (sum == 0) revert NothingToClaim();
        // Whatever was proven: a project never pays more than its rounds have earned.
        uint256 claimable = p.claimable;
        if (sum > claimable) revert MoreThanClaimable(project, sum, claimable);
        unchecked {
            p.claimable = uint112(claimable - sum);
        }
        IERC20(TermsStore.tokenOf(p.rules)).safeTransfer(to, sum);
    }

    function _markingOf(uint256 project, uint256 member, uint256[] calldata items, bytes32[] calldata proofs)
        private
        view
        returns (Marking memory m)
    {
        (m.project, m.member) = (project, member);
        mapping(uint32 => Ending) storage endings = _endingsOf(project);
        assembly ("memory-safe") {
            mstore(add(m, 0xc0), endings.slot)
            mstore(add(m, 0xe0), items.offset)
            mstore(add(m, 0x100), add(items.offset, shl(5, items.length)))
            mstore(add(m, 0x120), proofs.offset)
            mstore(add(m, 0x140), add(proofs.offset, shl(5, proofs.length)))
        }
    }

    /// @dev Marks the next items as claimed, as far as their rounds have one word; returns what they come to. A member has at most one
    /// row in a round, so a bit for the round says everything.
    function _markWord(Marking memory m, bytes32[] calldata proofs, address to) private returns (uint256) {
        uint256 item = m.item;
        uint256 word = uint32(_wordAt(item) >> 120) >> 8;
        uint256 before = _claimedRounds[m.project][m.member][word];
        uint256 bits = _markRun(m, word, before);
        if (m.item == item) _refuse(m, proofs);
        _claimedRounds[m.project][m.member][word] = bits;
        emit Claimed(m.project, uint32(m.member), to, m.sum, word, bits ^ before);
        return m.sum;
    }

    /// @dev Adds bits of rounds in `word`, as long as items are right; the first one that is not, or whose round is in another word,
    /// stops it. A round that has not ended has root 0, which is none.
    function _markRun(Marking memory m, uint256 word, uint256 claimed) private view returns (uint256 bits) {
        bits = claimed;
        assembly ("memory-safe") {
            let at := mload(add(m, 0xe0))
            let end := mload(add(m, 0x100))
            let proof := mload(add(m, 0x120))
            let proofsEnd := mload(add(m, 0x140))
            let sum := 0
            for {} lt(at, end) { at := add(at, 32) } {
                let item := calldataload(at)
                let round := and(shr(120, item), 0xffffffff)
                let until := add(proof, shl(5, shr(152, item))) // a number of 104 bits: no sum wraps
                if or(xor(shr(8, round), word), gt(until, proofsEnd)) { break }
                // slither-disable-next-line incorrect-shift (one, shifted to the place of the round, is meant)
                let bit := shl(and(round, 0xff), 1)
                if and(bits, bit) { break }
                // The leaf, as PayoutTree.leafOf.
                mstore(add(m, 0x20), round)
                mstore(add(m, 0x40), and(shr(112, item), 0xff))
                mstore(add(m, 0x80), and(item, 0xffffffffffffffffffffffffffff))
                mstore(0x00, keccak256(m, 0xa0))
                let node := and(keccak256(0x00, 0x20), not(0xffffffffff))
                // The root above it, as PayoutTree.rootAbove.
                for { let next := proof } lt(next, until) { next := add(next, 32) } {
                    let sibling := calldataload(next)
                    let swap := shl(5, lt(sibling, node))
                    mstore(swap, node)
                    mstore(sub(32, swap), sibling)
                    node := and(keccak256(0x00, 0x40), not(0xffffffffff))
                }
                // An ending: the root in the lower 27 bytes, the outcome above.
                mstore(add(m, 0xa0), round)
                let root := shl(40, sload(keccak256(add(m, 0xa0), 0x40)))
                if or(iszero(root), xor(root, node)) { break }
                bits := or(bits, bit)
                sum := add(sum, mload(add(m, 0x80)))
                proof := until
            }
            mstore(add(m, 0xe0), at)
            mstore(add(m, 0x120), proof)
            mstore(add(m, 0x160), sum)
        }
    }

    /// @dev Why `_markRun` stopped at an item of its own word: what it checks, said plainly.
    function _refuse(Marking memory m, bytes32[] calldata proofs) private view {
        uint256 item = _wordAt(m.item);
        uint256 from = proofs.length - (m.proofsEnd - m.proof) / 32;
        uint256 until = from + (item >> 152);
        if (until > proofs.length) revert ProofsTooShort(proofs.length, until);
        uint256 round = uint32(item >> 120);
        _checkProof(m.project, m.member, item, proofs[from:until]);
        revert AlreadyClaimed(m.project, m.member, round);
    }

    /// @dev The item is a leaf of its round's tree.
    function _checkProof(uint256 project, uint256 member, uint256 item, bytes32[] calldata proof) private view {
        uint256 round = uint32(item >> 120);
        bytes27 root = _ending(project, uint32(round)).payoutRoot;
        bytes32 leaf = PayoutTree.leafOf(project, round, uint8(item >> 112), member, uint112(item));
        if (root == 0 || PayoutTree.rootAbove(leaf, proof) != root) {
            revert ProofInvalid(project, round, uint8(item >> 112));
        }
    }

    function _wordAt(uint256 at) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(at)
        }
    }
}
