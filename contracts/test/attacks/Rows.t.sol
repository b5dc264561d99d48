// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Receipt, SkipReason} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, CommitSignature, Opening} from "../support/Packed.sol";

/// @notice One bad row at every place of a call of `reveal`, with everything else right: with the whole batch beside it, and with the
/// batch rebuilt from what is opened. The other rows are admitted, in the same call.
contract RowsTest is MarketScene {
    CommitLeaf[] private batch;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _open(project);
    }

    function test_Reveal_WhenASaltIsWrong() public {
        _committed();
        for (uint256 i; i < 8; ++i) {
            Opening[] memory openings = _openings(project, round, 0, 8);
            openings[i].salt ^= bytes32(uint256(1));
            _skips(openings, i, SkipReason.WrongOpening, true);
        }
    }

    /// @dev Update, codec and place are what was committed to: a good update cannot be shown from a wrong place.
    function test_Reveal_WhenAnUpdateOrItsCidIsAnother() public {
        _committed();
        for (uint256 i; i < 8; ++i) {
            Opening[] memory openings = _openings(project, round, 0, 8);
            openings[i].update = ~openings[i].update;
            _skips(openings, i, SkipReason.WrongOpening, true);
            openings = _openings(project, round, 0, 8);
            openings[i].cid.digest = ~openings[i].cid.digest;
            _skips(openings, i, SkipReason.WrongOpening, true);
            openings = _openings(project, round, 0, 8);
            openings[i].cid.codec = openings[i].cid.codec == 0x55 ? 0x70 : 0x55;
            _skips(openings, i, SkipReason.WrongOpening, true);
        }
    }

    /// @dev The trainer committed to a codec that nobody reads.
    function test_Reveal_WhenTheCodecIsNone() public {
        uint8[4] memory codecs = [0, 0x54, 0x56, 0x71];
        for (uint256 i; i < 8; ++i) {
            uint256 before = vm.snapshotState();
            Opening[] memory openings = _openings(project, round, 0, 8);
            openings[i].cid.codec = codecs[i % 4];
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            leaves[i].commitment = _commitmentOf(project, round, openings[i]);
            CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
            _works(aggregator, _encodeCommitBatch(project, round, leaves, signatures));
            vm.warp(_view().revealStart);
            delete batch;
            for (uint256 at; at < 8; ++at) batch.push(leaves[at]);
            _skips(openings, i, SkipReason.BadCid, false);
            vm.revertToState(before);
        }
    }

    function test_Reveal_WhenItWasResolved() public {
        _committed();
        for (uint256 i; i < 8; ++i) {
            uint256 before = vm.snapshotState();
            _reveal(project, round, batch, i, i + 1);
            _skips(_openings(project, round, 0, 8), i, SkipReason.AlreadyResolved, false);
            vm.revertToState(before);
        }
    }

    function test_Reveal_WhenItIsNotEndorsed() public {
        _committed();
        for (uint256 i; i < 8; ++i) {
            Opening[] memory openings = _openings(project, round, 0, 8);
            Receipt[] memory receipts = _receipts(project, round, openings, uint32(0xff ^ 1 << i), 0);
            _skipsWith(openings, receipts, i, SkipReason.NoQuorum, false);
            receipts[0] = _receipt(project, round, openings, 0, 0xff, 0); // one of three
            _skipsWith(openings, receipts, i, SkipReason.NoQuorum, false);
        }
    }

    function test_Reveal_WhenItIsRefused() public {
        _committed();
        for (uint256 i; i < 8; ++i) {
            for (uint256 whole; whole < 2; ++whole) {
                uint256 before = vm.snapshotState();
                Opening[] memory openings = _openings(project, round, 0, 8);
                uint32 bit = uint32(1 << i);
                Receipt[] memory receipts = _receipts(project, round, openings, 0xff ^ bit, bit);
                vm.expectEmit(address(market));
                emit IRounds.UpdateRefused(project, round, uint32(i + 1), openings[i].update);
                _revealWith(project, round, whole == 1 ? batch : _noLeaves(), openings, receipts);
                vm.assertEq(_view().admitted, 7);
                vm.assertEq(_view().unresolved, 0);
                vm.revertToState(before);
            }
        }
    }

    function test_Reveal_RevertWhen_AMemberStandsTwice() public {
        _committed();
        for (uint256 i = 1; i < 8; ++i) {
            Opening[] memory openings = _openings(project, round, 0, 8);
            openings[i] = openings[i - 1];
            _notIncreasing(openings, i);
            openings = _openings(project, round, 0, 8);
            (openings[i - 1], openings[i]) = (openings[i], openings[i - 1]);
            _notIncreasing(openings, i);
        }
    }

    /// @dev Somebody else's update and salt under one's own number.
    function test_Reveal_WhenItIsCopied() public {
        _committed();
        for (uint256 i; i < 8; ++i) {
            Opening[] memory openings = _openings(project, round, 0, 8);
            Opening memory victim = openings[(i + 1) % 8];
            openings[i] = Opening(openings[i].member, victim.update, victim.cid, victim.salt);
            _skips(openings, i, SkipReason.WrongOpening, true);
        }
    }

    function _committed() private {
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        delete batch;
        for (uint256 i; i < 8; ++i) batch.push(leaves[i]);
        vm.warp(_view().revealStart);
    }

    function _notIncreasing(Opening[] memory openings, uint256 at) private {
        Receipt[] memory receipts = _receipts(project, round, openings);
        bytes memory error_ = abi.encodeWithSelector(IRounds.OpeningsNotIncreasing.selector, at);
        _reverts(stranger, _encodeReveal(project, round, batch, openings, receipts), error_);
        _reverts(stranger, _encodeReveal(project, round, _noLeaves(), openings, receipts), error_);
    }

    /// @param leaf whether the row's leaf has to be given, because the row does not say what it is.
    function _skips(Opening[] memory openings, uint256 at, SkipReason reason, bool leaf) private {
        _skipsWith(openings, _receipts(project, round, openings), at, reason, leaf);
    }

    /// @dev All rows are admitted but the one at `at`: with the whole batch, and with as little of it as will do. Undone.
    function _skipsWith(Opening[] memory openings, Receipt[] memory receipts, uint256 at, SkipReason reason, bool leaf)
        private
    {
        CommitLeaf[] memory one = new CommitLeaf[](leaf ? 1 : 0);
        if (leaf) one[0] = batch[at];
        for (uint256 whole; whole < 2; ++whole) {
            uint256 before = vm.snapshotState();
            uint256 admitted = _view().admitted;
            vm.expectEmit(address(market));
            emit IRounds.RevealSkipped(project, round, openings[at].member, reason);
            _revealWith(project, round, whole == 1 ? batch : one, openings, receipts);
            vm.assertEq(_view().admitted, admitted + 7);
            vm.assertEq(_view().unresolved, reason == SkipReason.AlreadyResolved ? 0 : 1);
            vm.revertToState(before);
        }
        if (!leaf) return;
        bytes memory call = _encodeReveal(project, round, _noLeaves(), openings, receipts);
        vm.prank(stranger);
        (bool ok, bytes memory data) = address(market).call(call);
        vm.assertFalse(ok, "the rebuilt batch is another");
        vm.assertEq(bytes32(bytes4(data)), bytes32(IRounds.BatchMismatch.selector));
    }
}
