// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPayouts} from "../../src/interfaces/IPayouts.sol";
import {ClaimItem, CommitLeaf, Outcome, Row} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract PayoutsTest is MarketFixture {
    uint256 internal constant D = uint256(BUDGET) - FEE;

    uint256 internal project;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
    }

    function test_AnyoneClaimsForTheTrainer() public {
        uint32 round = _settledRound(project, 8);
        uint256 before = token.balanceOf(trainers[2]);
        ClaimItem[] memory items = new ClaimItem[](1);
        items[0] = _item(round, 2);
        vm.expectEmit(address(market));
        emit IPayouts.Claimed(project, round, trainers[2], 2, D / 8);
        vm.prank(stranger);
        market.claim(project, trainers[2], items);
        vm.assertEq(token.balanceOf(trainers[2]) - before, D / 8);
        vm.assertEq(token.balanceOf(stranger), 0);
        vm.assertEq(market.roundOf(project, round).claimedBits, 4);
        vm.assertEq(market.ledgerOf(project).claimed, D / 8);
        _equation(project);
    }

    function test_ManyRoundsAtOnce() public {
        ClaimItem[] memory items = new ClaimItem[](4);
        for (uint256 i; i < 4; ++i) items[i] = _item(_settledRound(project, 8), 5);
        uint256 before = token.balanceOf(trainers[5]);
        market.claim(project, trainers[5], items);
        vm.assertEq(token.balanceOf(trainers[5]) - before, 4 * (D / 8));
    }

    function test_DoubleClaim() public {
        uint32 round = _settledRound(project, 8);
        ClaimItem[] memory items = new ClaimItem[](2);
        items[0] = items[1] = _item(round, 2);
        bytes memory already = abi.encodeWithSelector(IPayouts.AlreadyClaimed.selector, project, round, 2);
        vm.expectRevert(already);
        market.claim(project, trainers[2], items); // twice in one call

        ClaimItem[] memory one = new ClaimItem[](1);
        one[0] = items[0];
        market.claim(project, trainers[2], one);
        vm.expectRevert(already);
        market.claim(project, trainers[2], one);
    }

    function test_ProofMustFit() public {
        uint32 round = _settledRound(project, 8);
        ClaimItem memory good = _item(round, 2);
        ClaimItem memory item = _item(round, 2);
        item.amount += 1;
        _refused(trainers[2], item, round, 2);
        item = _item(round, 2);
        item.index = 3;
        _refused(trainers[2], item, round, 3);
        item = _item(round, 2);
        item.round = 2; // not opened: no root
        _refused(trainers[2], item, 2, 2);
        item = _item(round, 2);
        item.proof[0] = ~item.proof[0];
        _refused(trainers[2], item, round, 2);
        _refused(trainers[3], good, round, 2); // somebody else's row
        item = _item(round, 2);
        item.index = 2 + 32; // an alias of bit 2 if indices wrapped
        _refused(trainers[2], item, round, 34);
    }

    function test_AnUnsettledRoundPaysNothing() public {
        uint32 round = _toSettle(project, 8);
        ClaimItem memory item = _item(round, 0);
        _refused(trainers[0], item, round, 0);
        item.proof = new bytes32[](0);
        _refused(trainers[0], item, round, 0);
    }

    function test_NothingToClaim() public {
        vm.expectRevert(IPayouts.NothingToClaim.selector);
        market.claim(project, trainers[0], new ClaimItem[](0));

        uint32 round = _toSettle(project, 8);
        Outcome[] memory o = _outcomes(8, ONE);
        o[0] = Outcome(0, 3);
        Row[] memory rows = _rows(project, round, 0, 8);
        _send(project, round, _settlement(project, round, rows, o));
        uint256[] memory pays = _equalPays(8, D / 7);
        pays[0] = 0;
        ClaimItem[] memory items = new ClaimItem[](1);
        items[0] = _claimItem(project, round, rows, pays, 0);
        vm.expectRevert(IPayouts.NothingToClaim.selector);
        market.claim(project, trainers[0], items);
    }

    function test_DefaultedAndVoidRoundsAreClaimedTheSameWay() public {
        uint32 round = _toSettle(project, 8);
        vm.warp(market.roundOf(project, round).settleEnd);
        market.closeRound(project, round, _rows(project, round, 0, 8));

        uint32 second = market.openRound(project);
        CommitLeaf[] memory batch = _commit(project, second, 0, 8);
        vm.warp(market.roundOf(project, second).revealStart);
        _reveal(project, second, batch, 0, 1);
        vm.warp(market.roundOf(project, second).revealEnd);
        Row[] memory rows = _rows(project, second, 0, 1);
        market.closeRound(project, second, rows);

        ClaimItem[] memory items = new ClaimItem[](2);
        items[0] = _item(round, 0);
        items[1] = _claimItem(project, second, rows, _equalPays(1, D / 8), 0); // one leaf: an empty proof
        vm.assertEq(items[1].proof.length, 0);
        uint256 before = token.balanceOf(trainers[0]);
        market.claim(project, trainers[0], items);
        vm.assertEq(token.balanceOf(trainers[0]) - before, 2 * (D / 8));
        _equation(project);
    }

    function test_ClaimsNeverExpireAndOutliveTheProject() public {
        uint32 round = _settledRound(project, 8);
        vm.prank(owner);
        market.endProject(project);
        market.refund(project);
        vm.warp(block.timestamp + 100 * 365 days);
        for (uint256 i; i < 8; ++i) {
            ClaimItem[] memory items = new ClaimItem[](1);
            items[0] = _item(round, i);
            market.claim(project, trainers[i], items);
        }
        vm.assertEq(market.ledgerOf(project).claimable, 0);
        vm.assertEq(token.balanceOf(address(market)), 8 * STAKE + FEE, "stakes and the fee are left");
        _equation(project);
    }

    function test_FeesArePulledOnce() public {
        _settledRound(project, 8);
        _settledRound(project, 8);
        vm.assertEq(market.feesOf(address(token), aggregator), 2 * FEE);
        vm.prank(aggregator);
        vm.expectEmit(address(market));
        emit IPayouts.FeesWithdrawn(address(token), aggregator, 2 * FEE);
        market.withdrawFees(address(token));
        vm.assertEq(token.balanceOf(aggregator), 2 * FEE);
        vm.prank(aggregator);
        vm.expectRevert(IPayouts.NothingToClaim.selector);
        market.withdrawFees(address(token));
    }

    function _item(uint32 round, uint256 index) private view returns (ClaimItem memory) {
        return _claimItem(project, round, _rows(project, round, 0, 8), _equalPays(8, D / 8), index);
    }

    function _refused(address trainer, ClaimItem memory item, uint32 round, uint256 row) private {
        ClaimItem[] memory items = new ClaimItem[](1);
        items[0] = item;
        vm.expectRevert(abi.encodeWithSelector(IPayouts.ProofInvalid.selector, project, round, row));
        market.claim(project, trainer, items);
    }
}
