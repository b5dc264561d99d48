// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {PayoutTree} from "../../src/payouts/PayoutTree.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract PayoutTreeTest is MarketFixture {
    function setUp() public override {}

    /// @dev By a proof made independently, which proves nothing else.
    function test_RootOf_WhenATreeHasAnySize() public pure {
        for (uint256 n = 1; n <= 32; ++n) {
            bytes32[] memory leaves = new bytes32[](n);
            for (uint256 i; i < n; ++i) leaves[i] = keccak256(abi.encode(n, i));
            bytes27 root = PayoutTree.rootOf(_copy(leaves));
            for (uint256 i; i < n; ++i) {
                bytes32[] memory proof = _proof(_copy(leaves), i);
                vm.assertTrue(bytes27(MerkleProof.processProof(proof, leaves[i])) == root);
                vm.assertFalse(bytes27(MerkleProof.processProof(proof, keccak256(abi.encode(leaves[i])))) == root);
            }
        }
    }

    function test_RootOf_WhenANodeIsOdd() public pure {
        bytes32[] memory leaves = new bytes32[](3);
        for (uint256 i; i < 3; ++i) leaves[i] = bytes32(i + 1);
        bytes32 root = _pair(_pair(bytes32(uint256(1)), bytes32(uint256(2))), bytes32(uint256(3)));
        vm.assertTrue(PayoutTree.rootOf(leaves) == bytes27(root));
    }

    function testFuzz_LeafOf_WhenAnyRow(uint256 p, uint32 r, uint8 row, uint32 member, uint256 amount) public pure {
        vm.assertEq(
            PayoutTree.leafOf(p, r, row, member, amount),
            keccak256(abi.encode(keccak256(abi.encode(p, r, row, member, amount))))
        );
    }

    function testFuzz_LeavesOf_WhenAnyRows(uint256 p, uint32 r, uint256 seed, uint8 count) public pure {
        uint256 n = count % 33;
        uint256[] memory members = new uint256[](n);
        uint256[] memory amounts = new uint256[](n);
        for (uint256 i; i < n; ++i) {
            members[i] = uint32(uint256(keccak256(abi.encode(seed, i))));
            amounts[i] = uint112(uint256(keccak256(abi.encode(i, seed))));
        }
        bytes32[] memory leaves = PayoutTree.leavesOf(p, r, members, amounts);
        for (uint256 i; i < n; ++i) {
            vm.assertEq(leaves[i], keccak256(abi.encode(keccak256(abi.encode(p, r, i, members[i], amounts[i])))));
        }
    }

    function _copy(bytes32[] memory list) private pure returns (bytes32[] memory copy) {
        copy = new bytes32[](list.length);
        for (uint256 i; i < list.length; ++i) copy[i] = list[i];
    }
}
