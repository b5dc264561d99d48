// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IGramPolicy} from "../../src/interfaces/IGramPolicy.sol";

/// @notice A policy whose words are its hints, 32 bytes each.
contract HintedPolicy is IGramPolicy {
    bytes32 public constant POLICY_HASH = keccak256("hinted policy");

    function judge(uint256, uint256, uint256, uint256, bytes calldata, bytes calldata hints)
        external
        pure
        virtual
        returns (uint256[] memory words)
    {
        words = new uint256[](hints.length / 32);
        for (uint256 i; i < words.length; ++i) words[i] = uint256(bytes32(hints[32 * i:32 * i + 32]));
    }
}
