// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundPolicy} from "../interfaces/IRoundPolicy.sol";

/// @title SuppliedScores: the policy that was run off chain
/// @notice Hands back the outcomes that the settlement brings. That they are the policy's is for the project's verifier to
/// see: attested projects have them signed by a quorum of witnesses.
contract SuppliedScores is IRoundPolicy {
    /// @inheritdoc IRoundPolicy
    /// @dev `input` = abi.encode(uint256[]), one outcome per row.
    function outcomesOf(Facts calldata facts, bytes calldata input) external pure returns (uint256[] memory outcomes) {
        outcomes = abi.decode(input, (uint256[]));
        if (outcomes.length != facts.rows) revert InputMalformed(outcomes.length, facts.rows);
    }
}
