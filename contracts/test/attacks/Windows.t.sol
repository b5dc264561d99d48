// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ProjectTerms, WitnessSignature} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";

/// @notice Every call with a window, one second before it, in its first two and its last second, and in the two after it; in a round
/// that runs by the clock, and in rounds whose phases ended early. The times are counted here, not asked of the market.
contract WindowsTest is MarketScene {
    bytes32 private constant DIGEST = keccak256("validation batch");

    uint256 private tC;
    uint256 private tR;
    CommitLeaf[] private batch;

    function setUp() public override {
        super.setUp();
        ProjectTerms memory terms = _terms();
        terms.validationRoot = keccak256(abi.encode(keccak256(abi.encode(uint32(1), DIGEST))));
        project = _create(terms, 10 * uint256(BUDGET));
        _join(project, 0, 8);
        _bond(project, rival, BOND);
        round = _open(project);
        (tC, tR) = (START + COMMIT, START + COMMIT + GUARD + REVEAL);
    }

    // ---- commitments, before anything has moved

    function test_CommitBatch_WhenItsWindowEnds() public {
        _window(START, tC - SELF, aggregator, _batchCall(0, 5));
    }

    function test_CommitSelf_WhenItsWindowEnds() public {
        _window(START, tC, trainers[7], _selfCall(7, _noLeaves()));
    }

    /// @dev The last part of the phase is the trainers': also when all but one have committed by then.
    function test_CommitSelf_WhenOneSlotIsLeft() public {
        _write(_commit(project, round, 0, 7));
        _window(START, tC, trainers[7], _selfCall(7, batch));
    }

    // ---- the same round by the clock, committed early, revealed early

    function test_Calls_WhenTheRoundRunsByTheClock() public {
        _write(_commit(project, round, 0, 7));
        _windowsOfReveals(7);
        vm.warp(tC + GUARD);
        _reveal(project, round, batch, 0, 6);
        _windowsOfStakes(6);
        _windowsOfSettlement(6);
    }

    function test_Calls_WhenCommitsEndedEarly() public {
        vm.warp(START + 5);
        _write(_commit(project, round, 0, 8));
        (tC, tR) = (START + 5, START + 5 + GUARD + REVEAL);
        vm.assertFalse(_wouldWork(trainers[0], _selfCall(0, batch)), "committing is over");
        _windowsOfReveals(8);
        vm.warp(tC + GUARD);
        _reveal(project, round, batch, 0, 7);
        _windowsOfStakes(7);
        _windowsOfSettlement(7);
    }

    function test_Calls_WhenCommitsAndRevealsEndedEarly() public {
        vm.warp(START + 5);
        _write(_commit(project, round, 0, 8));
        (tC, tR) = (START + 5, START + 5 + GUARD + 3);
        vm.warp(tR);
        _reveal(project, round, batch, 0, 8);
        for (uint256 i; i < 8; ++i) _never(stranger, _slashCall(batch, i));
        _windowsOfSettlement(8);
    }

    function test_Calls_WhenRevealsEndedEarly() public {
        _write(_commit(project, round, 0, 7));
        vm.warp(tC + GUARD + 7);
        _reveal(project, round, batch, 0, 7);
        tR = tC + GUARD + 7;
        _windowsOfSettlement(7);
    }

    /// @dev Void for want of rows: stakes as in any round, and it can be closed from tR on.
    function test_Calls_WhenRowsAreMissing() public {
        _write(_commit(project, round, 0, 7));
        vm.warp(tC + GUARD);
        _reveal(project, round, batch, 0, 2);
        _windowsOfStakes(2);
        _window(tR, 0, stranger, _closeCall(0, 2));
        _never(aggregator, _settleCall(_equalSettlement(2)));
    }

    // ---- windows

    /// @dev Before anything is revealed. `n`: commitments.
    function _windowsOfReveals(uint256 n) private {
        bytes memory show = abi.encodeCall(market.revealValidation, (project, round, DIGEST, new bytes32[](0)));
        _window(tC, tR, stranger, show);
        _window(tC + GUARD, tR, stranger, _revealCall(batch, 0, 1));
        _window(tC + GUARD, tR, stranger, _revealCall(batch, n - 1, n));
        _window(tR, tR + RESCUE, stranger, _rescueCall(batch, 0, 1));
    }

    /// @dev Of the commitment that was not revealed, the one behind the first `n`; and of the stakes of two who leave.
    function _windowsOfStakes(uint256 n) private {
        uint256 tG = tR + RESCUE;
        _window(tR, tG, stranger, _rescueCall(batch, n, n + 1));
        _window(tG, tG + SLASH, stranger, _slashCall(batch, n));
        _never(stranger, _slashCall(batch, 0));
        uint256 before = vm.snapshotState();
        for (uint256 i; i < 2; ++i) {
            address trainer = trainers[i == 0 ? 0 : n];
            vm.prank(trainer);
            market.leave(project);
            _window(tG + SLASH, 0, trainer, abi.encodeCall(market.withdrawStake, (project, trainer)));
        }
        vm.revertToState(before);
    }

    /// @dev Of a round with rows 0 .. n - 1, whose acceptor is `aggregator`.
    function _windowsOfSettlement(uint256 n) private {
        uint256 tS = tR + RESCUE + SETTLE;
        uint256 tF = tS + TAKEOVER;
        bytes memory settle = _settleCall(_equalSettlement(n));
        _window(tR, tS, aggregator, settle);
        _window(tS, tF, rival, settle);
        _never(stranger, settle);
        bytes32 struct_ = keccak256(
            abi.encode(
                keccak256("PublicRows(uint256 project,uint32 round,bytes32 rows)"), project, round, bytes32("rows")
            )
        );
        WitnessSignature[] memory signed = _witnessed(struct_);
        _window(tR, tF, stranger, abi.encodeCall(market.postPublicRows, (project, round, "rows", signed)));
        _window(tF, 0, stranger, _closeCall(0, n));
        _never(owner, abi.encodeCall(market.endProject, (project)));
        _never(aggregator, abi.encodeCall(market.withdrawBond, (project, 1)));
    }

    /// @dev Works in [from, until) and at no other of the times looked at; `until` = 0: for ever.
    function _window(uint256 from, uint256 until, address sender, bytes memory call) private {
        if (from > START) _at(from - 1, sender, call, false);
        _at(from, sender, call, true);
        _at(from + 1, sender, call, true);
        _at(until == 0 ? from + 3650 days : until - 1, sender, call, true);
        if (until == 0) return;
        _at(until, sender, call, false);
        _at(until + 1, sender, call, false);
    }

    function _never(address sender, bytes memory call) private {
        uint256[8] memory times = [tR - 1, tR, tR + RESCUE - 1, tR + RESCUE, tR + RESCUE + SETTLE, 0, 0, 0];
        times[5] = times[4] + TAKEOVER - 1;
        times[6] = times[4] + TAKEOVER;
        times[7] = times[4] + 3650 days;
        for (uint256 i; i < 8; ++i) _at(times[i], sender, call, false);
    }

    function _at(uint256 time, address sender, bytes memory call, bool expected) private {
        uint256 now_ = block.timestamp;
        vm.warp(time);
        if (_wouldWork(sender, call) != expected) {
            vm.assertEq(uint256(bytes32(bytes4(call))), time, expected ? "must work" : "must revert");
        }
        vm.warp(now_);
    }

    function _write(CommitLeaf[] memory leaves) private {
        for (uint256 i; i < leaves.length; ++i) batch.push(leaves[i]);
    }
}
