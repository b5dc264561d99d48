// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IResolution} from "../interfaces/IResolution.sol";
import {IRounds} from "../interfaces/IRounds.sol";
import {TermsStore} from "../projects/TermsCode.sol";
import {StandingBook} from "../standing/StandingBook.sol";
import {StandingRule} from "../standing/StandingRule.sol";
import {MemberRecord, Project} from "../storage/MarketStorage.sol";
import {Phase, SkipReason} from "../types/Types.sol";
import {Leaves} from "./Leaves.sol";
import {Openings} from "./Openings.sol";
import {Call} from "./RoundBase.sol";
import {Header, Round, RoundState} from "./RoundState.sol";
import {Rows} from "./Rows.sol";

/// @title Resolution: what becomes of commitments that nobody admitted
/// @notice First everybody can save its stake by opening the commitment, without witnesses; then anybody can have the
/// stake of those who did not. Both work on the newest round and on older ones.
abstract contract Resolution is Openings, StandingBook, IResolution, ReentrancyGuardTransient {
    using RoundState for Header;
    using SafeERC20 for IERC20;

    /// @inheritdoc IResolution
    function rescue(
        uint256 project,
        uint32 round,
        bytes calldata leaves,
        bytes calldata rows,
        bytes32[] calldata salts
    ) external nonReentrant {
        (, Round storage r, Call memory c) = _enterUnresolved(project, round);
        Header memory h = c.header;
        _checkWindow(c, h.revealEnd, h.rescueEnd(c.rules));
        uint256 count = Rows.count(rows, salts);
        Walk memory walk = _beginWalk(r, c, leaves, rows, salts);
        for (uint256 i; i < count; ++i) {
            _rescueOne(c, walk, i);
            _nextRow(walk);
        }
        _endWalk(r, walk);
        RoundState.save(r, h);
    }

    function _rescueOne(Call memory c, Walk memory walk, uint256 index) private {
        (uint256 leaf, SkipReason reason) = _seatOf(c, walk, index);
        uint32 member = uint32(walk.member);
        if (reason == SkipReason.None) {
            _resolve(c, leaf, member);
            emit IRounds.UpdateRescued(c.project, c.round, member, Rows.updateAt(walk.row));
        } else {
            emit IRounds.RevealSkipped(c.project, c.round, member, reason);
        }
    }

    /// @inheritdoc IResolution
    function slashNoReveal(uint256 project, uint32 round, uint32 member, bytes calldata leaves)
        external
        nonReentrant
    {
        (Project storage p, Round storage r, Call memory c) = _enterUnresolved(project, round);
        uint256 from = c.header.rescueEnd(c.rules);
        _checkWindow(c, from, from + _slashWindow());
        _resolve(c, _unresolvedSeat(r, c, member, leaves), member);
        RoundState.save(r, c.header);

        MemberRecord storage m = _member(project, member);
        _recordLoss(project, round, m.trainer, p.owner, StandingRule.NO_REVEAL, c.rules.standingWeight);
        (uint256 reward, uint256 burned) = _takeStake(p, c, m);
        emit IRounds.StakeSlashed(project, round, member, m.trainer, msg.sender, reward, burned);
        if (reward != 0) IERC20(c.rules.token).safeTransfer(msg.sender, reward);
    }

    /// @dev A round whose commitments can be rescued or slashed at some time.
    function _enterUnresolved(uint256 project, uint32 round)
        private
        view
        returns (Project storage p, Round storage r, Call memory c)
    {
        p = _project(project);
        r = _roundWithSeats(project, round, p);
        c.project = project;
        c.round = round;
        TermsStore.readInto(p.rules, c.rules, c.witnesses);
        RoundState.loadInto(r, c.header);
        if (c.header.openedAt == 0 || !c.header.hadReveals(c.rules)) {
            revert IRounds.WrongPhase(project, round, _phaseOf(project, p, c.rules, round), Phase.Settle);
        }
    }

    function _checkWindow(Call memory c, uint256 from, uint256 until) private view {
        // slither-disable-next-line timestamp (window of a rescue or a slash; a few seconds either way decide nothing)
        if (block.timestamp < from || block.timestamp >= until) {
            revert IRounds.OutsideWindow(c.project, c.round, block.timestamp, from, until);
        }
    }

    function _unresolvedSeat(Round storage r, Call memory c, uint32 member, bytes calldata leaves)
        private
        view
        returns (uint256 leaf)
    {
        Header memory h = c.header;
        leaf = leaves.length == 0 ? Leaves.NONE : _leafOf(r, h, leaves, member);
        if (leaf != Leaves.NONE && h.batchBits >> leaf & 1 == 1) {
            if (h.resolvedBits >> leaf & 1 == 1) revert IRounds.NothingToSlash(c.project, c.round, member);
            return leaf;
        }
        (bytes27 committed, bool resolved) = _selfCommit(c.project, c.round, member);
        if (committed == 0 || resolved) revert IRounds.NothingToSlash(c.project, c.round, member);
        return Leaves.NONE;
    }

    /// @dev A stake is taken once: a trainer who let several rounds pass may have none left.
    function _takeStake(Project storage p, Call memory c, MemberRecord storage m)
        private
        returns (uint256 reward, uint256 burned)
    {
        if (!m.staked) return (0, 0);
        m.staked = false;
        m.unlockAt = 0; // nothing is left to wait for: who has left may join again
        if (m.joined) p.members -= 1;
        p.stakes -= 1;
        p.slashedStakes += 1;
        reward = c.rules.stake / REWARD_DIVISOR;
        burned = c.rules.stake - reward;
    }
}
