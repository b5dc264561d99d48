// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Phase} from "../types/Types.sol";

/// @title RoundViews: how a round looks from outside
interface IRoundViews {
    /// @notice One round. Times are unix seconds. Of a round that is neither the newest nor has unresolved commitments
    /// the market keeps only phase and payoutRoot; its events have the rest.
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
        bytes32 batchHash; // keccak256 of the leaves, 36 bytes each
        bytes32 admittedHash; // chain over the calls that admitted rows, see Admission
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

    /// @notice What trainers commit to: keccak256(domain, row, salt) with domain = keccak256(abi.encode(keccak256(
    /// "CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round)"), chain id, market, project, round)).
    /// @param rows 69 bytes each: member (4), codec (1), update (32), digest of the CID (32). `salts`: one for each.
    function commitmentsOf(uint256 project, uint32 round, bytes calldata rows, bytes32[] calldata salts)
        external
        view
        returns (bytes32[] memory);
}
