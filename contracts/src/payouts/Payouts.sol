// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IPayouts} from "../interfaces/IPayouts.sol";
import {Projects} from "../projects/Projects.sol";
import {Round} from "../rounds/RoundState.sol";
import {Project} from "../storage/MarketStorage.sol";
import {ClaimItem} from "../types/Types.sol";
import {PayoutTree} from "./PayoutTree.sol";

/// @title Payouts: trainers take out what they earned, aggregators their fees
abstract contract Payouts is Projects, IPayouts {
    using SafeERC20 for IERC20;

    /// @inheritdoc IPayouts
    function claim(uint256 project, address trainer, ClaimItem[] calldata items) external nonReentrant {
        Project storage p = _project(project);
        uint256 sum;
        for (uint256 i; i < items.length; ++i) {
            _markClaimed(project, trainer, items[i]);
            sum += items[i].amount;
        }
        if (sum == 0) revert NothingToClaim();
        // Proven amounts come out of claimable, so the sum fits.
        p.ledger.claimable -= uint128(sum);
        p.ledger.claimed += uint128(sum);
        IERC20(p.token).safeTransfer(trainer, sum);
    }

    /// @inheritdoc IPayouts
    function withdrawFees(address token) external nonReentrant {
        uint256 amount = _fees[token][msg.sender];
        if (amount == 0) revert NothingToClaim();
        _fees[token][msg.sender] = 0;
        emit FeesWithdrawn(token, msg.sender, amount);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IPayouts
    function feesOf(address token, address aggregator) external view returns (uint256) {
        return _fees[token][aggregator];
    }

    /// @inheritdoc IPayouts
    function payoutLeafOf(uint256 project, uint32 round, uint8 row, address trainer, uint256 amount)
        external
        pure
        returns (bytes32)
    {
        return PayoutTree.leafOf(project, round, row, trainer, amount);
    }

    function _markClaimed(uint256 project, address trainer, ClaimItem calldata item) private {
        Round storage r = _round(project, item.round);
        bytes32 leaf = PayoutTree.leafOf(project, item.round, item.index, trainer, item.amount);
        // An open round has root 0, which no proof reaches. A leaf exists only for rows below 32.
        if (!MerkleProof.verifyCalldata(item.proof, r.payoutRoot, leaf)) {
            revert ProofInvalid(project, item.round, item.index);
        }
        uint32 bit = uint32(1) << item.index;
        if (r.claimedBits & bit != 0) revert AlreadyClaimed(project, item.round, item.index);
        r.claimedBits |= bit;
        emit Claimed(project, item.round, trainer, item.index, item.amount);
    }
}
