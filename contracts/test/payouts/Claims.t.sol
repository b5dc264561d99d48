// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IPayouts} from "../../src/interfaces/IPayouts.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {ClaimItem, CommitLeaf, Row} from "../support/Packed.sol";

contract ClaimsTest is MarketScene {
    uint256 private constant PAY = D / 8;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _settledRound(project, 8);
    }

    // ---- claim

    function test_Claim_RevertWhen_TheProjectIsUnknown() public {
        _reverts(stranger, _encodeClaim(9, 1, _one(_item(2))), _unknown(9));
    }

    function test_Claim_RevertWhen_TheMemberIsUnknown() public {
        bytes memory unknown = abi.encodeWithSelector(IPayouts.UnknownMember.selector, project, 77);
        _reverts(stranger, _encodeClaim(project, 77, _one(_item(2))), unknown);
    }

    function test_Claim_RevertWhen_ThereIsNoItem() public {
        bytes memory nothing = abi.encodeWithSelector(IPayouts.NothingToClaim.selector);
        _reverts(stranger, _encodeClaim(project, 3, new ClaimItem[](0)), nothing);
    }

    function test_Claim_RevertWhen_TheRowEarnedNothing() public {
        round = _toSettle(project, 8);
        Settlement memory s = _equalSettlement(8);
        s.outcomes[0] = 3;
        s.evidence = _evidence(project, round, s, 0, 2);
        _send(project, round, s);
        uint256[] memory pays = _equalPays(8, D / 7);
        pays[0] = 0;
        ClaimItem memory item = _claimItem(project, round, _rows(project, round, 0, 8), pays, 0);
        bytes memory nothing = abi.encodeWithSelector(IPayouts.NothingToClaim.selector);
        _reverts(stranger, _encodeClaim(project, 1, _one(item)), nothing);
    }

    function test_Claim_RevertWhen_TheRowWasClaimed() public {
        _works(stranger, _call(2, _item(2)));
        _reverts(stranger, _call(2, _item(2)), _already(3));
    }

    function test_Claim_RevertWhen_ARowStandsTwiceInOneCall() public {
        ClaimItem[] memory items = new ClaimItem[](2);
        items[0] = items[1] = _item(2);
        _reverts(stranger, _encodeClaim(project, 3, items), _already(3));
    }

    function test_Claim_RevertWhen_TheAmountIsWrong() public {
        ClaimItem memory item = _item(2);
        item.amount += 1;
        _refused(2, item, round, 2);
    }

    function test_Claim_RevertWhen_TheRowIsAnothers() public {
        ClaimItem memory item = _item(2);
        item.row = 3;
        _refused(2, item, round, 3);
        item.row = 2 + 32; // an alias of bit 2 if rows wrapped
        _refused(2, item, round, 34);
    }

    function test_Claim_RevertWhen_TheMemberIsAnother() public {
        _refused(3, _item(2), round, 2);
    }

    function test_Claim_RevertWhen_TheProofIsWrong() public {
        ClaimItem memory item = _item(2);
        item.proof[0] = ~item.proof[0];
        _refused(2, item, round, 2);
        item.proof = new bytes32[](0);
        _refused(2, item, round, 2);
    }

    function test_Claim_RevertWhen_TheRoundHasNotEnded() public {
        ClaimItem memory item = _item(2);
        item.round = 2;
        _refused(2, item, 2, 2); // not opened
        uint32 second = _toSettle(project, 8);
        item = _claimItem(project, second, _rows(project, second, 0, 8), _equalPays(8, PAY), 2);
        _refused(2, item, second, 2); // not settled
        item.round = 0;
        _refused(2, item, 0, 2);
    }

    function test_Claim_RevertWhen_TheRoundWasVoidWithoutRows() public {
        round = _open(project);
        vm.warp(_view().commitEnd);
        _closeEmpty();
        ClaimItem memory item = _item(2);
        item.round = round;
        _refused(2, item, round, 2);
    }

    /// @dev A leaf of one project proves nothing in another, even if rounds, rows and members are the same.
    function test_Claim_RevertWhen_TheProjectIsAnother() public {
        ClaimItem memory item = _item(2);
        project = _projectWith(8);
        _settledRound(project, 8);
        _refused(2, item, 1, 2);
    }

    function test_Claim_WhenTheProofIsRight() public {
        uint256 before = token.balanceOf(trainers[2]);
        ClaimItem[] memory items = _one(_item(2));
        vm.expectEmit(address(market));
        emit IPayouts.Claimed(project, 3, trainers[2], PAY, 0, 1 << round);
        vm.prank(stranger);
        _claimWith(project, 3, items);
        vm.assertEq(token.balanceOf(trainers[2]) - before, PAY);
        vm.assertEq(token.balanceOf(stranger), 0, "to the trainer, whoever calls");
        vm.assertEq(market.claimedRounds(project, 3, 0), 1 << round);
        vm.assertEq(market.claimedRounds(project, 2, 0), 0);
        vm.assertEq(market.claimedRounds(project, 3, 1), 0);
        vm.assertEq(_ledger().claimed, PAY);
        vm.assertEq(_ledger().claimable, 7 * PAY);
        _equation(project);
    }

    function test_Claim_WhenThereAreManyRounds() public {
        ClaimItem[] memory items = new ClaimItem[](5);
        items[0] = _itemOf(1, 8, PAY, 5);
        for (uint32 i = 1; i < 5; ++i) items[i] = _itemOf(_settledRound(project, 8), 8, PAY, 5);
        uint256 before = token.balanceOf(trainers[5]);
        _claimWith(project, 6, items);
        vm.assertEq(token.balanceOf(trainers[5]) - before, 5 * PAY);
    }

    function test_Claim_WhenEverybodyClaims() public {
        for (uint256 i; i < 8; ++i) _works(stranger, _call(i, _item(i)));
        for (uint32 member = 1; member <= 8; ++member) {
            vm.assertEq(market.claimedRounds(project, member, 0), 1 << round);
        }
        vm.assertEq(_ledger().claimable, 0);
    }

    function test_Claim_WhenTheRoundsWereDefaultedAndVoid() public {
        _bond(project, aggregator, BOND);
        uint32 second = _toSettle(project, 8);
        vm.warp(market.roundOf(project, second).settleEnd);
        _closeWith(project, second, _rows(project, second, 0, 8));
        uint32 third = _open(project);
        CommitLeaf[] memory batch = _commit(project, third, 0, 8);
        vm.warp(market.roundOf(project, third).revealStart);
        _reveal(project, third, batch, 0, 1);
        vm.warp(market.roundOf(project, third).revealEnd);
        Row[] memory rows = _rows(project, third, 0, 1);
        _closeWith(project, third, rows);

        ClaimItem[] memory items = new ClaimItem[](2);
        items[0] = _itemOf(second, 8, PAY, 0);
        items[1] = _claimItem(project, third, rows, _equalPays(1, PAY), 0); // one leaf: an empty proof
        vm.assertEq(items[1].proof.length, 0);
        uint256 before = token.balanceOf(trainers[0]);
        _claimWith(project, 1, items);
        vm.assertEq(token.balanceOf(trainers[0]) - before, 2 * PAY);
        _equation(project);
    }

    function test_Claim_WhenTheProjectEndedLongAgo() public {
        _end();
        market.refund(project);
        vm.warp(block.timestamp + 100 * 365 days);
        for (uint256 i; i < 8; ++i) _works(stranger, _call(i, _item(i)));
        vm.assertEq(_ledger().claimable, 0);
        uint256 left = 8 * uint256(STAKE) + BOND + FEE + PROTOCOL_FEE;
        vm.assertEq(token.balanceOf(address(market)), left, "stakes, the bond and the fees are left");
        _equation(project);
    }

    function test_Claim_WhenTheTrainerHasLeft() public {
        vm.prank(trainers[2]);
        market.leave(project);
        _works(stranger, _call(2, _item(2)));
    }

    function _item(uint256 i) private view returns (ClaimItem memory) {
        return _itemOf(1, 8, PAY, i);
    }

    function _call(uint256 i, ClaimItem memory item) private view returns (bytes memory) {
        return _encodeClaim(project, uint32(i + 1), _one(item));
    }

    function _refused(uint256 i, ClaimItem memory item, uint32 r, uint256 row) private {
        _reverts(stranger, _call(i, item), abi.encodeWithSelector(IPayouts.ProofInvalid.selector, project, r, row));
    }

    function _already(uint256 member) private view returns (bytes memory) {
        return abi.encodeWithSelector(IPayouts.AlreadyClaimed.selector, project, member, round);
    }
}
