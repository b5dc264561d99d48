// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Members: trainers and their stake
interface IMembers {
    struct Member {
        uint128 stake; // base units of the project's token; 0 = not a member
        uint32 joinedRound; // may commit in rounds after this one (the newest round when joining)
        uint32 leftRound; // newest round when leaving; meaningful if `left`
        bool left;
    }

    event MemberJoined(uint256 indexed project, address indexed trainer, uint256 stake, uint32 joinedRound);
    event MemberLeft(uint256 indexed project, address indexed trainer, uint32 leftRound);
    event StakeWithdrawn(uint256 indexed project, address indexed trainer, uint256 amount);

    error AlreadyMember(uint256 project, address trainer);
    error NotMember(uint256 project, address trainer);
    error StillMember(uint256 project, address trainer);
    error StakeLocked(uint256 project, address trainer, uint256 untilRoundEnds);

    /// @notice Joins with the project's stake, taken from the caller.
    function join(uint256 project) external;

    /// @notice Stops taking part in rounds opened from now on. The stake can be withdrawn when the round that was
    /// running, if any, has ended.
    function leave(uint256 project) external;

    /// @notice Sends the stake of a trainer who left back to that trainer. Anyone may call.
    function withdrawStake(uint256 project, address trainer) external;

    /// @notice Members who have not left.
    function memberCount(uint256 project) external view returns (uint256);

    function memberOf(uint256 project, address trainer) external view returns (Member memory);
}
