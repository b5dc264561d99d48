// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {ISettlement} from "../../src/interfaces/ISettlement.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";

/// @notice Every phase at deadline - 1, deadline, deadline + 1, in a round that runs by the clock and in one whose phases ended
/// early. Intervals are half-open.
contract DeadlinesTest is MarketScene {
    IRoundViews.RoundView private t;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        _bond(project, rival, BOND);
        round = _open(project);
        t = _view();
    }

    // ---- the times themselves

    function test_RoundOf_WhenNobodyHasActed() public view {
        vm.assertEq(t.openedAt, START);
        vm.assertEq(t.commitEnd, START + COMMIT);
        vm.assertEq(t.revealStart, t.commitEnd + GUARD);
        vm.assertEq(t.revealEnd, t.revealStart + REVEAL);
        vm.assertEq(t.rescueEnd, t.revealEnd + RESCUE);
        vm.assertEq(t.acceptorEnd, t.rescueEnd + SETTLE);
        vm.assertEq(t.settleEnd, t.acceptorEnd + TAKEOVER);
        vm.assertEq(t.slashEnd, t.rescueEnd + SLASH);
    }

    /// @dev After an early end the later windows keep their whole length, the guard above all.
    function testFuzz_RoundOf_WhenPhasesEndEarly(uint256 committedAt, uint256 revealedAt) public {
        committedAt = _bound(committedAt, START, t.commitEnd - 1);
        vm.warp(committedAt > t.commitEnd - SELF - 1 ? t.commitEnd - SELF - 1 : committedAt);
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(committedAt < block.timestamp ? block.timestamp : committedAt);
        _commitSelf(project, round, 7, batch);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.commitEnd, block.timestamp);
        vm.assertEq(r.revealStart, r.commitEnd + GUARD);
        vm.assertEq(r.revealEnd, r.revealStart + REVEAL);
        vm.assertEq(r.slashEnd, r.revealEnd + RESCUE + SLASH);
        revealedAt = _bound(revealedAt, r.revealStart, r.revealEnd - 1);
        vm.warp(revealedAt);
        _reveal(project, round, batch, 0, 8);
        IRoundViews.RoundView memory s = _view();
        vm.assertEq(s.commitEnd, r.commitEnd, "the past does not move");
        vm.assertEq(s.revealEnd, revealedAt);
        vm.assertEq(s.rescueEnd, revealedAt + RESCUE);
        vm.assertEq(s.acceptorEnd, revealedAt + RESCUE + SETTLE);
        vm.assertEq(s.settleEnd, revealedAt + RESCUE + SETTLE + TAKEOVER);
    }

    // ---- phases

    function test_PhaseOf_WhenTheRoundRunsByTheClock() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        _around(t.commitEnd, Phase.Commit, Phase.Guard);
        _around(t.revealStart, Phase.Guard, Phase.Reveal);
        vm.warp(t.revealStart);
        _reveal(project, round, batch, 0, 6);
        _around(t.revealEnd, Phase.Reveal, Phase.Settle);
        _around(t.rescueEnd, Phase.Settle, Phase.Settle);
        _around(t.acceptorEnd, Phase.Settle, Phase.Settle);
        _around(t.settleEnd, Phase.Settle, Phase.Defaulted);
    }

    function test_PhaseOf_WhenEverybodyActsEarly() public {
        vm.warp(START + 5);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        _around(START + 5 + GUARD, Phase.Guard, Phase.Reveal);
        vm.warp(START + 5 + GUARD + 3);
        _reveal(project, round, batch, 0, 8);
        _assertPhase(project, round, Phase.Settle);
        _around(START + 5 + GUARD + 3 + RESCUE + SETTLE + TAKEOVER, Phase.Settle, Phase.Defaulted);
    }

    function test_PhaseOf_WhenCommitsAreMissing() public {
        _commit(project, round, 0, 2); // k_min - 1
        _around(t.commitEnd, Phase.Commit, Phase.Void);
        _around(t.settleEnd + 365 days, Phase.Void, Phase.Void);
    }

    function test_PhaseOf_WhenCommitsAreJustEnough() public {
        _commit(project, round, 0, 3); // k_min
        _around(t.commitEnd, Phase.Commit, Phase.Guard);
        _around(t.revealEnd, Phase.Reveal, Phase.Void); // ... and nobody revealed
        _around(t.settleEnd, Phase.Void, Phase.Void);
    }

    function test_PhaseOf_WhenRowsAreMissing() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(t.revealStart);
        _reveal(project, round, batch, 0, 2); // k_min - 1
        _around(t.revealEnd, Phase.Reveal, Phase.Void);
    }

    function test_PhaseOf_WhenRowsAreJustEnough() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(t.revealStart);
        _reveal(project, round, batch, 0, 3); // k_min
        _around(t.revealEnd, Phase.Reveal, Phase.Settle);
    }

    function test_PhaseOf_WhenTheRoundDoesNotExist() public view {
        _assertPhase(project, 0, Phase.None);
        _assertPhase(project, 2, Phase.None);
        _assertPhase(project, type(uint32).max, Phase.None);
    }

    // ---- calls

    function test_CommitSelf_WhenTcComes() public {
        for (uint256 i; i < 3; ++i) _commitSelf(project, round, i);
        bytes memory call = _selfCall(4, _noLeaves());
        _tryAt(t.commitEnd - 1, trainers[4], call, "");
        _tryAt(t.commitEnd, trainers[4], call, _wrong(Phase.Guard, Phase.Commit));
        _tryAt(t.commitEnd + 1, trainers[4], call, _wrong(Phase.Guard, Phase.Commit));
    }

    function test_Reveal_WhenItsWindowBeginsAndEnds() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        bytes memory call = _revealCall(batch, 0, 3);
        _tryAt(t.commitEnd - 1, stranger, call, _wrong(Phase.Commit, Phase.Reveal));
        _tryAt(t.commitEnd, stranger, call, _wrong(Phase.Guard, Phase.Reveal));
        _tryAt(t.revealStart - 1, stranger, call, _wrong(Phase.Guard, Phase.Reveal));
        _tryAt(t.revealStart, stranger, call, "");
        _tryAt(t.revealStart + 1, stranger, call, "");
        _tryAt(t.revealEnd - 1, stranger, call, "");
        _tryAt(t.revealEnd, stranger, call, _wrong(Phase.Void, Phase.Reveal));
        _tryAt(t.revealEnd + 1, stranger, call, _wrong(Phase.Void, Phase.Reveal));
    }

    /// @dev The acceptor alone before tS; any bonded aggregator until tF; then nobody.
    function test_Settle_WhenItsDeadlinesPass() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(t.revealStart);
        _reveal(project, round, batch, 0, 7);
        t = _view(); // the reveal phase ended early
        bytes memory call = _settleCall(_equalSettlement(7));
        _tryAt(t.revealEnd, aggregator, call, "");
        _tryAt(t.revealEnd, rival, call, _notYours());
        _tryAt(t.rescueEnd, rival, call, _notYours());
        _tryAt(t.acceptorEnd - 1, aggregator, call, "");
        _tryAt(t.acceptorEnd - 1, rival, call, _notYours());
        _tryAt(t.acceptorEnd, rival, call, "");
        _tryAt(t.acceptorEnd + 1, rival, call, "");
        _tryAt(t.settleEnd - 1, rival, call, "");
        _tryAt(t.settleEnd, rival, call, _wrong(Phase.Defaulted, Phase.Settle));
        _tryAt(t.settleEnd + 1, aggregator, call, _wrong(Phase.Defaulted, Phase.Settle));
    }

    function test_CloseRound_WhenTfComes() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 7);
        vm.warp(t.revealStart);
        _reveal(project, round, batch, 0, 6);
        bytes memory call = _closeCall(0, 6);
        _tryAt(t.revealEnd - 1, stranger, call, _running());
        _tryAt(t.revealEnd, stranger, call, _running());
        _tryAt(t.settleEnd - 1, stranger, call, _running());
        _tryAt(t.settleEnd, stranger, call, "");
        _tryAt(t.settleEnd + 1, stranger, call, "");
    }

    function test_CloseRound_WhenAVoidRoundPassesTc() public {
        bytes memory call = _closeCall(0, 0);
        _tryAt(t.commitEnd - 1, stranger, call, _running());
        _tryAt(t.commitEnd, stranger, call, "");
        _tryAt(t.commitEnd + 1, stranger, call, "");
    }

    /// @dev A day without blocks over every deadline: nobody is admitted, the stakes can still be slashed or not, and no money
    /// is stuck.
    function test_Round_WhenADayPassesWithoutBlocks() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        bytes memory revealCall = _revealCall(batch, 0, 8);
        vm.warp(block.timestamp + 1 days);
        _reverts(stranger, revealCall, _wrong(Phase.Void, Phase.Reveal));
        _closeEmpty();
        vm.assertEq(_ledger().free, 10 * uint256(BUDGET));
        vm.assertEq(_open(project), 2);
        vm.assertEq(_ledger().held, BUDGET);
        _equation(project);
    }

    /// @dev Outage over tR alone: what could not be revealed is rescued.
    function test_Rescue_WhenAnOutageCoveredTheRevealPhase() public {
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealEnd);
        _works(trainers[0], _rescueCall(batch, 0, 8));
        vm.warp(_view().rescueEnd);
        bytes memory nothing = abi.encodeWithSelector(IRounds.NothingToSlash.selector, project, round, 1);
        _reverts(stranger, _slashCall(batch, 0), nothing);
    }

    /// @dev A second before the time, at it, and after it.
    function _around(uint256 time, Phase before, Phase from) private {
        uint256 now_ = block.timestamp;
        vm.warp(time - 1);
        _assertPhase(project, round, before);
        vm.warp(time);
        _assertPhase(project, round, from);
        vm.warp(time + 1);
        _assertPhase(project, round, from);
        vm.warp(now_);
    }

    function _notYours() private view returns (bytes memory) {
        return abi.encodeWithSelector(
            ISettlement.NotYours.selector, project, round, rival, aggregator, t.acceptorEnd
        );
    }
}
