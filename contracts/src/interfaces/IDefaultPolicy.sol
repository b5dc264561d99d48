// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IGramPolicy} from "./IGramPolicy.sol";

/// @title IDefaultPolicy: the default policy, and how it refuses what it cannot judge
interface IDefaultPolicy is IGramPolicy {
    /// @notice 1 .. 32 updates, 0 .. 3 past steps, u0 or not, three value rows or none.
    error LayoutUnsupported(uint256 n, uint256 steps, uint256 trainable, uint256 values);
    error GramLengthWrong(uint256 found, uint256 needed);
    error HintsLengthWrong(uint256 found, uint256 needed);
    /// @notice No vector has such a square. `row` of all rows, updates first.
    error SquareNegative(uint256 row);
    /// @notice The hint does not name the middle. `what`: 0 lengths, 1 novelty, 2 company, 3 scores.
    error MedianWrong(uint256 what, uint256 hint);
    /// @notice The hint is not the cosine of what is new that is this player's company, by its place among those kept.
    error CompanyWrong(uint256 player, uint256 hint);
}
