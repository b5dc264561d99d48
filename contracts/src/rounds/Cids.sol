// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Cid} from "../types/Types.sol";

/// @title Cids: the one form of content identifier that the market accepts
/// @dev CIDv1 with a sha2-256 digest: 0x01, codec, 0x12, 0x20, 32 bytes. Codecs raw (0x55) and dag-pb (0x70), which is
/// what a file becomes in IPFS below and above one block. The market keeps codec and digest.
library Cids {
    function isValid(uint256 codec) internal pure returns (bool) {
        return codec == 0x55 || codec == 0x70;
    }

    /// @notice keccak256 of the 36 bytes.
    function hashOf(Cid calldata cid) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), cid.codec, bytes2(0x1220), cid.digest));
    }
}
