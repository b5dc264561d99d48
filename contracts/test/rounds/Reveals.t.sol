// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {IRoundViews} from "../../src/interfaces/IRoundViews.sol";
import {Phase, Receipt, SkipReason} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Opening, Packed} from "../support/Packed.sol";

contract RevealsTest is MarketScene {
    CommitLeaf[] private batch;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _open(project);
        _commitSelf(project, round, 7);
        CommitLeaf[] memory leaves = _commit(project, round, 0, 7);
        for (uint256 i; i < leaves.length; ++i) batch.push(leaves[i]);
        vm.warp(_view().revealStart);
    }

    // ---- the call as a whole

    function test_Reveal_RevertWhen_TheProjectIsUnknown() public {
        bytes memory call =
            _encodeReveal(9, 1, _noLeaves(), new Opening[](0), new Receipt[](0));
        _reverts(stranger, call, _unknown(9));
    }

    function test_Reveal_RevertWhen_ItIsNotTheNewestRound() public {
        bytes memory call =
            _encodeReveal(project, 2, _noLeaves(), new Opening[](0), new Receipt[](0));
        _reverts(stranger, call, _notNewest(2));
    }

    function test_Reveal_RevertWhen_TheGuardHasNotEnded() public {
        bytes memory call = _revealCall(batch, 0, 3);
        vm.warp(block.timestamp - 1);
        _reverts(stranger, call, _wrong(Phase.Guard, Phase.Reveal));
    }

    function test_Reveal_RevertWhen_ThereIsNoOpening() public {
        bytes memory call =
            _encodeReveal(project, round, batch, new Opening[](0), new Receipt[](0));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.NoOpenings.selector));
    }

    function test_Reveal_RevertWhen_ThereAreMoreThan32Openings() public {
        bytes memory call =
            _encodeReveal(project, round, batch, new Opening[](33), new Receipt[](0));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.TooManyOpenings.selector, 33, 32));
    }

    function test_Reveal_RevertWhen_OpeningsAreNotInOrder() public {
        Opening[] memory openings = _openings(project, round, 0, 3);
        (openings[1], openings[2]) = (openings[2], openings[1]);
        _refused(openings, new Receipt[](0), abi.encodeWithSelector(IRounds.OpeningsNotIncreasing.selector, 2));
        openings[0].member = 0;
        _refused(openings, new Receipt[](0), abi.encodeWithSelector(IRounds.OpeningsNotIncreasing.selector, 0));
    }

    function test_Reveal_RevertWhen_AMemberStandsTwice() public {
        Opening[] memory openings = _openings(project, round, 0, 2);
        openings[1] = openings[0];
        _refused(openings, new Receipt[](0), abi.encodeWithSelector(IRounds.OpeningsNotIncreasing.selector, 1));
    }

    function test_Reveal_RevertWhen_TheBatchIsNotTheOnePosted() public {
        CommitLeaf[] memory other = _leaves(project, round, 0, 6);
        bytes memory wrong =
            abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(other), _batchHash(batch));
        _reverts(stranger, _revealCall(other, 0, 1), wrong);
    }

    function test_Reveal_RevertWhen_ABatchIsGivenAndNoneWasPosted() public {
        project = _projectWith(3);
        round = _open(project);
        for (uint256 i; i < 3; ++i) _commitSelf(project, round, i);
        vm.warp(_view().revealStart);
        CommitLeaf[] memory invented = _leaves(project, round, 0, 3);
        bytes memory wrong =
            abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(invented), bytes32(0));
        _reverts(stranger, _revealCall(invented, 0, 3), wrong);
    }

    function testFuzz_Reveal_RevertWhen_RowsAreNotWhole(uint256 length) public {
        length = _bound(length, 1, 40 * 69);
        if (length % 69 == 0) --length;
        bytes memory call = _raw(Packed.leaves(batch), new bytes(length), new bytes32[](length / 69));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.RowsMalformed.selector, length));
    }

    function testFuzz_Reveal_RevertWhen_SaltsAreNotOnePerRow(uint8 salts) public {
        Opening[] memory openings = _openings(project, round, 0, 3);
        if (salts == 3) salts = 0;
        bytes memory call = _raw(Packed.leaves(batch), Packed.rows(openings), new bytes32[](salts));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.SaltsMismatch.selector, salts, 3));
    }

    function testFuzz_Reveal_RevertWhen_LeavesAreNotWhole(uint256 length) public {
        length = _bound(length, 1, 40 * 36);
        if (length % 36 == 0) --length;
        Opening[] memory openings = _openings(project, round, 0, 3);
        bytes memory call = _raw(new bytes(length), Packed.rows(openings), Packed.salts(openings));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.LeavesMalformed.selector, length));
    }

    function test_Reveal_RevertWhen_ThereAreMoreThan32Leaves() public {
        Opening[] memory openings = _openings(project, round, 0, 3);
        bytes memory call = _raw(new bytes(33 * 36), Packed.rows(openings), Packed.salts(openings));
        _reverts(stranger, call, abi.encodeWithSelector(IRounds.BatchTooLong.selector, 33, 32));
    }

    // ---- receipts

    function test_Reveal_RevertWhen_AReceiptIsSignedByAnotherWitness() public {
        Opening[] memory openings = _openings(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, round, openings, 1, 0);
        receipts[1].witness = 2; // signed by 1
        _refused(openings, receipts, _invalid(1, witnesses[1], witnesses[2]));
    }

    function test_Reveal_RevertWhen_AWitnessDoesNotExist() public {
        Opening[] memory openings = _openings(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, round, openings, 1, 0);
        receipts[1].witness = 3;
        _refused(openings, receipts, _invalid(1, witnesses[1], address(0)));
        receipts[1].witness = 255;
        _refused(openings, receipts, _invalid(1, witnesses[1], address(0)));
    }

    function test_Reveal_RevertWhen_ASignatureRecoversToNobody() public {
        Opening[] memory openings = _openings(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, round, openings, 1, 0);
        receipts[0].r = 0;
        _refused(openings, receipts, _invalid(0, address(0), witnesses[0]));
        receipts[0].witness = 5; // nobody signed for nobody: still refused
        _refused(openings, receipts, _invalid(0, address(0), address(0)));
    }

    function test_Reveal_RevertWhen_MoreIsClaimedThanWasSigned() public {
        Opening[] memory openings = _openings(project, round, 0, 2);
        Receipt[] memory receipts = _receipts(project, round, openings, 1, 0);
        receipts[0].endorsed = 3;
        _refusedByReceipt(openings, receipts);
        receipts = _receipts(project, round, openings, 1, 0);
        receipts[0].refused = 2;
        _refusedByReceipt(openings, receipts);
    }

    function test_Reveal_RevertWhen_ReceiptsSpeakOfOtherOpenings() public {
        Opening[] memory openings = _openings(project, round, 0, 2);
        Receipt[] memory receipts = _receipts(project, round, openings);
        openings[1].update = keccak256("other update");
        _refusedByReceipt(openings, receipts);
        openings = _openings(project, round, 0, 2);
        openings[1].cid.digest = keccak256("elsewhere");
        _refusedByReceipt(openings, receipts);
        openings = _openings(project, round, 0, 2);
        openings[1].cid.codec = 0x70;
        _refusedByReceipt(openings, receipts);
        openings = _openings(project, round, 0, 2);
        openings[1].member = 3;
        _refusedByReceipt(openings, receipts);
        _refusedByReceipt(_openings(project, round, 0, 3), receipts);
    }

    function test_Reveal_RevertWhen_AWitnessSpeaksTwice() public {
        Opening[] memory openings = _openings(project, round, 0, 1);
        Receipt[] memory receipts = new Receipt[](2);
        receipts[0] = _receipt(project, round, openings, 1, 1, 0);
        receipts[1] = receipts[0];
        bytes memory twice = abi.encodeWithSelector(IRounds.WitnessesNotIncreasing.selector, 1);
        _refused(openings, receipts, twice);
        receipts[1] = _receipt(project, round, openings, 0, 1, 0);
        _refused(openings, receipts, twice);
    }

    function test_Reveal_WhenAWitnessSaysBoth() public {
        Opening[] memory openings = _openings(project, round, 0, 1);
        Receipt[] memory receipts = new Receipt[](2);
        receipts[0] = _receipt(project, round, openings, 0, 1, 1); // no word at all
        receipts[1] = _receipt(project, round, openings, 1, 1, 0);
        _skips(1, SkipReason.NoQuorum);
        _send(openings, receipts);
        vm.assertEq(_view().unresolved, 8);
    }

    function test_Reveal_WhenThereIsNoQuorum() public {
        Opening[] memory openings = _openings(project, round, 0, 2);
        Receipt[] memory receipts = new Receipt[](1);
        receipts[0] = _receipt(project, round, openings, 2, 3, 0);
        _skips(1, SkipReason.NoQuorum);
        _skips(2, SkipReason.NoQuorum);
        _send(openings, receipts);
        _send(openings, new Receipt[](0));
        vm.assertEq(_view().admitted, 0);

        receipts = new Receipt[](2); // one endorses both, the other only the second
        receipts[0] = _receipt(project, round, openings, 0, 3, 0);
        receipts[1] = _receipt(project, round, openings, 2, 2, 1);
        _skips(1, SkipReason.NoQuorum);
        _send(openings, receipts);
        vm.assertEq(_view().admitted, 1);
        vm.assertEq(_view().resolvedBits, 2);
        _reveal(project, round, batch, 0, 1); // may come again
        vm.assertEq(_view().resolvedBits, 3);
    }

    // ---- what becomes of an opening

    function test_Reveal_WhenAQuorumEndorses() public {
        Opening[] memory openings = _openings(project, round, 2, 4);
        Receipt[] memory receipts = _receipts(project, round, openings);
        vm.expectEmit(address(market));
        emit IRounds.UpdatesAdmitted(project, round, 0, _packed(openings));
        vm.prank(stranger);
        _revealWith(project, round, batch, openings, receipts);

        Opening[] memory second = _openingsOf(0);
        second[0].cid = _cid(second[0].update);
        vm.expectEmit(address(market));
        emit IRounds.UpdatesAdmitted(project, round, 2, _packed(second));
        _reveal(project, round, batch, 0, 1);

        bytes32 chain =
            keccak256(abi.encode(bytes32(0), keccak256(hex"0000000300000004"), keccak256(_packed(openings))));
        chain = keccak256(abi.encode(chain, keccak256(hex"00000001"), keccak256(_packed(second))));
        IRoundViews.RoundView memory r = _view();
        vm.assertEq(r.admittedHash, chain);
        vm.assertEq(r.admitted, 3);
        vm.assertEq(r.unresolved, 5);
        vm.assertEq(r.resolvedBits, 13);
        vm.assertEq(uint256(r.phase), uint256(Phase.Reveal));
    }

    function test_Reveal_WhenAQuorumRefuses() public {
        Opening[] memory openings = _openings(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, round, openings, 0, 1);
        vm.expectEmit(address(market));
        emit IRounds.UpdateRefused(project, round, 1, openings[0].update);
        _send(openings, receipts);
        vm.assertEq(_view().refused, 1);
        vm.assertEq(_view().admitted, 0);
        vm.assertEq(_view().unresolved, 7);
        vm.assertEq(_view().admittedHash, 0);
        _skips(1, SkipReason.AlreadyResolved); // final
        _reveal(project, round, batch, 0, 1);
        vm.warp(_view().rescueEnd); // the stake is safe
        bytes memory nothing = abi.encodeWithSelector(IRounds.NothingToSlash.selector, project, round, 1);
        _reverts(stranger, _slashCall(batch, 0), nothing);
    }

    function test_Reveal_WhenEverythingIsRefused() public {
        Opening[] memory openings = _openings(project, round, 0, 8);
        _send(openings, _receipts(project, round, openings, 0, type(uint32).max));
        _assertPhase(project, round, Phase.Void);
        _closeEmpty();
        vm.assertEq(_ledger().free, 10 * uint256(BUDGET));
    }

    function test_Reveal_WhenItIsTheLastOne() public {
        uint256 until = _view().revealEnd;
        vm.warp(block.timestamp + 20);
        _reveal(project, round, batch, 0, 7);
        _assertPhase(project, round, Phase.Reveal);
        bytes memory call = _revealCall(_noLeaves(), 7, 8);
        vm.expectEmit(address(market));
        emit IRounds.DeadlinesMoved(project, round, uint40(START), uint40(block.timestamp));
        _works(stranger, call);
        _assertPhase(project, round, Phase.Settle);
        vm.assertEq(_view().revealEnd, block.timestamp);
        vm.assertEq(until - _view().revealEnd, 30);
        vm.assertEq(_view().settleEnd, block.timestamp + RESCUE + SETTLE + TAKEOVER);
    }

    function test_Reveal_WhenItIsOfASelfPostedCommitment() public {
        _reveal(project, round, _noLeaves(), 7, 8);
        vm.assertEq(_view().admitted, 1);
        vm.assertEq(market.selfCommitOf(project, round, 8), bytes32(uint256(1)));
        vm.assertEq(_view().resolvedBits, 0);
        _skips(8, SkipReason.AlreadyResolved);
        _reveal(project, round, _noLeaves(), 7, 8);
        vm.assertEq(_view().admitted, 1);
    }

    function test_Reveal_WhenLeavesAndSelfPostedOnesComeTogether() public {
        _reveal(project, round, batch, 5, 8);
        vm.assertEq(_view().admitted, 3);
        vm.assertEq(_view().resolvedBits, 96);
    }

    function test_Reveal_WhenBadItemsComeWithGoodOnes() public {
        Opening[] memory openings = _openings(project, round, 0, 5);
        openings[0].salt = bytes32(uint256(openings[0].salt) + 1);
        openings[1].update = keccak256("another update");
        openings[2].cid.digest = keccak256("another place");
        openings[3].cid.codec = 0x70;
        Receipt[] memory receipts = _receipts(project, round, openings);
        for (uint32 member = 1; member < 5; ++member) _skips(member, SkipReason.WrongOpening);
        _send(openings, receipts);
        vm.assertEq(_view().admitted, 1);
        vm.assertEq(_view().resolvedBits, 16);
    }

    function test_Reveal_WhenTheMemberCommittedToNothing() public {
        Opening[] memory openings = _openings(project, round, 6, 8);
        openings[1].member = 99;
        Receipt[] memory receipts = _receipts(project, round, openings);
        _skips(99, SkipReason.NotCommitted);
        _send(openings, receipts);
        vm.assertEq(_view().admitted, 1);
    }

    /// @dev Without any leaf the rows must be the whole batch.
    function test_Reveal_RevertWhen_TheBatchIsLeftOut() public {
        bytes32 found = _batchHash(_leaves(project, round, 0, 1));
        bytes memory wrong = abi.encodeWithSelector(IRounds.BatchMismatch.selector, found, _batchHash(batch));
        _reverts(stranger, _revealCall(_noLeaves(), 0, 1), wrong);
    }

    function test_Reveal_WhenTheSameOpeningComesAgain() public {
        _reveal(project, round, batch, 0, 1);
        bytes32 before = _view().admittedHash;
        _skips(1, SkipReason.AlreadyResolved);
        _reveal(project, round, batch, 0, 1);
        vm.assertEq(_view().admitted, 1);
        vm.assertEq(_view().admittedHash, before);
    }

    function test_Reveal_WhenTheCodecIsNotAccepted() public {
        uint8[4] memory codecs = [0x55, 0x70, 0x71, 0x00];
        project = _projectWith(4);
        round = _open(project);
        Opening[] memory openings = _openings(project, round, 0, 4);
        for (uint256 i; i < 4; ++i) {
            openings[i].cid.codec = codecs[i];
            bytes32 commitment = _commitmentOf(project, round, openings[i]);
            vm.prank(trainers[i]);
            _postSelf(project, round, uint32(i + 1), commitment, _noLeaves());
        }
        vm.warp(_view().revealStart);
        Receipt[] memory receipts = _receipts(project, round, openings);
        _skips(3, SkipReason.BadCid);
        _skips(4, SkipReason.BadCid);
        _revealWith(project, round, _noLeaves(), openings, receipts);
        vm.assertEq(_view().admitted, 2);
        vm.assertEq(_view().unresolved, 2, "not opened: can be slashed");
    }

    /// @dev A copied commitment opens for nobody but the trainer it was made for: the member is inside the hash.
    function test_Reveal_WhenTheCommitmentWasCopied() public {
        project = _projectWith(3);
        round = _open(project);
        bytes32 copied = _commitment(project, round, 0);
        vm.prank(trainers[1]);
        _postSelf(project, round, 2, copied, _noLeaves());
        _commitSelf(project, round, 0);
        _commitSelf(project, round, 2);
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openingsOf(0);
        openings[0].member = 2;
        Receipt[] memory receipts = _receipts(project, round, openings);
        _skips(2, SkipReason.WrongOpening);
        _revealWith(project, round, _noLeaves(), openings, receipts);
        _reveal(project, round, _noLeaves(), 0, 1);
        vm.assertEq(_view().admitted, 1);
    }

    /// @dev Quorums bit by bit against the plain definition.
    function testFuzz_Reveal_WhenWitnessesDisagree(uint32[3] memory endorsed, uint32[3] memory refused, uint8 present)
        public
    {
        Opening[] memory openings = _openings(project, round, 0, 7);
        uint256 count;
        for (uint256 w; w < 3; ++w) count += present >> w & 1;
        Receipt[] memory receipts = new Receipt[](count);
        uint256 at;
        for (uint256 w; w < 3; ++w) {
            if (present >> w & 1 == 0) continue;
            receipts[at++] = _receipt(project, round, openings, w, endorsed[w], refused[w]);
        }
        _send(openings, receipts);
        uint256 admitted;
        uint256 refusals;
        uint256 resolved;
        for (uint256 i; i < 7; ++i) {
            (uint256 ayes, uint256 nays) = _votes(endorsed, refused, present, i);
            if (ayes >= 2) ++admitted;
            if (nays >= 2) ++refusals;
            if (ayes >= 2 || nays >= 2) resolved |= 1 << i;
        }
        vm.assertEq(_view().admitted, admitted);
        vm.assertEq(_view().refused, refusals);
        vm.assertEq(_view().resolvedBits, resolved);
    }

    /// @dev What the witnesses present say of opening `i`, a contradiction counting for nothing.
    function _votes(uint32[3] memory endorsed, uint32[3] memory refused, uint8 present, uint256 i)
        private
        pure
        returns (uint256 ayes, uint256 nays)
    {
        for (uint256 w; w < 3; ++w) {
            if (present >> w & 1 == 0) continue;
            bool aye = endorsed[w] >> i & 1 == 1;
            bool nay = refused[w] >> i & 1 == 1;
            if (aye && !nay) ++ayes;
            if (nay && !aye) ++nays;
        }
    }

    /// @dev 69 bytes for each: member, codec, update, digest.
    function _packed(Opening[] memory openings) private pure returns (bytes memory rows) {
        for (uint256 i; i < openings.length; ++i) {
            Opening memory o = openings[i];
            rows = bytes.concat(rows, abi.encodePacked(o.member, o.cid.codec, o.update, o.cid.digest));
        }
    }

    function _raw(bytes memory leaves, bytes memory rows, bytes32[] memory salts) private view returns (bytes memory) {
        return abi.encodeCall(market.reveal, (project, round, leaves, rows, salts, new Receipt[](0)));
    }

    function _send(Opening[] memory openings, Receipt[] memory receipts) private {
        _revealWith(project, round, batch, openings, receipts);
    }

    function _refused(Opening[] memory openings, Receipt[] memory receipts, bytes memory error_) private {
        _reverts(stranger, _encodeReveal(project, round, batch, openings, receipts), error_);
    }

    /// @dev Receipt 0 recovers to somebody whom nobody can name in advance.
    function _refusedByReceipt(Opening[] memory openings, Receipt[] memory receipts) private {
        CommitLeaf[] memory leaves = batch;
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        _revealWith(project, round, leaves, openings, receipts);
    }

    function _invalid(uint256 index, address found, address expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRounds.ReceiptInvalid.selector, index, found, expected);
    }

    function _skips(uint32 member, SkipReason reason) private {
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, member, reason);
    }
}
