// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {CommitLeaf, Phase, Receipt, Reveal, SkipReason} from "../../src/types/Types.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract RevealsTest is MarketFixture {
    uint256 internal project;
    uint32 internal round;
    CommitLeaf[] internal batch;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = market.openRound(project);
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        for (uint256 i; i < leaves.length; ++i) batch.push(leaves[i]);
        vm.warp(market.roundOf(project, round).revealStart);
    }

    function test_AdmittedInOrder() public {
        Reveal[] memory reveals = _reveals(project, round, 2, 4);
        Receipt[] memory receipts = _receipts(project, round, reveals);
        for (uint8 row; row < 2; ++row) {
            vm.expectEmit(address(market));
            emit IRounds.UpdateAdmitted(
                project, round, trainers[row + 2], row, reveals[row].update, reveals[row].cid
            );
        }
        vm.prank(stranger);
        market.reveal(project, round, batch, reveals, receipts);
        _reveal(project, round, batch, 0, 1);

        bytes32 chain = keccak256(abi.encode(bytes32(0), trainers[2], _update(project, round, 2)));
        chain = keccak256(abi.encode(chain, trainers[3], _update(project, round, 3)));
        chain = keccak256(abi.encode(chain, trainers[0], _update(project, round, 0)));
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.assertEq(r.admittedHash, chain);
        vm.assertEq(r.admitted, 3);
        vm.assertEq(market.revealStateOf(project, round, trainers[2]), 1);
        vm.assertEq(market.revealStateOf(project, round, trainers[1]), 0);
        vm.assertEq(uint256(r.phase), uint256(Phase.Reveal));
    }

    function test_EndsWhenEveryoneHasRevealed() public {
        uint256 shift = 20;
        vm.warp(block.timestamp + shift);
        uint64 settleEnd = market.roundOf(project, round).settleEnd;
        _reveal(project, round, batch, 0, 7);
        _assertPhase(project, round, Phase.Reveal);
        _reveal(project, round, batch, 7, 8);
        IRounds.RoundView memory r = market.roundOf(project, round);
        vm.assertEq(uint256(r.phase), uint256(Phase.Settle));
        vm.assertEq(r.revealEnd, block.timestamp);
        vm.assertEq(r.settleEnd, settleEnd - (REVEAL - shift));
    }

    function test_RefusedCountsAsActed() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, round, reveals, 0, 1);
        vm.expectEmit(address(market));
        emit IRounds.RevealRefused(project, round, trainers[0], reveals[0].update);
        market.reveal(project, round, batch, reveals, receipts);
        vm.assertEq(market.revealStateOf(project, round, trainers[0]), 2);
        vm.assertEq(market.roundOf(project, round).refused, 1);

        _expectSkip(0, SkipReason.AlreadyRevealed); // final
        _reveal(project, round, batch, 0, 1);
        _reveal(project, round, batch, 1, 8);
        _assertPhase(project, round, Phase.Settle);
        vm.assertEq(market.roundOf(project, round).admitted, 7);
    }

    function test_AllRefusedIsVoid() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 8);
        market.reveal(project, round, batch, reveals, _receipts(project, round, reveals, 0, type(uint32).max));
        _assertPhase(project, round, Phase.Void);
        market.openRound(project); // nothing to pay: closed on the way
    }

    function test_BelowTheQuorumIsSkippedAndMayComeAgain() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 2);
        Receipt[] memory receipts = new Receipt[](1);
        receipts[0] = _receipt(project, round, reveals, 2, 3, 0);
        _expectSkip(0, SkipReason.NoQuorum);
        market.reveal(project, round, batch, reveals, receipts);
        market.reveal(project, round, batch, reveals, new Receipt[](0));
        vm.assertEq(market.roundOf(project, round).admitted, 0);

        receipts = new Receipt[](2); // one endorses both, the other only the second
        receipts[0] = _receipt(project, round, reveals, 0, 3, 0);
        receipts[1] = _receipt(project, round, reveals, 2, 2, 1);
        market.reveal(project, round, batch, reveals, receipts);
        vm.assertEq(market.revealStateOf(project, round, trainers[0]), 0);
        vm.assertEq(market.revealStateOf(project, round, trainers[1]), 1);
        _reveal(project, round, batch, 0, 1);
        vm.assertEq(market.revealStateOf(project, round, trainers[0]), 1);
    }

    function test_AWitnessThatSaysBothSaysNothing() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        Receipt[] memory receipts = new Receipt[](2);
        receipts[0] = _receipt(project, round, reveals, 0, 1, 1);
        receipts[1] = _receipt(project, round, reveals, 1, 1, 0);
        _expectSkip(0, SkipReason.NoQuorum);
        market.reveal(project, round, batch, reveals, receipts);
    }

    function test_TheSameWitnessTwice() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        Receipt[] memory receipts = new Receipt[](2);
        receipts[0] = _receipt(project, round, reveals, 1, 1, 0);
        receipts[1] = receipts[0];
        vm.expectRevert(abi.encodeWithSelector(IRounds.WitnessesNotIncreasing.selector, 1));
        market.reveal(project, round, batch, reveals, receipts);
        receipts[1] = _receipt(project, round, reveals, 0, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IRounds.WitnessesNotIncreasing.selector, 1));
        market.reveal(project, round, batch, reveals, receipts);
    }

    function test_ReceiptsMustVerify() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, round, reveals, 1, 0);
        receipts[1].witness = 2; // signed by 1
        vm.expectRevert(
            abi.encodeWithSelector(IRounds.ReceiptInvalid.selector, 1, witnesses[1], witnesses[2])
        );
        market.reveal(project, round, batch, reveals, receipts);

        receipts = _receipts(project, round, reveals, 1, 0);
        receipts[1].witness = 3; // no such witness
        vm.expectRevert(abi.encodeWithSelector(IRounds.ReceiptInvalid.selector, 1, witnesses[1], address(0)));
        market.reveal(project, round, batch, reveals, receipts);

        receipts = _receipts(project, round, reveals, 1, 0);
        receipts[0].endorsed = 3; // more than was signed
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        market.reveal(project, round, batch, reveals, receipts);

        receipts = _receipts(project, round, reveals, 1, 0);
        receipts[0].signature = "";
        vm.expectRevert(abi.encodeWithSelector(IRounds.ReceiptInvalid.selector, 0, address(0), witnesses[0]));
        market.reveal(project, round, batch, reveals, receipts);
    }

    /// @dev A receipt speaks of trainers, updates and CIDs in one order: none of them can be exchanged under it.
    function test_ReceiptsAreForTheseReveals() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 2);
        Receipt[] memory receipts = _receipts(project, round, reveals);
        (reveals[0], reveals[1]) = (reveals[1], reveals[0]);
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        market.reveal(project, round, batch, reveals, receipts);
        reveals = _reveals(project, round, 0, 2);
        reveals[0].cid = _cid(keccak256("elsewhere"));
        vm.expectPartialRevert(IRounds.ReceiptInvalid.selector);
        market.reveal(project, round, batch, reveals, receipts);
    }

    function test_BadItemsDoNotHarmTheOthers() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 5);
        reveals[0].salt = bytes32(uint256(reveals[0].salt) + 1);
        reveals[1].update = keccak256("another update");
        reveals[2].trainer = stranger;
        reveals[3].cid = bytes.concat(reveals[3].cid, hex"00");
        Receipt[] memory receipts = _receipts(project, round, reveals);
        _expectSkip(0, SkipReason.WrongOpening);
        _expectSkip(1, SkipReason.WrongOpening);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, stranger, SkipReason.NotCommitted);
        _expectSkip(3, SkipReason.BadCid);
        market.reveal(project, round, batch, reveals, receipts);
        vm.assertEq(market.roundOf(project, round).admitted, 1);
        vm.assertEq(market.revealStateOf(project, round, trainers[4]), 1);
    }

    function test_TheSameRevealTwice() public {
        Reveal[] memory reveals = new Reveal[](2);
        reveals[0] = reveals[1] = _reveals(project, round, 0, 1)[0];
        Receipt[] memory receipts = _receipts(project, round, reveals);
        _expectSkip(0, SkipReason.AlreadyRevealed);
        market.reveal(project, round, batch, reveals, receipts);
        vm.assertEq(market.roundOf(project, round).admitted, 1);
        market.reveal(project, round, batch, reveals, receipts); // by anybody, again: no effect and no revert
        vm.assertEq(market.roundOf(project, round).admitted, 1);
    }

    function test_CidForms() public {
        bytes32 digest = keccak256("d");
        _cidIs(abi.encodePacked(hex"01551220", digest), true); // raw
        _cidIs(abi.encodePacked(hex"01701220", digest), true); // dag-pb
        _cidIs(abi.encodePacked(hex"00551220", digest), false);
        _cidIs(abi.encodePacked(hex"01711220", digest), false);
        _cidIs(abi.encodePacked(hex"01551b20", digest), false);
        _cidIs(abi.encodePacked(hex"01551240", digest), false);
        _cidIs(abi.encodePacked(hex"015512", digest), false);
        _cidIs("", false);
    }

    function test_TheBatchMustBeTheOneThatWasPosted() public {
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        Receipt[] memory receipts = _receipts(project, round, reveals);
        CommitLeaf[] memory other = _leaves(project, round, 0, 7);
        vm.expectRevert(
            abi.encodeWithSelector(
                IRounds.BatchMismatch.selector, keccak256(abi.encode(other)), keccak256(abi.encode(batch))
            )
        );
        market.reveal(project, round, other, reveals, receipts);
        _expectSkip(0, SkipReason.NotCommitted);
        market.reveal(project, round, new CommitLeaf[](0), reveals, receipts); // without the batch there is no leaf
    }

    function test_BetweenOneAnd32Reveals() public {
        vm.expectRevert(IRounds.NoReveals.selector);
        market.reveal(project, round, batch, new Reveal[](0), new Receipt[](0));
        vm.expectRevert(abi.encodeWithSelector(IRounds.TooManyReveals.selector, 33));
        market.reveal(project, round, batch, new Reveal[](33), new Receipt[](0));
        market.reveal(project, round, batch, new Reveal[](32), new Receipt[](0));
    }

    /// @dev A copied commitment opens for nobody but the trainer it was made for: the trainer is inside the hash.
    function test_CopiedCommitment() public {
        uint256 other = _projectWith(4);
        uint32 first = market.openRound(other);
        bytes32 copied = _commitment(other, first, 0);
        vm.prank(trainers[1]);
        market.commitSelf(other, first, copied);
        _commitSelf(other, first, 0);
        _commitSelf(other, first, 2);
        _commitSelf(other, first, 3);
        vm.warp(market.roundOf(other, first).revealStart);

        Reveal[] memory reveals = _reveals(other, first, 0, 1);
        reveals[0].trainer = trainers[1];
        Receipt[] memory receipts = _receipts(other, first, reveals);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(other, first, trainers[1], SkipReason.WrongOpening);
        market.reveal(other, first, new CommitLeaf[](0), reveals, receipts);
        _reveal(other, first, new CommitLeaf[](0), 0, 1);
        vm.assertEq(market.revealStateOf(other, first, trainers[0]), 1);
        vm.assertEq(market.revealStateOf(other, first, trainers[1]), 0);
    }

    function test_RevealStateRemembersOneRound() public {
        _reveal(project, round, batch, 0, 8);
        _settle(project, round, 8);
        uint32 second = market.openRound(project);
        CommitLeaf[] memory leaves = _commit(project, second, 0, 8);
        vm.assertEq(market.revealStateOf(project, round, trainers[0]), 1);
        vm.assertEq(market.revealStateOf(project, second, trainers[0]), 0);
        vm.warp(market.roundOf(project, second).revealStart);
        _reveal(project, second, leaves, 0, 1);
        vm.expectRevert(abi.encodeWithSelector(IRounds.StateOverwritten.selector, project, round, second));
        market.revealStateOf(project, round, trainers[0]);
        vm.assertEq(market.revealStateOf(project, round, trainers[1]), 1);
    }

    function testFuzz_RevealsHash(address trainer, bytes32 update, bytes32 salt, bytes memory cid, uint8 count)
        public
        view
    {
        Reveal[] memory reveals = new Reveal[](count % 33);
        bytes memory packed;
        for (uint256 i; i < reveals.length; ++i) {
            reveals[i] = Reveal(trainer, keccak256(abi.encode(update, i)), salt, cid);
            packed = bytes.concat(packed, abi.encode(trainer, reveals[i].update, keccak256(cid)));
        }
        vm.assertEq(market.revealsHashOf(reveals), keccak256(packed));
    }

    /// @dev Quorums bit by bit against the plain definition.
    function testFuzz_Tally(uint32[3] memory endorsed, uint32[3] memory refused, uint8 present) public {
        Reveal[] memory reveals = _reveals(project, round, 0, 8);
        uint256 count;
        for (uint256 w; w < 3; ++w) count += present >> w & 1;
        Receipt[] memory receipts = new Receipt[](count);
        uint256 at;
        for (uint256 w; w < 3; ++w) {
            if (present >> w & 1 == 1) receipts[at++] = _receipt(project, round, reveals, w, endorsed[w], refused[w]);
        }
        market.reveal(project, round, batch, reveals, receipts);
        for (uint256 i; i < 8; ++i) {
            uint256 ayes;
            uint256 nays;
            for (uint256 w; w < 3; ++w) {
                if (present >> w & 1 == 0) continue;
                bool aye = endorsed[w] >> i & 1 == 1;
                bool nay = refused[w] >> i & 1 == 1;
                if (aye && !nay) ++ayes;
                if (nay && !aye) ++nays;
            }
            uint256 expected = ayes >= 2 ? 1 : nays >= 2 ? 2 : 0;
            vm.assertEq(market.revealStateOf(project, round, trainers[i]), expected);
        }
    }

    function _cidIs(bytes memory cid, bool good) private {
        uint256 before = vm.snapshotState();
        Reveal[] memory reveals = _reveals(project, round, 0, 1);
        reveals[0].cid = cid;
        market.reveal(project, round, batch, reveals, _receipts(project, round, reveals));
        vm.assertEq(market.roundOf(project, round).admitted, good ? 1 : 0);
        vm.revertToState(before);
    }

    function _expectSkip(uint256 trainer, SkipReason reason) private {
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, trainers[trainer], reason);
    }
}
