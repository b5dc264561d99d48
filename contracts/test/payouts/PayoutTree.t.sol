// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {PayoutTree} from "../../src/payouts/PayoutTree.sol";
import {MarketFixture} from "../support/MarketFixture.sol";

contract PayoutTreeTest is MarketFixture {
    function setUp() public override {}

    /// @dev By a proof made independently, which proves nothing else.
    function test_EveryLeafOfEverySizeIsProven() public pure {
        for (uint256 n = 1; n <= 32; ++n) {
            bytes32[] memory leaves = new bytes32[](n);
            for (uint256 i; i < n; ++i) leaves[i] = keccak256(abi.encode(n, i));
            bytes32 root = PayoutTree.rootOf(_copy(leaves));
            for (uint256 i; i < n; ++i) {
                bytes32[] memory proof = _proof(_copy(leaves), i);
                vm.assertTrue(MerkleProof.verify(proof, root, leaves[i]));
                vm.assertFalse(MerkleProof.verify(proof, root, keccak256(abi.encode(leaves[i]))));
            }
        }
    }

    function test_OddNodesMoveUp() public pure {
        bytes32[] memory leaves = new bytes32[](3);
        for (uint256 i; i < 3; ++i) leaves[i] = bytes32(i + 1);
        vm.assertEq(
            PayoutTree.rootOf(_copy(leaves)), _pair(_pair(bytes32(uint256(1)), bytes32(uint256(2))), bytes32(uint256(3)))
        );
    }

    function testFuzz_Leaf(uint256 project, uint32 round, uint8 row, address trainer, uint256 amount) public pure {
        vm.assertEq(
            PayoutTree.leafOf(project, round, row, trainer, amount),
            keccak256(abi.encode(keccak256(abi.encode(project, round, row, trainer, amount))))
        );
    }

    function _copy(bytes32[] memory list) private pure returns (bytes32[] memory copy) {
        copy = new bytes32[](list.length);
        for (uint256 i; i < list.length; ++i) copy[i] = list[i];
    }
}
