// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../../src/interfaces/IRounds.sol";
import {Receipt} from "../../src/types/Types.sol";
import {MarketScene} from "../support/MarketScene.sol";
import {CommitLeaf, Opening, Packed} from "../support/Packed.sol";

/// @notice Calldata that no encoder makes: good entries right behind the ones that are said to be there, where the others have padding.
/// They are no part of what is hashed, signed or counted.
contract CalldataTest is MarketScene {
    function setUp() public override {
        super.setUp();
        project = _projectWith(8);
        round = _open(project);
    }

    function test_CommitBatch_WhenMoreLeavesFollow() public {
        CommitLeaf[] memory leaves = _leaves(project, round, 0, 8);
        bytes memory packed = Packed.leaves(leaves);
        bytes memory signatures = Packed.signatures(_signLeaves(project, round, leaves, 0));
        for (uint256 said = 1; said < 8; ++said) {
            uint256 before = vm.snapshotState();
            bytes memory call = bytes.concat(
                IRounds.commitBatch.selector,
                abi.encode(project, round, 128, 160 + packed.length, said * 36),
                packed,
                abi.encode(said * 64),
                signatures
            );
            _works(aggregator, call);
            vm.assertEq(_view().batchCount, said);
            vm.assertEq(_view().unresolved, said);
            if (said >= 3) {
                vm.warp(_view().revealStart);
                _reveal(project, round, _first(leaves, said), 0, said); // the hash is that of what was said
                vm.assertEq(_view().admitted, said);
            }
            vm.revertToState(before);
        }
    }

    /// @dev Eight openings lie there, receipts are for the first ones. Leaves are given for none of them: the batch is rebuilt.
    function test_Reveal_WhenMoreRowsFollow() public {
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        for (uint256 said = 1; said < 8; ++said) {
            uint256 before = vm.snapshotState();
            Opening[] memory openings = _openings(project, round, 0, said);
            bytes memory call = _revealOf(said, leaves, _receipts(project, round, openings));
            _works(stranger, call);
            vm.assertEq(_view().admitted, said);
            vm.assertEq(_view().unresolved, 8 - said);
            vm.revertToState(before);
        }
    }

    /// @dev The eighth opens nothing, and its leaf is not given but lies behind the seven others: what is missing was rebuilt from
    /// the opening, and that is another batch.
    function test_Reveal_RevertWhen_TheLeafLiesBehindTheOthers() public {
        CommitLeaf[] memory leaves = _commit(project, round, 0, 8);
        vm.warp(_view().revealStart);
        Opening[] memory openings = _openings(project, round, 7, 8);
        openings[0].salt = ~openings[0].salt;
        Receipt[] memory receipts = _receipts(project, round, openings);
        vm.prank(stranger);
        (bool ok, bytes memory data) =
            address(market).call(_encoded(Packed.leaves(leaves), 7, openings, 1, receipts));
        vm.assertFalse(ok);
        vm.assertEq(bytes32(bytes4(data)), bytes32(IRounds.BatchMismatch.selector));
        _works(stranger, _encoded(Packed.leaves(leaves), 8, openings, 1, receipts)); // given, it is a wrong opening
        vm.assertEq(_view().admitted, 0);
    }

    /// @dev Leaves of those who open nothing are given, and all eight lie there.
    function _revealOf(uint256 said, CommitLeaf[] memory leaves, Receipt[] memory receipts)
        private
        view
        returns (bytes memory)
    {
        bytes memory given = bytes.concat(Packed.leaves(_behind(leaves, said)), Packed.leaves(leaves));
        return _encoded(given, 8 - said, _openings(project, round, 0, 8), said, receipts);
    }

    /// @dev A call of `reveal` with fewer leaves and rows than lie there.
    function _encoded(
        bytes memory given,
        uint256 saidLeaves,
        Opening[] memory all,
        uint256 said,
        Receipt[] memory receipts
    ) private view returns (bytes memory) {
        bytes[4] memory parts;
        parts[0] = bytes.concat(abi.encode(saidLeaves * 36), _padded(given));
        parts[1] = bytes.concat(abi.encode(said * 69), _padded(Packed.rows(all)));
        parts[2] = bytes.concat(abi.encode(said), abi.encodePacked(Packed.salts(all)));
        bytes memory encoded = abi.encode(receipts); // offset, length, receipts
        parts[3] = new bytes(encoded.length - 32);
        for (uint256 i; i < parts[3].length; ++i) parts[3][i] = encoded[i + 32];
        uint256[4] memory at;
        at[0] = 192;
        for (uint256 i = 1; i < 4; ++i) at[i] = at[i - 1] + parts[i - 1].length;
        bytes memory head = abi.encode(project, round, at[0], at[1], at[2], at[3]);
        return bytes.concat(IRounds.reveal.selector, head, parts[0], parts[1], parts[2], parts[3]);
    }

    function _padded(bytes memory data) private pure returns (bytes memory) {
        return bytes.concat(data, new bytes((32 - data.length % 32) % 32));
    }

    function _first(CommitLeaf[] memory list, uint256 count) private pure returns (CommitLeaf[] memory some) {
        some = new CommitLeaf[](count);
        for (uint256 i; i < count; ++i) some[i] = list[i];
    }

    function _behind(CommitLeaf[] memory list, uint256 from) private pure returns (CommitLeaf[] memory some) {
        some = new CommitLeaf[](list.length - from);
        for (uint256 i; i < some.length; ++i) some[i] = list[from + i];
    }
}
