// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {PayoutTree} from "../../src/payouts/PayoutTree.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract PayoutTreeTest is MarketFixture {
    function setUp() public override {}

    /// @dev By a proof made independently, which proves nothing else.
    function test_RootOf_WhenATreeHasAnySize() public view {
        for (uint256 n = 1; n <= 32; ++n) {
            bytes32[] memory leaves = new bytes32[](n);
            for (uint256 i; i < n; ++i) leaves[i] = bytes27(keccak256(abi.encode(n, i)));
            bytes27 root = PayoutTree.rootOf(_words(leaves));
            for (uint256 i; i < n; ++i) {
                bytes32[] memory proof = _payoutProof(_copy(leaves), i);
                vm.assertTrue(MerkleProof.processProof(proof, leaves[i], _node) == root);
                bytes32 other = bytes27(keccak256(abi.encode(leaves[i])));
                vm.assertFalse(MerkleProof.processProof(proof, other, _node) == root);
            }
        }
    }

    function test_RootOf_WhenANodeIsOdd() public pure {
        bytes32[] memory leaves = new bytes32[](3);
        for (uint256 i; i < 3; ++i) leaves[i] = bytes32((i + 1) << 40);
        bytes32 root = _node(_node(leaves[0], leaves[1]), leaves[2]);
        vm.assertTrue(PayoutTree.rootOf(_words(leaves)) == bytes27(root));
    }

    function testFuzz_LeafOf_WhenAnyRow(uint256 p, uint32 r, uint8 row, uint32 member, uint256 amount) public pure {
        vm.assertEq(
            PayoutTree.leafOf(p, r, row, member, amount),
            bytes27(keccak256(abi.encode(keccak256(abi.encode(p, r, row, member, amount)))))
        );
    }

    /// @dev As OpenZeppelin's MerkleProof.processProof, whose nodes are cut to 27 bytes.
    function testFuzz_RootAbove_WhenAnyProof(bytes27 leaf, bytes32[] memory proof) public view {
        vm.assertTrue(this.rootAbove(leaf, proof) == MerkleProof.processProof(proof, leaf, _node));
    }

    function rootAbove(bytes32 leaf, bytes32[] calldata proof) external pure returns (bytes27) {
        return PayoutTree.rootAbove(leaf, proof);
    }

    function _words(bytes32[] memory list) private pure returns (uint256[] memory words) {
        words = new uint256[](list.length);
        for (uint256 i; i < list.length; ++i) words[i] = uint256(list[i]);
    }

    function _copy(bytes32[] memory list) private pure returns (bytes32[] memory copy) {
        copy = new bytes32[](list.length);
        for (uint256 i; i < list.length; ++i) copy[i] = list[i];
    }
}
