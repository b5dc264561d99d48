// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Members: trainers, their stake and their delegates
/// @notice A trainer has a number in each project, given once and for ever. Rounds speak of numbers: a number is four bytes
/// of calldata, and numbers that lie together share storage.
interface IMembers {
    struct Member {
        address trainer;
        uint32 number; // 0: unknown in this project
        uint32 joinedRound; // may commit in rounds after this one (the newest round when joining)
        uint40 unlockAt; // 0, or: has left, and may take the stake out from then on
        bool staked;
        bool joined; // and has not left
        address delegate; // may commit and reveal for the trainer; 0: nobody
    }

    event MemberJoined(uint256 indexed project, address indexed trainer, uint32 indexed member, uint32 joinedRound);
    event Staked(
        uint256 indexed project, address indexed trainer, uint32 indexed member, address from, uint256 amount
    );
    event DelegateChanged(uint256 indexed project, address indexed trainer, address delegate);
    event MemberLeft(uint256 indexed project, address indexed trainer, uint32 indexed member, uint40 unlockAt);
    event StakeWithdrawn(uint256 indexed project, address indexed trainer, uint32 indexed member, uint256 amount);

    error AlreadyMember(uint256 project, address trainer);
    error AlreadyStaked(uint256 project, address trainer);
    error NotMember(uint256 project, address trainer);
    error StillMember(uint256 project, address trainer);
    error NoStake(uint256 project, address trainer);
    error StakeLocked(uint256 project, address trainer, uint256 unlockAt, uint256 time);
    error NotAllowed(uint256 project, address trainer);
    error ReliabilityTooLow(uint256 project, uint256 found, uint256 needed);
    error DelegateIsTrainer(address trainer);

    /// @notice Joins. Takes the project's stake from the caller, unless somebody has staked for it already.
    /// @param accessProof Merkle proof of the caller in `accessRoot`; empty if the project has no list.
    /// @param standingProjects projects that vouch for the caller's reliability, see IStanding.reliabilityOf; empty if
    /// the project asks for none.
    function join(uint256 project, bytes32[] calldata accessProof, uint256[] calldata standingProjects) external;

    /// @notice Pays the stake of `trainer`, who alone can take it out again. Anyone may, for trainers who have none:
    /// before they join, or after theirs was slashed.
    function stakeFor(uint256 project, address trainer) external;

    /// @notice Lets `delegate` commit and reveal for the caller in this project; zero revokes. Takes effect at once: a
    /// commitment that is already posted stays (and can be slashed), a signature that is not yet posted becomes void.
    /// A delegate can lose one round's stake and never move money.
    function setDelegate(uint256 project, address delegate) external;

    /// @notice Takes part in no further round. The stake can be withdrawn once no commitment that the caller may have
    /// made can be slashed any more.
    function leave(uint256 project) external;

    /// @notice Sends the stake of a trainer who left, or never joined, to that trainer. Anyone may call once it is free.
    function withdrawStake(uint256 project, address trainer) external;

    /// @notice All zero if unknown.
    function memberOf(uint256 project, address trainer) external view returns (Member memory);

    /// @notice By number. All zero if there is none.
    function memberAt(uint256 project, uint32 number) external view returns (Member memory);
}
