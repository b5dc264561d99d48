// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title IRoundPolicy: gives every row of a round its score
/// @notice The seam between scores and money. `SuppliedScores` takes them as they come, for the witnesses to vouch for; an
/// on-chain policy computes them. Pure as far as the market is concerned: called once, by staticcall, at settlement.
interface IRoundPolicy {
    struct Facts {
        uint256 project;
        uint32 round;
        uint256 rows; // n
        bytes32 policyHash; // of the parameters, from the project's terms
        bytes32 admittedHash;
        bytes32 validation;
        bytes32 publicRows;
    }

    error InputMalformed(uint256 found, uint256 needed);

    /// @return outcomes one per row: score (64 bits, fixed point, 2^30 = an average contribution) << 8 | reason (8 bits,
    /// 0 = accepted, else the policy's code; a rejected row has score 0).
    function outcomesOf(Facts calldata facts, bytes calldata input) external view returns (uint256[] memory outcomes);
}
