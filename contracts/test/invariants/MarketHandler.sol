// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Phase} from "../../src/types/Types.sol";
import {MarketCheck} from "./MarketCheck.sol";
import {ACTIONS, Did, World} from "./World.sol";

/// @notice The calls that a sequence is made of. Each does what its name says if the market's state allows it, and the next
/// thing that brings a round further if not, so that no call of a sequence is lost; none of them may revert.
contract MarketHandler is MarketCheck {
    uint256 private _favourite;

    function setUp() public override {
        World.setUp();
        for (uint256 i; i < 5; ++i) {
            _join(1, i);
            _join(2, 6 - i);
            if (i < 3) _join(3, 2 * i);
        }
        for (uint256 i; i < PEOPLE; i += 2) {
            for (uint256 project = 1; project <= projectsMade; ++project) _setDelegate(project, i);
        }
        for (uint256 project = 1; project <= projectsMade; ++project) _bondUp(project, aggregator);
        delete did;
        touched = 0;
    }

    // ---- owners

    function createProject(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_oneIn(4) || !_createLater()) _step(project);
    }

    function fund(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_fund(project)) _step(project);
    }

    function addAggregator(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_addAggregator(project)) _step(project);
    }

    /// @dev Seldom, or nothing else happens.
    function end(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_oneIn(6) || !_end(project)) _step(project);
    }

    function refund(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_refund(project)) _step(project);
    }

    function collectProtocolFees(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_collect(project)) _step(project);
    }

    // ---- trainers and delegates

    function join(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_join(project, _dice() % PEOPLE)) _step(project);
    }

    function stakeFor(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_stakeFor(project, _dice() % PEOPLE)) _step(project);
    }

    function leave(uint256 seed) external {
        uint256 project = _begin(seed);
        bool few = ghosts[project].members <= ghosts[project].terms.minTrainers + 1;
        if ((few && !_oneIn(4)) || !_leave(project, _dice() % PEOPLE)) _step(project);
    }

    function withdrawStake(uint256 seed) external {
        uint256 project = _begin(seed);
        uint256 first = _dice() % PEOPLE;
        for (uint256 i; i < PEOPLE; ++i) if (_withdrawStake(project, (first + i) % PEOPLE)) return;
        _step(project);
    }

    function setDelegate(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_setDelegate(project, _dice() % PEOPLE)) _step(project);
    }

    function commitSelf(uint256 seed) external {
        _aim(_begin(seed), _commitSelfAny);
    }

    function claim(uint256 seed) external {
        _aim(_begin(seed), _claimAny);
    }

    // ---- aggregators

    function depositBond(uint256 seed) external {
        uint256 project = _begin(seed);
        _depositBond(project, _someAggregator(project));
    }

    function withdrawBond(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_withdrawBond(project, _someAggregator(project))) _step(project);
    }

    function accept(uint256 seed) external {
        uint256 project = _begin(seed);
        address who = _someAggregator(project);
        if (_acceptAs(project, who)) return;
        if (bondGhosts[project][who].free < ghosts[project].terms.bond) _bondUp(project, who);
        else _step(project);
    }

    function withdrawAcceptance(uint256 seed) external {
        _aim(_begin(seed), _withdrawAcceptance);
    }

    function acceptAndOpen(uint256 seed) external {
        uint256 project = _begin(seed);
        if (!_acceptAndOpen(project, _someAggregator(project))) _step(project);
    }

    function commitBatch(uint256 seed) external {
        _aim(_begin(seed), _commitBatch);
    }

    function settle(uint256 seed) external {
        _aim(_begin(seed), _settleNow);
    }

    function takeOver(uint256 seed) external {
        _aim(_begin(seed), _takeOver);
    }

    // ---- witnesses

    function reveal(uint256 seed) external {
        _aim(_begin(seed), _revealNow);
    }

    function revealValidation(uint256 seed) external {
        _aim(_begin(seed), _revealValidation);
    }

    function postPublicRows(uint256 seed) external {
        _aim(_begin(seed), _postPublicRows);
    }

    function receiptModel(uint256 seed) external {
        _aim(_begin(seed), _receiptModel);
    }

    // ---- anybody

    function openRound(uint256 seed) external {
        _aim(_begin(seed), _openRound);
    }

    function rescue(uint256 seed) external {
        _aim(_begin(seed), _rescueSome);
    }

    function slash(uint256 seed) external {
        _aim(_begin(seed), _slashSomebody);
    }

    function close(uint256 seed) external {
        _aim(_begin(seed), _closeNow);
    }

    function forbidden(uint256 seed) external {
        _tryForbidden(_begin(seed));
    }

    /// @dev A little, or to one second around a deadline.
    function wait_(uint256 seed) external {
        uint256 project = _begin(seed);
        (, GhostRound storage r, Phase phase) = _newest(project);
        uint256 to = block.timestamp + 1 + _dice() % 20;
        if (_oneIn(2) && phase != Phase.None) {
            uint256[6] memory deadlines = [
                r.commitEnd,
                r.commitEnd + ghosts[project].terms.windows.guard,
                r.revealEnd,
                _tG(project, r),
                _tS(project, r),
                _tF(project, r)
            ];
            uint256 at = deadlines[_dice() % 6] + _dice() % 3;
            if (at > block.timestamp + 1 && at < block.timestamp + 120) to = at - 1;
        }
        _waitUntil(to);
    }

    /// @dev Three steps of one project: rounds get to their end more often than by chance alone.
    function proceed(uint256 seed) external {
        uint256 project = _begin(seed);
        for (uint256 i; i < 3; ++i) _step(project);
    }

    function didAll() external view returns (uint256[ACTIONS] memory) {
        return did;
    }

    // ---- the next step of a project

    /// @dev Brings a project on until `action` is possible, if that does not take long.
    function _aim(uint256 project, function(uint256) internal returns (bool) action) private {
        for (uint256 i; i < 5; ++i) {
            if (action(project)) return;
            _step(project);
        }
    }

    function _claimAny(uint256 project) private returns (bool) {
        uint256 first = _dice() % PEOPLE;
        for (uint256 i; i < PEOPLE; ++i) if (_claim(project, (first + i) % PEOPLE)) return true;
        return false;
    }

    function _commitSelfAny(uint256 project) private returns (bool) {
        return _commitSelfAs(project, _dice() % PEOPLE);
    }

    /// @dev The acceptor does not settle in time; somebody else does, or the acceptor itself, late.
    function _takeOver(uint256 project) private returns (bool) {
        (, GhostRound storage r, Phase phase) = _newest(project);
        if (phase != Phase.Settle) return false;
        if (block.timestamp < _tS(project, r)) vm.warp(_tS(project, r));
        if (!_settleNow(project)) _bondUp(project, _oneIn(2) ? r.acceptor : rival);
        return true;
    }

    function _begin(uint256 seed) private returns (uint256 project) {
        _roll(seed);
        // One project of a sequence gets half of its calls, and so more rounds.
        if (_favourite == 0) _favourite = 1 + _dice() % projectsMade;
        return _oneIn(2) ? _favourite : 1 + _dice() % projectsMade;
    }

    function _waitUntil(uint256 time) private {
        vm.warp(time);
        _count(Did.Wait);
    }

    function _step(uint256 project) private {
        (uint32 round, GhostRound storage r, Phase phase) = _newest(project);
        if (ghosts[project].ended) return _stepAfterTheEnd(project);
        if (phase == Phase.None || r.outcome != Phase.None) return _stepBetween(project);
        if (phase == Phase.Commit) return _stepInCommit(project, round, r);
        if (phase == Phase.Guard) return _waitUntil(r.commitEnd + ghosts[project].terms.windows.guard);
        if (phase == Phase.Reveal) {
            if (_oneIn(8) || !_revealNow(project)) _waitUntil(r.revealEnd);
            return;
        }
        if (phase == Phase.Settle) {
            if (_oneIn(5) && _rescueSome(project)) return;
            if (_oneIn(12)) return _waitUntil(_tF(project, r));
            if (!_settleNow(project)) _bondUp(project, rival);
            return;
        }
        if (r.rows.length != 0 || _oneIn(2)) _closeNow(project);
        else _stepBetween(project);
    }

    function _stepInCommit(uint256 project, uint32, GhostRound storage r) private {
        if (!r.posted && _commitBatch(project)) return;
        if (_oneIn(2)) {
            uint256 first = _dice() % PEOPLE;
            for (uint256 i; i < PEOPLE; ++i) if (_commitSelfAs(project, (first + i) % PEOPLE)) return;
        }
        _waitUntil(r.commitEnd);
    }

    /// @dev Whatever the next round still lacks.
    function _stepBetween(uint256 project) private {
        GhostProject storage p = ghosts[project];
        uint256 first = _dice() % PEOPLE;
        if (p.members < p.terms.minTrainers) {
            for (uint256 i; i < PEOPLE; ++i) if (_join(project, (first + i) % PEOPLE)) return;
            for (uint256 i; i < PEOPLE; ++i) if (_stakeFor(project, (first + i) % PEOPLE)) return;
        }
        if (p.ledger.free + p.ledger.held < p.terms.roundBudget && _fund(project)) return;
        if (p.pending != 0) {
            if (_oneIn(2) && _receiptModel(project)) return;
            if (block.timestamp < p.pendingUntil) return _waitUntil(p.pendingUntil);
        }
        if (p.round >= p.terms.rounds) {
            if (_end(project)) return;
        } else if (p.acceptedRound == p.round + 1) {
            if (_openRound(project)) return;
        } else {
            address who = _oneIn(3) ? _someAggregator(project) : aggregator;
            if (_oneIn(4) && _acceptAs(project, who)) return;
            if (!_acceptAndOpen(project, who)) _bondUp(project, who);
            return;
        }
        _waitUntil(block.timestamp + 5);
    }

    function _stepAfterTheEnd(uint256 project) private {
        if (_refund(project) || _collect(project)) return;
        if (_claimAny(project) || _slashSomebody(project)) return;
        _waitUntil(block.timestamp + 20);
    }

    function _bondUp(uint256 project, address who) private {
        GhostProject storage p = ghosts[project];
        _send(project, who, abi.encodeCall(market.depositBond, (project, p.terms.bond)));
        bondGhosts[project][who].free += p.terms.bond;
        p.ledger.bonds += p.terms.bond;
        _count(Did.DepositBond);
    }
}
