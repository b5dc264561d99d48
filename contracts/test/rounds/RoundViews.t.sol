// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {Cid, Phase} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Opening, Packed} from "../support/Packed.sol";

contract RoundViewsTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
    }

    function test_PhaseOf_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, abi.encodeCall(market.phaseOf, (9, 1)), _unknown(9));
    }

    function test_RoundOf_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, abi.encodeCall(market.roundOf, (9, 1)), _unknown(9));
    }

    function test_RoundOf_WhenTheRoundDoesNotExist() public view {
        IRoundViews.RoundView memory none;
        vm.assertEq(abi.encode(market.roundOf(project, 0)), abi.encode(none));
        vm.assertEq(abi.encode(market.roundOf(project, 1)), abi.encode(none));
    }

    function test_RoundOf_WhenItIsTheNewest() public {
        round = _toSettle(project, 8);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.budget, BUDGET);
        vm.assertEq(r.acceptor, aggregator);
        vm.assertEq(r.model, _terms().initialModel);
        vm.assertEq(r.admitted, 8);
        vm.assertFalse(r.closed);
        _settle(project, round, 8);
        r = _view();
        vm.assertEq(r.budget, 0, "moved");
        vm.assertTrue(r.closed);
        vm.assertEq(uint256(r.phase), uint256(Phase.Final));
        vm.assertTrue(r.payoutRoot != 0);
        vm.assertEq(r.admitted, 8);
    }

    function test_RoundOf_WhenItIsOlderAndResolved() public {
        round = _settledRound(project, 8);
        bytes27 root = _view().payoutRoot;
        _open(project);
        IRoundViews.RoundView memory expected;
        expected.phase = Phase.Final;
        expected.payoutRoot = root;
        expected.closed = true;
        vm.assertEq(abi.encode(_view()), abi.encode(expected), "nothing else is kept");
    }

    function test_RoundOf_WhenItIsOlderAndHasUnresolvedCommitments() public {
        round = _open(project);
        CommitLeaf[] memory batch = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        _reveal(project, round, batch, 0, 7);
        vm.warp(_view().revealEnd);
        _settle(project, round, 7);
        IRoundViews.RoundView memory before = _view();
        _open(project);
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.unresolved, 1);
        vm.assertEq(r.rescueEnd, before.rescueEnd);
        vm.assertEq(r.slashEnd, before.slashEnd);
        vm.assertEq(r.batchHash, before.batchHash);
        vm.assertEq(r.batchBits, before.batchBits);
        vm.assertEq(r.resolvedBits, before.resolvedBits);
        vm.assertEq(r.admitted, 7);
        vm.assertEq(r.acceptor, address(0));
        vm.assertTrue(r.closed);
    }

    function test_RoundOf_WhenAnOlderOneWasVoidWithoutRows() public {
        round = _open(project);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        _open(project);
        IRoundViews.RoundView memory expected;
        expected.phase = Phase.Void;
        expected.closed = true;
        vm.assertEq(abi.encode(_view()), abi.encode(expected));
    }

    // ---- hashes, from their definitions

    function test_CommitmentsOf_RevertWhen_RowsOrSaltsAreMalformed() public {
        bytes32[] memory two = new bytes32[](2);
        bytes memory call = abi.encodeCall(market.commitmentsOf, (project, 1, new bytes(137), two));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.RowsMalformed.selector, 137));
        call = abi.encodeCall(market.commitmentsOf, (project, 1, new bytes(69), two));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.SaltsMismatch.selector, 2, 1));
        call = abi.encodeCall(market.commitmentsOf, (project, 1, "", new bytes32[](0)));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.NoOpenings.selector));
        call = abi.encodeCall(market.commitmentsOf, (project, 1, new bytes(33 * 69), new bytes32[](33)));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.TooManyOpenings.selector, 33, 32));
    }

    function testFuzz_CommitmentsOf_WhenAnyOpenings(uint256 p, uint32 r, Opening memory o, uint8 count) public view {
        Opening[] memory openings = new Opening[](1 + count % 32);
        for (uint256 i; i < openings.length; ++i) {
            openings[i] = Opening(
                o.member ^ uint32(i), keccak256(abi.encode(o.update, i)), Cid(o.cid.codec, o.cid.digest), o.salt
            );
        }
        bytes32[] memory found = market.commitmentsOf(p, r, Packed.rows(openings), Packed.salts(openings));
        vm.assertEq(found.length, openings.length);
        for (uint256 i; i < found.length; ++i) vm.assertEq(found[i], _commitmentOf(p, r, openings[i]));
    }

    function testFuzz_PayoutLeafOf_WhenAnyRow(uint256 p, uint32 r, uint8 row, uint32 member, uint256 amount)
        public
        view
    {
        vm.assertEq(
            market.payoutLeafOf(p, r, row, member, amount),
            bytes27(keccak256(abi.encode(keccak256(abi.encode(p, r, row, member, amount)))))
        );
    }
}
