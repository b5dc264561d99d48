// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundPolicy} from "../interfaces/IRoundPolicy.sol";

/// @title SuppliedScores: the policy that was run off chain
/// @notice Hands back the outcomes that the settlement brings. That they are the policy's is for the project's verifier to
/// see: attested projects have them signed by a quorum of witnesses.
contract SuppliedScores is IRoundPolicy {
    /// @inheritdoc IRoundPolicy
    /// @dev `input` = abi.encode(uint256[]), one outcome per row: it is the answer, byte for byte.
    function outcomesOf(Facts calldata facts, bytes calldata input) external pure returns (uint256[] memory) {
        uint256 needed = 64 + 32 * facts.rows;
        if (
            input.length != needed || uint256(bytes32(input[:32])) != 32
                || uint256(bytes32(input[32:64])) != facts.rows
        ) revert InputMalformed(input.length, needed);
        assembly ("memory-safe") {
            let answer := mload(0x40)
            calldatacopy(answer, input.offset, input.length)
            return(answer, input.length)
        }
    }
}
