// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {LeafSkip} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, CommitSignature, Packed} from "../support/Packed.sol";
import {Vm} from "../support/Vm.sol";

/// @notice Batches in which every leaf may have something wrong with it, against the rule leaf by leaf. The market counts leaves in
/// runs as long as nothing is wrong, so what comes before and after a bad one matters.
contract CommitFaultsTest is MarketScene {
    uint256 private constant PEOPLE = 12; // for eight slots
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    enum Fault {
        None,
        NoneByDelegate, // a fault if there is none
        Zero,
        OtherKey,
        NoPoint,
        HighS,
        Parity,
        OtherCommitment,
        OtherRound
    }

    struct Scene {
        Fault[12] faults;
        uint256 left; // bits: member has left
        uint256 delegated;
        uint256 selves; // has committed itself
        uint256 omitted; // has no leaf
        bool nobody; // a leaf of a number that nobody has, at the end
        uint256 late; // members that joined after the opening, the last ones
    }

    uint256[] private delegateKeys;
    bytes[] private skips; // LeafSkipped of the leaves, as the rule says
    uint256 private bits;
    uint256 private free;

    function setUp() public override {
        super.setUp();
        for (uint256 i; i < PEOPLE; ++i) delegateKeys.push(50_000 + i);
    }

    function testFuzz_CommitBatch_WhenAnythingIsWrong(uint256 seed) public {
        Scene memory s = _scene(seed);
        _prepare(s);
        (CommitLeaf[] memory leaves, CommitSignature[] memory signatures) = _draft(s);
        if (leaves.length == 0) return;
        bytes memory call = _encodeCommitBatch(project, round, leaves, signatures);
        if (bits == 0) return _reverts(aggregator, call, abi.encodeWithSelector(IRounds.EmptyBatch.selector));
        vm.recordLogs();
        _works(aggregator, call);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < skips.length; ++i) {
            vm.assertEq(logs[i].topics[0], IRounds.LeafSkipped.selector);
            vm.assertEq(abi.encode(logs[i].topics[3], logs[i].data), skips[i], "skip");
        }
        vm.assertEq(logs[skips.length].topics[0], IRounds.CommitsPosted.selector);
        vm.assertEq(logs[skips.length].data, abi.encode(uint32(bits), Packed.leaves(leaves)), "bits and leaves");
        vm.assertEq(_view().batchBits, bits);
        vm.assertEq(_view().batchCount, _ones(bits));
        vm.assertEq(uint256(_view().batchCount) + _view().selfCount, 8 - free);
        vm.assertEq(_view().unresolved, uint256(_view().batchCount) + _view().selfCount);
        vm.assertEq(logs.length, skips.length + (free == 0 ? 2 : 1), "and DeadlinesMoved, if all slots are taken");
    }

    // ---- scenes

    /// @dev Most leaves are right, so that there are runs of them, beyond the last slot too.
    function _scene(uint256 seed) private pure returns (Scene memory s) {
        uint256 rate = 2 + seed % 30; // one leaf in so many has a fault of its own
        for (uint256 i; i < PEOPLE; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            if (word % rate == 0) s.faults[i] = Fault((word >> 32) % 9);
            else if (word >> 64 & 1 == 1) s.faults[i] = Fault.NoneByDelegate;
            uint256 mask = s.faults[i] == Fault.NoneByDelegate ? 7 : 1; // mostly there is one then, else by half
            if (word >> 80 & mask != 0) s.delegated |= 1 << i;
            if ((word >> 96) % 16 == 0) s.left |= 1 << i;
            if ((word >> 112) % 16 == 0) s.omitted |= 1 << i;
            if ((word >> 128) % 8 == 0 && i % 3 == 0) s.selves |= 1 << i; // at most four: slots are left
        }
        if (seed >> 128 & 1 == 1) s.selves = 0;
        s.nobody = seed >> 130 & 1 == 1;
        s.late = (seed >> 132) % 8 < 4 ? 0 : (seed >> 132) % 4;
    }

    function _prepare(Scene memory s) private {
        uint256 early = PEOPLE - s.late;
        project = _projectWith(early);
        round = _open(project);
        _join(project, early, PEOPLE);
        free = 8;
        for (uint256 i; i < PEOPLE; ++i) {
            if (s.delegated >> i & 1 == 1) {
                vm.prank(trainers[i]);
                market.setDelegate(project, vm.addr(delegateKeys[i]));
            }
            if (i < early && s.selves >> i & 1 == 1) {
                _commitSelf(project, round, i);
                --free;
            }
            if (s.left >> i & 1 == 1) {
                vm.prank(trainers[i]);
                market.leave(project);
            }
        }
    }

    /// @dev The batch, and what the rule says of it.
    function _draft(Scene memory s) private returns (CommitLeaf[] memory leaves, CommitSignature[] memory signatures) {
        uint256 count = PEOPLE - _ones(s.omitted) + (s.nobody ? 1 : 0);
        leaves = new CommitLeaf[](count);
        signatures = new CommitSignature[](count);
        delete skips;
        bits = 0;
        uint256 at;
        for (uint256 i; i < PEOPLE; ++i) {
            if (s.omitted >> i & 1 == 1) continue;
            Fault fault = s.faults[i];
            leaves[at] = CommitLeaf(uint32(i + 1), fault == Fault.Zero ? bytes32(0) : _commitment(project, round, i));
            signatures[at] = _sign(i, leaves[at], fault);
            _judge(at++, i, s, fault);
        }
        if (!s.nobody) return (leaves, signatures);
        leaves[at] = CommitLeaf(77, keccak256("nobody"));
        _skip(77, free == 0 ? LeafSkip.NoSlot : LeafSkip.NotEligible);
    }

    function _sign(uint256 i, CommitLeaf memory leaf, Fault fault) private view returns (CommitSignature memory c) {
        uint256 key = trainerKeys[i];
        if (fault == Fault.NoneByDelegate) key = delegateKeys[i];
        if (fault == Fault.OtherKey) key = delegateKeys[(i + 1) % PEOPLE];
        CommitLeaf memory signed = CommitLeaf(leaf.member, leaf.commitment);
        if (fault == Fault.OtherCommitment) signed.commitment = keccak256("another");
        c = _signLeaf(project, fault == Fault.OtherRound ? round + 1 : round, signed, key);
        if (fault == Fault.NoPoint) c.r = 0;
        uint256 vs = uint256(c.vs);
        if (fault == Fault.Parity) c.vs = bytes32(vs ^ 1 << 255);
        if (fault == Fault.HighS) c.vs = bytes32((ORDER - (vs & ~(uint256(1) << 255))) | (vs >> 255 ^ 1) << 255);
    }

    /// @dev The rule, in the order in which reasons are looked for.
    function _judge(uint256 at, uint256 i, Scene memory s, Fault fault) private {
        LeafSkip reason = _reasonOf(i, s, fault);
        if (reason == LeafSkip.None) {
            bits |= 1 << at;
            --free;
        } else {
            _skip(uint32(i + 1), reason);
        }
    }

    function _reasonOf(uint256 i, Scene memory s, Fault fault) private view returns (LeafSkip) {
        uint256 early = PEOPLE - s.late;
        if (free == 0) return LeafSkip.NoSlot;
        if (i >= early || s.left >> i & 1 == 1) return LeafSkip.NotEligible;
        if (fault == Fault.Zero) return LeafSkip.NoCommitment;
        if (s.selves >> i & 1 == 1) return LeafSkip.AlreadyCommitted;
        if (fault == Fault.None) return LeafSkip.None;
        if (fault == Fault.NoneByDelegate && s.delegated >> i & 1 == 1) return LeafSkip.None;
        return LeafSkip.NotSigned;
    }

    function _skip(uint32 member, LeafSkip reason) private {
        skips.push(abi.encode(bytes32(uint256(member)), abi.encode(reason)));
    }

    function _ones(uint256 word) private pure returns (uint256 count) {
        for (; word != 0; word &= word - 1) ++count;
    }
}
