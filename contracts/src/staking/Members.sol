// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {IMembers} from "../interfaces/IMembers.sol";
import {IProjects} from "../interfaces/IProjects.sol";
import {Deposits} from "../projects/Deposits.sol";
import {Rules, TermsStore} from "../projects/TermsCode.sol";
import {RoundBase} from "../rounds/RoundBase.sol";
import {Header, RoundState} from "../rounds/RoundState.sol";
import {RecordCell} from "../standing/RecordCell.sol";
import {StandingViews} from "../standing/StandingViews.sol";
import {MemberRecord, Project} from "../storage/MarketStorage.sol";

/// @title Members: trainers and their stake
/// @notice The stake is the project's and the same for everybody. It stays until nothing that its trainer may have
/// committed to can be slashed any more, so that leaving is no way around a slash.
abstract contract Members is RoundBase, StandingViews, IMembers, ReentrancyGuardTransient {
    using RoundState for Header;
    using SafeERC20 for IERC20;

    /// @inheritdoc IMembers
    function join(uint256 project, bytes32[] calldata accessProof, uint256[] calldata standingProjects)
        external
        nonReentrant
    {
        Project storage p = _project(project);
        if (p.ended) revert IProjects.ProjectIsOver(project);
        Rules memory rules = TermsStore.read(p.rules);
        _checkAccess(project, rules, accessProof, standingProjects);
        (uint32 number, MemberRecord storage m) = _numberOf(project, p, msg.sender);
        if (m.joined) revert AlreadyMember(project, msg.sender);
        if (m.unlockAt != 0) revert StakeLocked(project, msg.sender, m.unlockAt, block.timestamp);
        m.joined = true;
        m.joinedRound = p.newestRound;
        emit MemberJoined(project, msg.sender, number, p.newestRound);
        if (m.staked) p.members += 1;
        else _takeStakeFor(project, p, rules, m, number);
    }

    /// @inheritdoc IMembers
    function stakeFor(uint256 project, address trainer) external nonReentrant {
        Project storage p = _project(project);
        if (p.ended) revert IProjects.ProjectIsOver(project);
        if (trainer == address(0)) revert NotMember(project, trainer);
        (uint32 number, MemberRecord storage m) = _numberOf(project, p, trainer);
        if (m.staked) revert AlreadyStaked(project, trainer);
        Rules memory rules = TermsStore.read(p.rules);
        _takeStakeFor(project, p, rules, m, number);
    }

    /// @inheritdoc IMembers
    function setDelegate(uint256 project, address delegate) external {
        MemberRecord storage m = _known(project, msg.sender);
        if (delegate == msg.sender) revert DelegateIsTrainer(msg.sender);
        m.delegated = delegate != address(0);
        m.delegate = delegate;
        emit DelegateChanged(project, msg.sender, delegate);
    }

    /// @inheritdoc IMembers
    function leave(uint256 project) external nonReentrant {
        Project storage p = _project(project);
        MemberRecord storage m = _known(project, msg.sender);
        if (!m.joined) revert NotMember(project, msg.sender);
        m.joined = false;
        if (m.staked) {
            m.unlockAt = _stakeFreeAt(project, p);
            p.members -= 1;
        }
        emit MemberLeft(project, msg.sender, _memberNumbers[project][msg.sender], m.unlockAt);
    }

    /// @inheritdoc IMembers
    function withdrawStake(uint256 project, address trainer) external nonReentrant {
        Project storage p = _project(project);
        MemberRecord storage m = _known(project, trainer);
        if (m.joined) revert StillMember(project, trainer);
        if (!m.staked) revert NoStake(project, trainer);
        // slither-disable-next-line timestamp (end of the lock; a few seconds either way decide nothing)
        if (block.timestamp < m.unlockAt) revert StakeLocked(project, trainer, m.unlockAt, block.timestamp);
        m.staked = false;
        m.unlockAt = 0;
        p.stakes -= 1;
        Rules memory rules = TermsStore.read(p.rules);
        emit StakeWithdrawn(project, trainer, _memberNumbers[project][trainer], rules.stake);
        IERC20(rules.token).safeTransfer(trainer, rules.stake);
    }

    /// @inheritdoc IMembers
    function memberOf(uint256 project, address trainer) external view returns (Member memory) {
        return _view(project, _memberNumbers[project][trainer]);
    }

    /// @inheritdoc IMembers
    function memberAt(uint256 project, uint32 number) external view returns (Member memory) {
        return _view(project, _member(project, number).trainer == address(0) ? 0 : number);
    }

    function _view(uint256 project, uint32 number) private view returns (Member memory) {
        MemberRecord storage m = _member(project, number);
        return Member({
            trainer: m.trainer,
            number: number,
            joinedRound: m.joinedRound,
            unlockAt: m.unlockAt,
            staked: m.staked,
            joined: m.joined,
            delegate: m.delegate
        });
    }

    function _known(uint256 project, address trainer) private view returns (MemberRecord storage) {
        uint32 number = _memberNumbers[_existing(project)][trainer];
        if (number == 0) revert NotMember(project, trainer);
        return _member(project, number);
    }

    function _existing(uint256 project) private view returns (uint256) {
        _project(project);
        return project;
    }

    function _checkAccess(
        uint256 project,
        Rules memory rules,
        bytes32[] calldata accessProof,
        uint256[] calldata standingProjects
    ) private view {
        if (rules.accessRoot != 0) {
            bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(msg.sender))));
            if (!MerkleProof.verifyCalldata(accessProof, rules.accessRoot, leaf)) {
                revert NotAllowed(project, msg.sender);
            }
        }
        if (rules.minReliability != 0) {
            uint256 found = reliabilityOf(msg.sender, standingProjects);
            if (found < rules.minReliability) revert ReliabilityTooLow(project, found, rules.minReliability);
        }
    }

    /// @dev The trainer's number, given now if it has none. Its record begins here, so that a trainer's first settled round
    /// costs no more than any other.
    function _numberOf(uint256 project, Project storage p, address trainer)
        private
        returns (uint32 number, MemberRecord storage m)
    {
        number = _memberNumbers[project][trainer];
        if (number == 0) {
            number = ++p.memberNumbers;
            _memberNumbers[project][trainer] = number;
            _member(project, number).trainer = trainer;
            uint256 cell = RecordCell.cellOf(number);
            _records[project][cell] = RecordCell.set(_records[project][cell], number, RecordCell.KNOWN);
        }
        m = _member(project, number);
    }

    function _takeStakeFor(
        uint256 project,
        Project storage p,
        Rules memory rules,
        MemberRecord storage m,
        uint32 number
    ) private {
        m.staked = true;
        p.stakes += 1;
        if (m.joined) {
            p.members += 1;
            m.joinedRound = p.newestRound; // the running round does not wait for this member
        }
        emit Staked(project, m.trainer, number, msg.sender, rules.stake);
        Deposits.pull(rules.token, msg.sender, rules.stake);
    }

    /// @dev When nothing that a member of the newest round may have committed to can be slashed any more. Older rounds end
    /// earlier, and deadlines only move earlier.
    function _stakeFreeAt(uint256 project, Project storage p) private view returns (uint40) {
        if (p.newestRound == 0) return uint40(block.timestamp);
        Rules memory rules = TermsStore.read(p.rules);
        Header memory h = RoundState.load(_newestRound(project));
        uint256 slashEnd = h.rescueEnd(rules) + _slashWindow();
        // slither-disable-next-line timestamp (the later of now and the last slash; a few seconds either way decide nothing)
        return uint40(slashEnd > block.timestamp ? slashEnd : block.timestamp);
    }
}
