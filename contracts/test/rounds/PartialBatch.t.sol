// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Phase, Receipt, SkipReason} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, CommitSignature, Opening, Packed} from "../support/Packed.sol";

/// @notice Reveals and rescues that bring only the leaves that they do not open: the market rebuilds the others, so that nothing
/// may come out differently than with the whole batch.
contract PartialBatchTest is MarketScene {
    uint256 private constant LEAVES = 7; // of eight slots: the phase goes on

    CommitLeaf[] private batch;
    /// @dev What opens each member's commitment that counts, or its leaf if it has none.
    Opening[] private right;
    bool[] private self; // the member replaced its leaf

    function setUp() public override {
        super.setUp();
        project = _projectWith(10);
    }

    // ---- both forms, any batch, any rows

    struct Scene {
        uint8 selves; // bit i: member i + 1 commits itself, before the batch if `early` has the bit, else in place of its leaf
        uint8 early;
        uint8 bad; // leaves that nobody signed
        uint8 codecs; // members whose CID is of a kind that the market never admits
        uint8[3] shown; // rows of calls one after another
        uint8[3] given; // leaves that come along although a row opens them
        uint8[3] endorsed; // rows, of the first, second, ... in the call
        uint8[3] refused;
        uint8 wrong; // rows of the second call that open nothing: their leaves must be given
    }

    function testFuzz_Reveal_WhenLeavesAreLeftOut(Scene memory s) public {
        _commitments(s);
        if (uint256(_view().batchCount) + _view().selfCount < 3) return; // the round is void
        vm.warp(_view().revealStart);
        for (uint256 k; k < 3; ++k) {
            if (uint256(market.phaseOf(project, round)) != uint256(Phase.Reveal)) return;
            Opening[] memory openings = _openingsAt(s.shown[k], k == 1 ? s.wrong : 0);
            if (openings.length == 0) continue;
            // Mostly endorsed: the market takes rows in runs as long as nothing is to be said of them.
            uint32 refused = s.refused[k] & s.refused[(k + 1) % 3] & s.refused[(k + 2) % 3];
            uint32 endorsed = uint32(s.endorsed[k]) | s.endorsed[(k + 1) % 3] | s.endorsed[(k + 2) % 3];
            Receipt[] memory receipts = _receipts(project, round, openings, endorsed, refused);
            bytes memory whole = _encodeReveal(project, round, _posted(), openings, receipts);
            bytes memory short = _encodeReveal(project, round, _leftOver(openings, s.given[k]), openings, receipts);
            _sameEffects(whole, short);
        }
    }

    /// @dev Likewise, after the reveal phase.
    function testFuzz_Rescue_WhenLeavesAreLeftOut(Scene memory s) public {
        _commitments(s);
        if (uint256(_view().batchCount) + _view().selfCount < 3) return;
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openingsAt(s.shown[0], 0);
        if (openings.length != 0) {
            _revealWith(project, round, _leftOver(openings, 0), openings, _receipts(project, round, openings));
        }
        vm.warp(_view().revealEnd);
        for (uint256 k = 1; k < 3; ++k) {
            openings = _openingsAt(s.shown[k], k == 1 ? s.wrong : 0);
            if (openings.length == 0) continue;
            bytes memory whole = _encodeRescue(project, round, _posted(), openings);
            bytes memory short = _encodeRescue(project, round, _leftOver(openings, s.given[k]), openings);
            _sameEffects(whole, short);
        }
    }

    // ---- what the short form allows

    function test_Reveal_WhenAllLeavesAreOpened() public {
        _full();
        vm.warp(_view().revealStart);
        _reveal(project, round, _noLeaves(), 0, 7);
        vm.assertEq(_view().admitted, 7);
        vm.assertEq(_view().resolvedBits, 127);
        _settle(project, round, 7);
    }

    function test_Reveal_WhenOnlyOneLeafIsOpened() public {
        _full();
        vm.warp(_view().revealStart);
        for (uint256 i; i < 7; ++i) {
            _reveal(project, round, _without(1 << i), i, i + 1);
            vm.assertEq(_view().admitted, i + 1);
            vm.assertEq(_view().resolvedBits, (2 << i) - 1);
        }
        _assertPhase(project, round, Phase.Settle);
    }

    /// @dev A resolved leaf may be left out like any other that a row opens.
    function test_Reveal_WhenAResolvedLeafIsOpenedAgain() public {
        _full();
        vm.warp(_view().revealStart);
        _reveal(project, round, _without(3), 0, 2);
        bytes32 chain = _view().admittedHash;
        Opening[] memory openings = _openings(project, round, 1, 3);
        Receipt[] memory receipts = _receipts(project, round, openings);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 2, SkipReason.AlreadyResolved);
        _revealWith(project, round, _without(6), openings, receipts);
        vm.assertEq(_view().admitted, 3);
        vm.assertTrue(_view().admittedHash != chain);
    }

    /// @dev Rows of self-posted commitments alone need no leaf, whether their members have dead ones or not.
    function test_Reveal_WhenAllRowsOpenSelfPostedCommitments() public {
        _commitments(0x70, 0x10, 0); // member 5 before the batch, 6 and 7 after it
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openingsAt(0x70, 0);
        _revealWith(project, round, _noLeaves(), openings, _receipts(project, round, openings));
        vm.assertEq(_view().admitted, 3);
        vm.assertEq(_view().resolvedBits, 0);
    }

    /// @dev A leaf that does not count is part of the batch; its opening can stand for it and does nothing.
    function test_Reveal_WhenADeadLeafIsOpened() public {
        _commitments(0, 0, 1);
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openingsAt(3, 0);
        Receipt[] memory receipts = _receipts(project, round, openings);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 1, SkipReason.NotCommitted);
        _revealWith(project, round, _without(3), openings, receipts);
        vm.assertEq(_view().admitted, 1);
        vm.assertEq(_view().resolvedBits, 2);
    }

    // ---- what it refuses

    /// @dev The whole batch shows which row is wrong; without its leaf nobody can tell, and the call fails.
    function test_Reveal_RevertWhen_AWrongRowHasNoLeaf() public {
        _full();
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openings(project, round, 0, 3);
        openings[1].salt = ~openings[1].salt;
        Receipt[] memory receipts = _receipts(project, round, openings);
        CommitLeaf[] memory rebuilt = batch;
        rebuilt[1].commitment = _commitmentOf(project, round, openings[1]);
        _reverts(
            stranger,
            _encodeReveal(project, round, _without(7), openings, receipts),
            abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(rebuilt), _batchHash(batch))
        );
        uint256 before = vm.snapshotState();
        CommitLeaf[][2] memory forms = [_without(5), _without(0)]; // with that leaf, or with all
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(address(market));
            emit IRounds.RevealSkipped(project, round, 2, SkipReason.WrongOpening);
            _revealWith(project, round, forms[i], openings, receipts);
            vm.assertEq(_view().admitted, 2);
            vm.assertEq(_view().resolvedBits, 5);
            vm.revertToState(before);
        }
    }

    function test_Reveal_RevertWhen_ALeafIsMissing() public {
        _full();
        vm.warp(_view().revealStart);
        for (uint256 i = 1; i < 7; ++i) _mismatches(_without(1 | 1 << i), _openingsOf(0));
    }

    function test_Reveal_RevertWhen_ALeafStandsTwiceOrElsewhere() public {
        _full();
        vm.warp(_view().revealStart);
        CommitLeaf[] memory leaves = _without(1);
        (leaves[2], leaves[3]) = (leaves[3], leaves[2]);
        _mismatches(leaves, _openingsOf(0));
        leaves = _without(1);
        leaves[3] = leaves[2];
        _mismatches(leaves, _openingsOf(0));
        leaves = _without(1);
        leaves[5].commitment = ~leaves[5].commitment;
        _mismatches(leaves, _openingsOf(0));
        leaves = new CommitLeaf[](8); // one more than there were
        for (uint256 i; i < 7; ++i) leaves[i] = batch[i];
        leaves[7] = CommitLeaf(9, keccak256("invented"));
        _mismatches(leaves, _openingsOf(0));
        leaves = _without(0); // all of them, and one opened in another's place
        (leaves[0], leaves[6]) = (leaves[6], leaves[0]);
        _mismatches(leaves, _openingsOf(0));
    }

    function test_Reveal_RevertWhen_AMemberHasNoLeaf() public {
        _full();
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openings(project, round, 6, 8); // member 8 did not commit
        _mismatches(_without(64), openings);
        Receipt[] memory receipts = _receipts(project, round, openings);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 8, SkipReason.NotCommitted);
        _revealWith(project, round, batch, openings, receipts); // the whole batch shows that it has none
        vm.assertEq(_view().admitted, 1);
    }

    /// @dev The dead leaf of a member who committed itself must be given: its row does not open it.
    function test_Reveal_RevertWhen_ADeadLeafIsMissing() public {
        _commitments(2, 0, 0); // member 2, in place of its leaf
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openingsAt(3, 0);
        _mismatches(_without(3), openings);
        _revealWith(project, round, _without(1), openings, _receipts(project, round, openings));
        vm.assertEq(_view().admitted, 2);
        vm.assertEq(_view().resolvedBits, 1);
        vm.assertEq(market.selfCommitOf(project, round, 2), bytes32(uint256(1)));
    }

    /// @dev Its own leaf cannot be opened any more, in neither form.
    function test_Reveal_WhenAReplacedLeafIsOpened() public {
        _commitments(2, 0, 0);
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openings(project, round, 0, 2); // what the leaves of 1 and 2 say
        Receipt[] memory receipts = _receipts(project, round, openings);
        _mismatches(_without(3), openings);
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 2, SkipReason.WrongOpening);
        _revealWith(project, round, _without(1), openings, receipts);
        vm.assertEq(_view().admitted, 1);
    }

    function test_Rescue_RevertWhen_AWrongRowHasNoLeaf() public {
        _full();
        vm.warp(_view().revealEnd);
        Opening[] memory openings = _openings(project, round, 0, 3);
        openings[1].salt = ~openings[1].salt;
        CommitLeaf[] memory rebuilt = batch;
        rebuilt[1].commitment = _commitmentOf(project, round, openings[1]);
        _reverts(
            stranger,
            _encodeRescue(project, round, _without(7), openings),
            abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(rebuilt), _batchHash(batch))
        );
        vm.expectEmit(address(market));
        emit IRounds.RevealSkipped(project, round, 2, SkipReason.WrongOpening);
        _rescueWith(project, round, _without(5), openings);
        vm.assertEq(_view().resolvedBits, 5);
    }

    /// @dev The hash of its batch was kept for that.
    function test_Rescue_WhenTheRoundIsOlder() public {
        _full();
        vm.warp(_view().revealStart);
        _reveal(project, round, _without(31), 0, 5);
        vm.warp(_view().revealEnd);
        _settle(project, round, 5);
        uint32 next = _open(project);
        _rescueWith(project, round, _without(96), _openings(project, round, 5, 7));
        vm.assertEq(_view().unresolved, 0);
        vm.assertEq(_view().resolvedBits, 127);
        vm.assertEq(market.roundOf(project, next).unresolved, 0);
    }

    /// @dev A slash and a commitment of one's own take the whole batch only.
    function test_SlashNoReveal_RevertWhen_LeavesAreLeftOut() public {
        _commitments(0, 0, 0x40);
        bytes memory self_ = _selfCall(9, _without(1));
        bytes memory wrong =
            abi.encodeWithSelector(IRounds.BatchMismatch.selector, _batchHash(_without(1)), _batchHash(batch));
        _reverts(trainers[9], self_, wrong);
        vm.warp(_view().rescueEnd);
        _reverts(stranger, _slashCall(_without(1), 1), wrong);
        bytes memory odd = abi.encodePacked(Packed.leaves(_without(0)), uint8(0));
        wrong = abi.encodeWithSelector(IRounds.BatchMismatch.selector, keccak256(odd), _batchHash(batch));
        _reverts(stranger, abi.encodeCall(market.slashNoReveal, (project, round, 2, odd)), wrong);
        _works(stranger, _slashCall(_without(0), 1));
    }

    // ---- scenes

    /// @dev A round with a full batch in which everything counts.
    function _full() private {
        _commitments(0, 0, 0);
        vm.assertEq(_view().batchCount, 7);
    }

    function _commitments(uint8 selves, uint8 early, uint8 bad) private {
        Scene memory s;
        (s.selves, s.early, s.bad) = (selves, early, bad);
        _commitments(s);
    }

    /// @dev Members 1 .. 7 commit in every way there is; half of all rounds have no commitment but the batch.
    function _commitments(Scene memory s) private {
        if (s.selves > 127) s.selves = 0;
        delete batch;
        delete right;
        delete self;
        round = _open(project);
        CommitLeaf[] memory leaves = new CommitLeaf[](LEAVES);
        for (uint256 i; i < LEAVES; ++i) {
            self.push(s.selves >> i & 1 == 1);
            right.push(_opening(project, round, i));
            if (s.codecs >> i & 1 == 1 && s.early >> i & 1 == 1) right[i].cid.codec = 0x71;
            leaves[i] = CommitLeaf(right[i].member, _commitmentOf(project, round, right[i]));
            if (self[i]) right[i].salt = keccak256(abi.encode(right[i].salt));
            if (self[i] && s.early >> i & 1 == 1) _commitItself(i, _noLeaves());
        }
        CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
        bool some;
        for (uint256 i; i < LEAVES; ++i) {
            if (s.bad >> i & 1 == 1) signatures[i].r = 0;
            else if (!self[i] || s.early >> i & 1 == 0) some = true;
        }
        if (some) {
            vm.prank(aggregator);
            _postBatch(project, round, leaves, signatures);
            for (uint256 i; i < LEAVES; ++i) batch.push(leaves[i]);
        }
        for (uint256 i; i < LEAVES; ++i) {
            if (self[i] && s.early >> i & 1 == 0) _commitItself(i, _posted());
        }
    }

    function _commitItself(uint256 i, CommitLeaf[] memory posted) private {
        bytes32 commitment = _commitmentOf(project, round, right[i]);
        vm.prank(trainers[i]);
        _postSelf(project, round, right[i].member, commitment, posted);
    }

    function _posted() private view returns (CommitLeaf[] memory) {
        return batch;
    }

    /// @dev Of the members whose bits are set; some of them open nothing.
    function _openingsAt(uint256 bits, uint256 wrong) private view returns (Opening[] memory openings) {
        bits &= (1 << LEAVES) - 1;
        openings = new Opening[](_ones(bits));
        uint256 at;
        for (uint256 i; i < LEAVES; ++i) {
            if (bits >> i & 1 == 0) continue;
            openings[at] = right[i];
            if (wrong >> i & 1 == 1) openings[at].salt = keccak256(abi.encode("wrong", i));
            ++at;
        }
    }

    /// @dev The leaves that none of the openings opens, and those of `also`. Without a batch there are none.
    function _leftOver(Opening[] memory openings, uint256 also) private view returns (CommitLeaf[] memory) {
        uint256 out;
        for (uint256 i; i < batch.length; ++i) {
            if (also >> i & 1 == 1) continue;
            for (uint256 k; k < openings.length; ++k) {
                if (openings[k].member != batch[i].member || _selfPosted(openings[k].member)) continue;
                if (_commitmentOf(project, round, openings[k]) == batch[i].commitment) out |= 1 << i;
            }
        }
        return batch.length == 0 ? _noLeaves() : _without(out);
    }

    function _selfPosted(uint32 member) private view returns (bool) {
        return market.selfCommitOf(project, round, member) != 0;
    }

    /// @dev The batch less the leaves whose bits are set.
    function _without(uint256 bits) private view returns (CommitLeaf[] memory leaves) {
        leaves = new CommitLeaf[](batch.length - _ones(bits));
        uint256 at;
        for (uint256 i; i < batch.length; ++i) if (bits >> i & 1 == 0) leaves[at++] = batch[i];
    }

    function _ones(uint256 bits) private pure returns (uint256 count) {
        for (; bits != 0; bits &= bits - 1) ++count;
    }

    /// @dev The market rebuilds something else than the batch.
    function _mismatches(CommitLeaf[] memory leaves, Opening[] memory openings) private {
        Receipt[] memory receipts = _receipts(project, round, openings);
        bytes memory call = _encodeReveal(project, round, leaves, openings, receipts);
        vm.prank(stranger);
        (bool ok, bytes memory data) = address(market).call(call);
        vm.assertFalse(ok, "must revert");
        vm.assertEq(bytes32(bytes4(data)), bytes32(IRounds.BatchMismatch.selector));
    }

    /// @dev Logs and everything that can be seen of the round are the same after either call. The second one stays.
    function _sameEffects(bytes memory first, bytes memory second) private {
        uint256 before = vm.snapshotState();
        (bytes32 logs, bytes32 state) = _effects(first);
        vm.revertToState(before);
        (bytes32 otherLogs, bytes32 otherState) = _effects(second);
        vm.assertEq(otherLogs, logs, "logs");
        vm.assertEq(otherState, state, "state");
    }

    function _effects(bytes memory call) private returns (bytes32 logs, bytes32 state) {
        vm.recordLogs();
        _works(stranger, call);
        logs = keccak256(abi.encode(vm.getRecordedLogs()));
        bytes memory seen = abi.encode(_view());
        for (uint32 member = 1; member <= LEAVES; ++member) {
            seen = bytes.concat(seen, market.selfCommitOf(project, round, member));
        }
        state = keccak256(seen);
    }
}
