// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Payouts: claims never expire and nothing can pause them
/// @notice The payout tree of a round: leaf = keccak256(bytes.concat(keccak256(abi.encode(project, round, row, member,
/// amount)))), sorted pairs (OpenZeppelin MerkleProof) in row order, an odd node moves up as it is. Every node, leaves and root
/// too, keeps 27 bytes of its hash and has five zeros behind them: a second tree for a root takes 2^216 tries.
interface IPayouts {
    /// @notice Bit i of `rounds`: the member was paid for round 256 * word + i. `amount`: for all of them. One event for each word.
    event Claimed(
        uint256 indexed project, uint32 indexed member, address indexed to, uint256 amount, uint256 word, uint256 rounds
    );

    error AlreadyClaimed(uint256 project, uint256 member, uint256 round);
    error ProofInvalid(uint256 project, uint256 round, uint256 row);
    error ProofsTooShort(uint256 nodes, uint256 needed);
    error MoreThanClaimable(uint256 project, uint256 amount, uint256 claimable);
    error NothingToClaim();
    error UnknownMember(uint256 project, uint256 member);
    error ClaimNotSigned(address trainer, address to);
    error ClaimExpired(uint256 expiry, uint256 time);
    error ReceiverIsZero();

    /// @notice Pays a trainer for any number of rounds of one project. Anyone may call; the money goes to the trainer.
    /// @param items a word for each round, from the lowest bit: amount (112, base units), row of the trainer in the round (8), round
    /// (32), nodes of its proof (8).
    /// @param proofs of the items, one after another.
    function claim(uint256 project, uint32 member, uint256[] calldata items, bytes32[] calldata proofs)
        external;

    /// @notice Pays to another address, by the trainer itself or with its EIP-712 signature (ERC-1271 for contracts):
    /// ClaimTo(uint256 project,uint32 member,bytes32 itemsHash,address to,uint64 expiry) with itemsHash = keccak256 of
    /// the items' words. A signature is good for these very items, which can be claimed once.
    function claimTo(
        uint256 project,
        uint32 member,
        uint256[] calldata items,
        bytes32[] calldata proofs,
        address to,
        uint64 expiry,
        bytes calldata signature
    ) external;

    /// @notice Bit r % 256 of word r / 256: what the member earned in round r has been paid out.
    function claimedRounds(uint256 project, uint32 member, uint256 word) external view returns (uint256);

    /// @notice Leaf of the payout tree.
    function payoutLeafOf(uint256 project, uint32 round, uint8 row, uint32 member, uint256 amount)
        external
        pure
        returns (bytes32);
}
