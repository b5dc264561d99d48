// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Cids: the one form of content identifier that the market accepts
/// @dev CIDv1 with a sha2-256 digest: 0x01, codec, 0x12, 0x20, 32 bytes. Codecs raw (0x55) and dag-pb (0x70), which is
/// what a file becomes in IPFS below and above one block.
library Cids {
    function isCid(bytes calldata cid) internal pure returns (bool) {
        return cid.length == 36 && cid[0] == 0x01 && (cid[1] == 0x55 || cid[1] == 0x70) && cid[2] == 0x12
            && cid[3] == 0x20;
    }
}
