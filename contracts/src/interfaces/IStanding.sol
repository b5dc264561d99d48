// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Standing: reliability and usefulness of a trainer, across projects
/// @notice Basis points. A newcomer has 0, so that a new identity never outranks an old one.
interface IStanding {
    struct Standing {
        uint16 reliability; // 0 .. 10,000
        uint16 usefulness; // moving average of share x n, capped at 4 x (40,000)
        uint32 rounds; // admitted rows so far
        uint32 rejections; // rows rejected as hostile so far
    }

    event StandingChanged(
        address indexed trainer, uint256 indexed project, uint32 indexed round, uint16 reliability, uint16 usefulness
    );

    function standingOf(address trainer) external view returns (Standing memory);
}
