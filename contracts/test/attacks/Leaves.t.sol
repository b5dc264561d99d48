// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {LeafSkip} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, CommitSignature} from "../support/Packed.sol";

/// @notice One bad leaf at every place of a batch, with everything else right, the signatures above all: what a batcher can do together
/// with the trainers in question.
contract LeavesTest is MarketScene {
    uint256 private constant DELEGATE_KEY = 4_242;

    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _open(project);
    }

    /// @dev Two different commitments of one member, both signed.
    function test_CommitBatch_RevertWhen_AMemberStandsTwice() public {
        for (uint256 i = 1; i < 8; ++i) {
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            leaves[i] = CommitLeaf(leaves[i - 1].member, keccak256("a second one"));
            CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
            signatures[i] = _signLeaf(project, round, leaves[i], trainerKeys[i - 1]);
            _notIncreasing(leaves, signatures, i);
        }
    }

    function test_CommitBatch_RevertWhen_MembersAreNotInOrder() public {
        for (uint256 i = 1; i < 8; ++i) {
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
            (leaves[i - 1], leaves[i]) = (leaves[i], leaves[i - 1]);
            (signatures[i - 1], signatures[i]) = (signatures[i], signatures[i - 1]);
            _notIncreasing(leaves, signatures, i);
        }
    }

    function test_CommitBatch_WhenACommitmentIsZero() public {
        for (uint256 i; i < 8; ++i) {
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            leaves[i].commitment = 0;
            _skips(leaves, _signLeaves(project, round, leaves, 0), i, LeafSkip.NoCommitment);
        }
    }

    function test_CommitBatch_WhenAMemberHasLeft() public {
        for (uint256 i; i < 8; ++i) {
            uint256 before = vm.snapshotState();
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            vm.prank(trainers[i]);
            market.leave(project);
            _skips(leaves, _signLeaves(project, round, leaves, 0), i, LeafSkip.NotEligible);
            vm.revertToState(before);
        }
    }

    /// @dev Members 9 and 10 joined when the round was open: they come last.
    function test_CommitBatch_WhenAMemberJoinedDuringTheRound() public {
        _join(project, 8, 10);
        for (uint256 i = 1; i < 8; ++i) {
            CommitLeaf[] memory leaves = _leaves(project, round, i, 9);
            _skips(leaves, _signLeaves(project, round, leaves, i), 8 - i, LeafSkip.NotEligible);
        }
        CommitLeaf[] memory late = _leaves(project, round, 8, 10);
        bytes memory call = _encodeCommitBatch(project, round, late, _signLeaves(project, round, late, 8));
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.EmptyBatch.selector));
    }

    function test_CommitBatch_WhenAnotherMemberSigned() public {
        for (uint256 i; i < 8; ++i) {
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
            signatures[i] = _signLeaf(project, round, leaves[i], trainerKeys[(i + 1) % 8]);
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
        }
    }

    /// @dev A leaf of its own under another's number, with the signature that was made for its own number.
    function test_CommitBatch_WhenALeafIsPutUnderAnothersNumber() public {
        CommitLeaf[] memory all = _leaves(project, round, 0, 8);
        CommitSignature[] memory own = _signLeaves(project, round, all, 0);
        for (uint256 i; i < 7; ++i) {
            for (uint256 signer; signer < 8; ++signer) {
                if (signer == i) continue;
                CommitLeaf[] memory leaves = _leaves(project, round, i, 8);
                CommitSignature[] memory signatures = _signLeaves(project, round, leaves, i);
                (leaves[0].commitment, signatures[0]) = (all[signer].commitment, own[signer]);
                _skips(leaves, signatures, 0, LeafSkip.NotSigned);
            }
        }
    }

    /// @dev Of nobody, of another member, and of this one until a moment ago.
    function test_CommitBatch_WhenADelegateSignedThatIsNone() public {
        for (uint256 i; i < 8; ++i) {
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
            signatures[i] = _signLeaf(project, round, leaves[i], DELEGATE_KEY);
            uint256 before = vm.snapshotState();
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
            _appoint((i + 1) % 8, vm.addr(DELEGATE_KEY));
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
            _appoint(i, vm.addr(DELEGATE_KEY));
            _appoint(i, vm.addr(DELEGATE_KEY + 1));
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
            _appoint(i, address(0));
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
            vm.revertToState(before);
        }
    }

    /// @dev A failed recovery gives address zero: it passes for no trainer, and for no delegate of a member that has none.
    function test_CommitBatch_WhenASignatureIsNone() public {
        for (uint256 i; i < 8; ++i) {
            CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
            CommitSignature[] memory signatures = _signLeaves(project, round, leaves, 0);
            signatures[i] = CommitSignature(0, 0);
            uint256 before = vm.snapshotState();
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
            _appoint(i, vm.addr(DELEGATE_KEY));
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
            _appoint(i, address(0));
            _skips(leaves, signatures, i, LeafSkip.NotSigned);
            vm.revertToState(before);
        }
    }

    function _appoint(uint256 i, address delegate) private {
        vm.prank(trainers[i]);
        market.setDelegate(project, delegate);
    }

    function _notIncreasing(CommitLeaf[] memory leaves, CommitSignature[] memory signatures, uint256 at) private {
        bytes memory call = _encodeCommitBatch(project, round, leaves, signatures);
        _reverts(aggregator, call, abi.encodeWithSelector(IRounds.BatchNotIncreasing.selector, at));
    }

    /// @dev All leaves count but the one at `at`. Undone.
    function _skips(CommitLeaf[] memory leaves, CommitSignature[] memory signatures, uint256 at, LeafSkip reason)
        private
    {
        uint256 before = vm.snapshotState();
        bytes memory call = _encodeCommitBatch(project, round, leaves, signatures);
        vm.expectEmit(address(market));
        emit IRounds.LeafSkipped(project, round, leaves[at].member, reason);
        _works(aggregator, call);
        vm.assertEq(_view().batchCount, leaves.length - 1);
        vm.assertEq(_view().batchBits, ((1 << leaves.length) - 1) ^ (1 << at));
        vm.revertToState(before);
    }
}
