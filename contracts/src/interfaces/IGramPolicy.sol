// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title IGramPolicy: scores and weights of a round from the inner products of its rows
/// @notice What a ProvenVerifier runs once it is sure which bytes the Gram matrix has to be. A pure function of its
/// arguments: called by staticcall, once in a settlement.
interface IGramPolicy {
    /// @notice keccak256 of the canonical parameters that this contract computes with: what a project pins in its terms.
    // solhint-disable-next-line func-name-mixedcase
    function POLICY_HASH() external view returns (bytes32);

    /// @param n updates; the rows after them are public: `steps` past steps (most recent first), u0 if `trainable` is 1,
    /// and v, v', k if `values` is 3.
    /// @param gram upper triangle of the Gram matrix of all rows, row by row, diagonal included. Big endian, two's
    /// complement: 7 bytes for update x update, 9 for update x public, 11 for public x public.
    /// @param hints what spares the policy work that is easier to check than to do; wrong ones revert.
    /// @return words one per update, from the lowest bit: reason (8), score (64), as outcomes of IRoundPolicy, and weight
    /// (17); the weights add up to at most 2^16.
    function judge(
        uint256 n,
        uint256 steps,
        uint256 trainable,
        uint256 values,
        bytes calldata gram,
        bytes calldata hints
    ) external view returns (uint256[] memory words);
}
