// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CommitLeaf, Opening, Phase} from "../types/Types.sol";

/// @title RoundViews: how a round looks from outside
interface IRoundViews {
    /// @notice One round. Times are unix seconds. Of a round that is neither the newest nor has unresolved commitments
    /// the market keeps only phase, payoutRoot and claimedBits; its events have the rest.
    struct RoundView {
        Phase phase; // as of block.timestamp
        uint64 openedAt;
        uint64 commitEnd; // tC
        uint64 revealStart; // tC + g
        uint64 revealEnd; // tR
        uint64 rescueEnd; // tG
        uint64 acceptorEnd; // tS
        uint64 settleEnd; // tF
        uint64 slashEnd; // tG + the deployment's slash window
        uint112 budget; // R, while it is held
        address acceptor; // bonded aggregator, sole batcher
        uint8 expected; // commitments that end the commit phase: min(slots, members when it opened)
        uint8 batchCount; // leaves of the batch that count
        uint8 selfCount; // commitments posted by their trainers
        uint8 admitted; // n
        uint8 refused; // opened, and refused by a quorum of witnesses
        uint8 unresolved; // commitments neither admitted, refused, rescued nor slashed
        bool batchPosted;
        bool closed; // terminal, and its money has been moved
        uint32 batchBits; // bit i: leaf i of the batch counts
        uint32 resolvedBits; // bit i: leaf i was admitted, refused, rescued or slashed
        uint32 claimedBits; // bit i: row i has been claimed
        bytes32 batchHash; // keccak256 of the leaves, two words each
        bytes32 admittedHash; // chain of keccak256(abi.encode(previous, member, update))
        bytes32 model; // while it runs: commitment of the model it starts from; then: of the project's model
        bytes32 validation; // digest of this round's validation batch; 0: not revealed
        bytes32 publicRows; // commitment of the public rows; 0: none posted
        bytes27 payoutRoot; // first 27 bytes of the root; set when closed and any row exists
    }

    function phaseOf(uint256 project, uint32 round) external view returns (Phase);

    function roundOf(uint256 project, uint32 round) external view returns (RoundView memory);

    /// @notice The first 27 bytes of the commitment that the trainer posted itself, then zeros; 0: none; 1: it was resolved.
    /// Kept for the newest round, and for older ones until it is resolved.
    function selfCommitOf(uint256 project, uint32 round, uint32 member) external view returns (bytes32);

    /// @notice What a trainer commits to.
    function commitmentOf(uint256 project, uint32 round, Opening calldata opening) external view returns (bytes32);

    /// @notice What a witness's receipt speaks of: keccak256 of (member, update, codec, digest) of each opening, a word each.
    function openingsHashOf(Opening[] calldata openings) external pure returns (bytes32);

    /// @notice keccak256 of the leaves, two words each.
    function batchHashOf(CommitLeaf[] calldata leaves) external pure returns (bytes32);
}
