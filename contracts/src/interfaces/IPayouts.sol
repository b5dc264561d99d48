// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ClaimItem} from "../types/Types.sol";

/// @title Payouts: claims never expire and nothing can pause them
interface IPayouts {
    event Claimed(uint256 indexed project, uint32 indexed round, address indexed trainer, uint8 row, uint256 amount);
    event FeeCredited(uint256 indexed project, address indexed aggregator, uint256 amount);
    event FeesWithdrawn(address indexed token, address indexed aggregator, uint256 amount);

    error AlreadyClaimed(uint256 project, uint256 round, uint256 row);
    error ProofInvalid(uint256 project, uint256 round, uint256 row);
    error NothingToClaim();

    /// @notice Pays `trainer` for any number of rounds of one project. Anyone may call; the money goes to the trainer.
    function claim(uint256 project, address trainer, ClaimItem[] calldata items) external;

    /// @notice Sends the caller's fees of all projects paid in `token`.
    function withdrawFees(address token) external;

    function feesOf(address token, address aggregator) external view returns (uint256);

    /// @notice Leaf of the payout tree: keccak256(bytes.concat(keccak256(abi.encode(project, round, row, trainer,
    /// amount)))), a sorted-pair Merkle tree (OpenZeppelin MerkleProof) in row order, an odd node moves up as it is.
    function payoutLeafOf(uint256 project, uint32 round, uint8 row, address trainer, uint256 amount)
        external
        pure
        returns (bytes32);
}
