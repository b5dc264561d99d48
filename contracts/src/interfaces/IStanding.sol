// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Standing: how a trainer has worked, in each project and across them
/// @notice A project keeps a record per member. Reliability across projects is G / (G + B + PRIOR), in basis points: G is
/// the credit of the projects asked for, per owner at most what alone gives a tenth; B are the losses of all projects,
/// capped per owner too and written at once. A newcomer has 0, so that a new identity never outranks an old one. It does
/// not matter in which order things happened, so nobody can hide credit from a loss.
interface IStanding {
    /// @notice Packed in 64 bits, four members to a slot: from the lowest bit credit (24), usefulness (16), rounds (16),
    /// rejections (7), and a bit that is always set. Every count stops at its maximum.
    struct Record {
        uint24 credit; // 1,000 for each round with an average share or more, in proportion below
        uint16 usefulness; // moving average of share x n, basis points, at most 40,000
        uint16 rounds; // admitted rows of settled rounds
        uint8 rejections; // rows rejected as hostile, at most 127
    }

    /// @notice Losses of one trainer rose by `loss` through a project of `owner`: now `ofOwner` through that owner and
    /// `total` in all.
    event LossRecorded(
        address indexed trainer,
        address indexed owner,
        uint256 indexed project,
        uint32 round,
        uint256 loss,
        uint256 ofOwner,
        uint256 total
    );

    error StandingListUnsorted(uint256 index);

    function recordOf(uint256 project, uint32 member) external view returns (Record memory);

    /// @notice Losses of a trainer in all projects, in units of credit.
    function lossesOf(address trainer) external view returns (uint256);

    /// @notice Losses of a trainer through the projects of one owner.
    function lossesThrough(address trainer, address owner) external view returns (uint256);

    /// @notice Reliability of a trainer in basis points, by the projects named: sorted by owner, then by number. Naming
    /// fewer can only lower it.
    function reliabilityOf(address trainer, uint256[] calldata projects) external view returns (uint256);
}
