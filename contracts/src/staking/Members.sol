// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IMembers} from "../interfaces/IMembers.sol";
import {Projects} from "../projects/Projects.sol";
import {MemberRecord, Project} from "../storage/MarketStorage.sol";

/// @title Members: trainers and their stake
/// @notice The stake is the project's and the same for everybody. In this version nothing takes it away: it only makes a
/// Sybil identity cost capital while it is in use.
abstract contract Members is Projects, IMembers {
    using SafeERC20 for IERC20;

    /// @inheritdoc IMembers
    function join(uint256 project) external nonReentrant {
        Project storage p = _project(project);
        if (p.ended) revert ProjectIsOver(project);
        MemberRecord storage m = _member(project, msg.sender);
        if (m.staked) revert AlreadyMember(project, msg.sender);
        m.joinedRound = p.newestRound;
        m.staked = true;
        p.members += 1;
        emit MemberJoined(project, msg.sender, p.stake, p.newestRound);
        _pull(p.token, msg.sender, p.stake);
    }

    /// @inheritdoc IMembers
    function leave(uint256 project) external nonReentrant {
        Project storage p = _project(project);
        MemberRecord storage m = _member(project, msg.sender);
        if (!m.staked || m.left) revert NotMember(project, msg.sender);
        m.left = true;
        m.leftRound = p.newestRound;
        p.members -= 1;
        emit MemberLeft(project, msg.sender, p.newestRound);
    }

    /// @inheritdoc IMembers
    function withdrawStake(uint256 project, address trainer) external nonReentrant {
        Project storage p = _project(project);
        MemberRecord storage m = _member(project, trainer);
        if (!m.staked) revert NotMember(project, trainer);
        if (!m.left) revert StillMember(project, trainer);
        if (!_roundIsOver(project, p, m.leftRound)) revert StakeLocked(project, trainer, m.leftRound);
        m.staked = false;
        m.left = false;
        emit StakeWithdrawn(project, trainer, p.stake);
        IERC20(p.token).safeTransfer(trainer, p.stake);
    }

    /// @inheritdoc IMembers
    function memberCount(uint256 project) external view returns (uint256) {
        return _project(project).members;
    }

    /// @inheritdoc IMembers
    function memberOf(uint256 project, address trainer) external view returns (Member memory) {
        Project storage p = _project(project);
        MemberRecord storage m = _member(project, trainer);
        return Member({
            stake: m.staked ? p.stake : 0,
            joinedRound: m.joinedRound,
            leftRound: m.leftRound,
            left: m.left
        });
    }
}
