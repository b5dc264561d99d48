// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IPayouts} from "../interfaces/IPayouts.sol";
import {TermsStore} from "../projects/TermsCode.sol";
import {MarketStorage, Project} from "../storage/MarketStorage.sol";
import {AccountSignature} from "./AccountSignature.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title Payouts: trainers take out what they earned
abstract contract Payouts is MarketStorage, IPayouts, ReentrancyGuardTransient, EIP712 {
    using SafeERC20 for IERC20;

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
        uint256 sum = _markAll(project, member, items, proofs);
        if (sum == 0) revert NothingToClaim();
        // Whatever was proven: a project never pays more than its rounds have earned.
        uint256 claimed = p.claimed + sum;
        if (claimed > p.earned) revert MoreThanEarned(project, claimed, p.earned);
        p.claimed = uint112(claimed);
        emit Claimed(project, member, to, items);
        IERC20(TermsStore.tokenOf(p.rules)).safeTransfer(to, sum);
    }

    /// @dev Every item is proven and was not claimed before; returns what they come to.
    function _markAll(uint256 project, uint32 member, uint256[] calldata items, bytes32[] calldata proofs)
        private
        returns (uint256 sum)
    {
        mapping(uint256 => uint256) storage claimed = _claimedRounds[project][member];
        // Word of claimed rounds that is held in `bits`; no round has the first value.
        uint256 word = type(uint256).max;
        // slither-disable-next-line uninitialized-local (read for the first item)
        uint256 bits;
        // slither-disable-next-line uninitialized-local (the first proof comes first)
        uint256 used;
        for (uint256 i; i < items.length; ++i) {
            uint256 item = items[i];
            uint256 round = uint32(item >> 120);
            unchecked {
                uint256 until = used + (item >> 152); // of a word of 104 bits and a number below 2^64
                if (until > proofs.length) revert ProofsTooShort(proofs.length, until);
                _checkProof(project, member, item, proofs[used:until]);
                used = until;
                if (round >> 8 != word) {
                    if (word != type(uint256).max) claimed[word] = bits;
                    word = round >> 8;
                    bits = claimed[word];
                }
                // A member has at most one row in a round, so a bit for the round says everything.
                uint256 bit = 1 << (round & 0xff);
                if (bits & bit != 0) revert AlreadyClaimed(project, member, round);
                bits |= bit;
                sum += uint112(item); // below 2^112 each, and a call cannot carry 2^144 of them
            }
        }
        if (word != type(uint256).max) claimed[word] = bits;
    }

    /// @dev The item is a leaf of its round's tree. A round that has not ended has root 0, which no proof reaches.
    function _checkProof(uint256 project, uint256 member, uint256 item, bytes32[] calldata proof) private view {
        uint256 round = uint32(item >> 120);
        bytes27 root = _ending(project, uint32(round)).payoutRoot;
        bytes32 leaf = PayoutTree.leafOf(project, round, uint8(item >> 112), member, uint112(item));
        if (root == 0 || PayoutTree.rootAbove(leaf, proof) != root) {
            revert ProofInvalid(project, round, uint8(item >> 112));
        }
    }
}
