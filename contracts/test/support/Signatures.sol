// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CheatCodes} from "./Vm.sol";

/// @notice Accounts whose keys are known, and typed data with its signatures, from the strings of EIP-712.
abstract contract Signatures is CheatCodes {
    /// @dev `count` accounts, increasing, with their keys.
    function _people(uint256 firstKey, uint256 count) internal pure returns (uint256[] memory keys, address[] memory who) {
        keys = new uint256[](count);
        who = new address[](count);
        for (uint256 i; i < count; ++i) {
            uint256 key = firstKey + i;
            address account = vm.addr(key);
            uint256 at = i;
            for (; at > 0 && who[at - 1] > account; --at) {
                keys[at] = keys[at - 1];
                who[at] = who[at - 1];
            }
            keys[at] = key;
            who[at] = account;
        }
    }

    function _digest(string memory domain, address contract_, bytes32 struct_) internal view returns (bytes32) {
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(domain)),
                keccak256("1"),
                block.chainid,
                contract_
            )
        );
        return keccak256(abi.encodePacked(hex"1901", separator, struct_));
    }

    function _signature(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev r and vs of EIP-2098.
    function _compact(uint256 key, bytes32 digest) internal pure returns (bytes32 r, bytes32 vs) {
        uint8 v;
        (v, r, vs) = vm.sign(key, digest);
        if (v == 28) vs |= bytes32(uint256(1) << 255);
    }
}
