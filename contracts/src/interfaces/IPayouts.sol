// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ClaimItem} from "../types/Types.sol";

/// @title Payouts: claims never expire and nothing can pause them
/// @notice The payout tree of a round: leaf = keccak256(bytes.concat(keccak256(abi.encode(project, round, row, member,
/// amount)))), sorted pairs (OpenZeppelin MerkleProof) in row order, an odd node moves up as it is. The market keeps the
/// first 27 bytes of the root: a second tree for them takes 2^216 tries.
interface IPayouts {
    /// @notice `items` has a word for each claimed round, from the lowest bit: amount (112), row (8), round (32).
    event Claimed(uint256 indexed project, uint32 indexed member, address indexed to, uint256[] items);

    error AlreadyClaimed(uint256 project, uint256 round, uint256 row);
    error ProofInvalid(uint256 project, uint256 round, uint256 row);
    error NothingToClaim();
    error UnknownMember(uint256 project, uint256 member);
    error ClaimNotSigned(address trainer, address to);
    error ClaimExpired(uint256 expiry, uint256 time);
    error ReceiverIsZero();

    /// @notice Pays a trainer for any number of rounds of one project. Anyone may call; the money goes to the trainer.
    function claim(uint256 project, uint32 member, ClaimItem[] calldata items) external;

    /// @notice Pays to another address, by the trainer itself or with its EIP-712 signature (ERC-1271 for contracts):
    /// ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry) with itemsHash = keccak256 of
    /// abi.encode(items). A signature is good for these very items, which can be claimed once.
    function claimTo(
        uint256 project,
        uint32 member,
        ClaimItem[] calldata items,
        address to,
        uint64 expiry,
        bytes calldata signature
    ) external;

    /// @notice Leaf of the payout tree.
    function payoutLeafOf(uint256 project, uint32 round, uint8 row, uint32 member, uint256 amount)
        external
        pure
        returns (bytes32);
}
