// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IPayouts} from "../interfaces/IPayouts.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {Ending, MarketStorage, Project} from "../storage/MarketStorage.sol";
import {ClaimItem} from "../types/Types.sol";
import {AccountSignature} from "./AccountSignature.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title Payouts: trainers take out what they earned
abstract contract Payouts is MarketStorage, IPayouts, ReentrancyGuardTransient, EIP712 {
    using SafeERC20 for IERC20;

    bytes32 internal constant CLAIM_TO_TYPEHASH =
        keccak256("ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry)");

    /// @inheritdoc IPayouts
    function claim(uint256 project, uint32 member, ClaimItem[] calldata items) external nonReentrant {
        _pay(project, member, items, _trainerOf(project, member));
    }

    /// @inheritdoc IPayouts
    function claimTo(
        uint256 project,
        uint32 member,
        ClaimItem[] calldata items,
        address to,
        uint64 expiry,
        bytes calldata signature
    ) external nonReentrant {
        if (to == address(0)) revert ReceiverIsZero();
        address trainer = _trainerOf(project, member);
        if (msg.sender != trainer) {
            // slither-disable-next-line timestamp (a signature's last second; a few seconds either way decide nothing)
            if (expiry < block.timestamp) revert ClaimExpired(expiry, block.timestamp);
            bytes32 itemsHash = keccak256(abi.encode(items));
            bytes32 digest =
                _hashTypedDataV4(keccak256(abi.encode(CLAIM_TO_TYPEHASH, project, member, itemsHash, to, expiry)));
            if (!AccountSignature.isValid(trainer, digest, signature)) revert ClaimNotSigned(trainer, to);
        }
        _pay(project, member, items, to);
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

    function _pay(uint256 project, uint32 member, ClaimItem[] calldata items, address to) private {
        Project storage p = _project(project);
        // slither-disable-next-line uninitialized-local (a sum begins at zero)
        uint256 sum;
        uint256[] memory words = new uint256[](items.length);
        for (uint256 i; i < items.length; ++i) {
            ClaimItem calldata item = items[i];
            _markClaimed(project, member, item);
            sum += item.amount;
            words[i] = uint256(item.round) << 120 | uint256(item.row) << 112 | item.amount;
        }
        if (sum == 0) revert NothingToClaim();
        // Proven amounts come out of claimable, so the sum fits.
        p.claimable -= uint112(sum);
        p.claimed += uint112(sum);
        emit Claimed(project, member, to, words);
        // slither-disable-next-line unused-return (witnesses have no say here)
        (Rules memory rules,) = TermsStore.read(p.rules);
        IERC20(rules.token).safeTransfer(to, sum);
    }

    function _markClaimed(uint256 project, uint32 member, ClaimItem calldata item) private {
        Ending storage ending = _ending(project, item.round);
        Ending memory e = ending;
        bytes32 leaf = PayoutTree.leafOf(project, item.round, item.row, member, item.amount);
        // A round that has not ended has root 0, which no proof reaches. A leaf exists only for rows below 32.
        if (e.payoutRoot == 0 || bytes27(MerkleProof.processProofCalldata(item.proof, leaf)) != e.payoutRoot) {
            revert ProofInvalid(project, item.round, item.row);
        }
        uint32 bit = uint32(1) << item.row;
        if (e.claimedBits & bit != 0) revert AlreadyClaimed(project, item.round, item.row);
        ending.claimedBits = e.claimedBits | bit;
    }
}
