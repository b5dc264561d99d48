// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Cid} from "../../src/types/Types.sol";

/// @notice What trainer i sends in a round of a test.
abstract contract Contents {
    function _update(uint256 project, uint32 round, uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode("update", project, round, i));
    }

    function _salt(uint256 project, uint32 round, uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", project, round, i));
    }

    function _cid(bytes32 update) internal pure returns (Cid memory) {
        return Cid(0x55, keccak256(abi.encode("cid", update)));
    }

    /// @dev The 36 bytes of a CID.
    function _cidBytes(Cid memory cid) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), cid.codec, uint8(0x12), uint8(0x20), cid.digest);
    }
}
