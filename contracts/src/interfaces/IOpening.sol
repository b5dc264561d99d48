// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Opening: how a round begins
/// @notice Events and errors are in IRounds.
interface IOpening {
    /// @notice Opens the next round: sets its budget aside, irrevocably. Anyone may, once the previous one ended, an
    /// aggregator has accepted and the model has its receipts.
    function openRound(uint256 project) external returns (uint32 round);
}
