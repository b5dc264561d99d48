// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf} from "../support/Packed.sol";

/// @notice The state table of the protocol, section 3: every call in every state of a round with seven commitments of eight
/// members, four rows, and three commitments that nobody reveals. One digit for each call, 1: it works.
contract StateTableTest is MarketScene {
    CommitLeaf[] private batch;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        _bond(project, rival, BOND);
        round = 1;
    }

    function test_State_WhenNoRoundHasOpened() public {
        _accept(project, aggregator);
        _table("1000000010");
    }

    function test_State_WhenCommitmentsAreTaken() public {
        _opened();
        _table("0110000000");
        _posted();
        _table("0010000000");
    }

    function test_State_WhenTheGuardIsUp() public {
        _opened();
        _posted();
        vm.warp(_view().commitEnd);
        _table("0000000000");
    }

    function test_State_WhenReveals() public {
        _revealed();
        _table("0001000000");
    }

    function test_State_WhenTheRoundIsInSettlement() public {
        _revealed();
        vm.warp(_view().revealEnd);
        _table("0000101000");
        vm.warp(_view().rescueEnd);
        _table("0000011000");
        vm.warp(_view().acceptorEnd);
        _table("0000010000"); // the acceptor has lost its turn with its bond
    }

    function test_State_WhenTheRoundDefaulted() public {
        _revealed();
        vm.warp(_view().settleEnd);
        _table("0000010100");
        _works(stranger, _closeCall(0, 4));
        _table("1000010011");
        vm.warp(_view().slashEnd);
        _table("1000000011");
    }

    function test_State_WhenTheRoundIsFinal() public {
        _revealed();
        vm.warp(_view().revealEnd);
        _settle(project, round, 4);
        _table("1000100011");
        vm.warp(_view().rescueEnd);
        _table("1000010011");
    }

    function test_State_WhenTheRoundIsVoid() public {
        _opened();
        _posted();
        vm.warp(_view().revealEnd);
        _assertPhase(project, round, Phase.Void);
        _table("1000100110"); // no row: the next call closes it on the way
        vm.warp(_view().rescueEnd);
        _table("1000010110");
        _closeEmpty();
        _table("1000010010");
    }

    function test_State_WhenTheProjectIsOver() public {
        _revealed();
        vm.warp(_view().revealEnd);
        _settle(project, round, 4);
        _end();
        for (uint256 i; i < 2; ++i) {
            vm.assertFalse(_wouldWork(owner, abi.encodeCall(market.endProject, (project))));
            vm.assertFalse(_wouldWork(stranger, abi.encodeCall(market.openRound, (project))));
            vm.assertFalse(_wouldWork(aggregator, abi.encodeCall(market.accept, (project, 2))));
            if (i == 0) _works(stranger, abi.encodeCall(market.refund, (project)));
        }
        vm.assertTrue(_wouldWork(stranger, _rescueCall(batch, 5, 6)));
        vm.assertTrue(_wouldWork(stranger, _encodeClaim(project, 1, _one(_itemOf(1, 4, D / 4, 0)))));
        vm.assertFalse(_wouldWork(stranger, abi.encodeCall(market.refund, (project))));
    }

    /// @dev openRound, commitBatch, commitSelf, reveal, rescue, slash, settle, closeRound, endProject, claim. refund needs an
    /// ended project, so it never works here.
    function _table(bytes memory expected) private {
        _check(0, expected, stranger, abi.encodeCall(market.openRound, (project)));
        _check(1, expected, aggregator, _batchCall(0, 7));
        _check(2, expected, trainers[7], _selfCall(7, batch));
        _check(3, expected, stranger, _revealCall(batch, 5, 6));
        _check(4, expected, stranger, _rescueCall(batch, 5, 6));
        _check(5, expected, stranger, _slashCall(batch, 5));
        _check(6, expected, aggregator, _settleCall(_equalSettlement(4)));
        _check(7, expected, stranger, _closeCall(0, _view().admitted));
        _check(8, expected, owner, abi.encodeCall(market.endProject, (project)));
        bytes memory claim = _encodeClaim(project, 1, _one(_itemOf(1, 4, D / 4, 0)));
        _check(9, expected, stranger, claim);
        vm.assertFalse(_wouldWork(owner, abi.encodeCall(market.refund, (project))), "refund");
    }

    function _check(uint256 at, bytes memory expected, address sender, bytes memory call) private {
        uint256 before = vm.snapshotState();
        if (at == 0 && market.progressOf(project).round == 1) _accept(project, rival);
        bool works = _wouldWork(sender, call);
        vm.revertToState(before);
        vm.assertEq(works ? 1 : 0, uint8(expected[at]) - 48, string(abi.encodePacked("call ", bytes1(uint8(48 + at)))));
    }

    function _opened() private {
        _open(project);
    }

    function _posted() private {
        CommitLeaf[] memory leaves = _commit(project, round, 0, 7);
        for (uint256 i; i < 7; ++i) batch.push(leaves[i]);
    }

    function _revealed() private {
        _opened();
        _posted();
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 4);
    }
}
