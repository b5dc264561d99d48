// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Admission, Cid, NextModel, WitnessSignature} from "../types/Types.sol";

/// @title Settlement: the end of a round and its money
/// @notice held = paid + fees + burned + back to free, exactly.
interface ISettlement {
    /// @notice `payoutRoot` keeps the first 27 bytes of the Merkle root (see IPayouts). `rows` has a word for each row, from
    /// the lowest bit: reason (8), score (64), pay (112), the member's record in the project (64, see IStanding).
    event RoundSettled(
        uint256 indexed project,
        uint32 indexed round,
        address indexed settler,
        bytes27 payoutRoot,
        NextModel next,
        Cid bundle,
        uint256 paid,
        uint256 burned,
        uint256[] rows
    );
    /// @notice Nobody could earn by score: each row gets `share`. `members` in row order.
    event RoundVoided(
        uint256 indexed project, uint32 indexed round, bytes27 payoutRoot, uint256 share, uint32[] members
    );
    event RoundDefaulted(
        uint256 indexed project, uint32 indexed round, bytes27 payoutRoot, uint256 share, uint32[] members
    );
    /// @notice The model waits for receipts before a round may start from it.
    event ModelPending(uint256 indexed project, uint32 indexed round, bytes32 model, uint40 until);
    event ModelReceipted(uint256 indexed project, bytes32 model);
    /// @notice Nobody vouched for the bytes in time: the next round starts from the last receipted model.
    event ModelDropped(uint256 indexed project, bytes32 model);

    error RoundAlreadyClosed(uint256 project, uint256 round);
    error NotYours(uint256 project, uint256 round, address caller, address acceptor, uint256 until);
    error RowsMismatch(bytes32 found, bytes32 stored);
    error PolicyAnswerMalformed(uint256 length);
    error OutcomesMismatch(uint256 outcomes, uint256 rows);
    error OutcomeTooLarge(uint256 row, uint256 outcome);
    error RejectedRowHasScore(uint256 row, uint256 score);
    error PaysMoreThanBudget(uint256 pay, uint256 distributable);
    error CidInvalid(uint8 codec, bytes32 digest);
    error NoModelPending(uint256 project);

    /// @notice Ends a round by its outcome. The aggregator that accepted the round before tS, any bonded aggregator of the
    /// project before tF.
    /// @param admissions what each call of `reveal` admitted, in order.
    /// @param policyInput what the project's IRoundPolicy needs to give the scores.
    /// @param evidence what the project's IRoundVerifier needs to see that everything is right.
    function settle(
        uint256 project,
        uint32 round,
        Admission[] calldata admissions,
        bytes calldata policyInput,
        NextModel calldata next,
        Cid calldata bundle,
        bytes calldata evidence
    ) external;

    /// @notice Ends a round that nobody can settle any more. Void: D/slots to each row, the rest is free again. Defaulted:
    /// D/n to each row, the fees and the aggregator's bond are burned.
    function closeRound(uint256 project, uint32 round, Admission[] calldata admissions) external;

    /// @notice A quorum of witnesses vouches that the bytes of the pending model can be fetched and open its commitment.
    function receiptModel(uint256 project, WitnessSignature[] calldata signatures) external;
}
