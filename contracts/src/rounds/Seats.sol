// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CommitLeaf, Opening} from "../types/Types.sol";

/// @title Seats: hashes of commitments, and where a member stands in a batch
library Seats {
    /// @dev keccak256 of the structure that a commitment hashes.
    bytes32 internal constant COMMITMENT_TYPEHASH = keccak256(
        "CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round,"
        "uint32 member,bytes32 update,uint8 codec,bytes32 digest,bytes32 salt)"
    );

    /// @notice No leaf.
    uint256 internal constant NONE = 255;

    /// @notice What a trainer commits to: bound to chain, market, project, round and member, so that a copied commitment
    /// can be opened by nobody else, and to the CID, so that nobody can have a good update fetched from a wrong place.
    function commitmentOf(uint256 project, uint32 round, Opening calldata o) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                COMMITMENT_TYPEHASH,
                block.chainid,
                address(this),
                project,
                round,
                o.member,
                o.update,
                o.cid.codec,
                o.cid.digest,
                o.salt
            )
        );
    }

    /// @notice keccak256 of the leaves, two words each. The caller reads every member as a uint32, which refuses dirty
    /// upper bits, before it relies on the hash.
    function hashOf(CommitLeaf[] calldata leaves) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let bytes_ := mul(leaves.length, 64)
            let free := mload(0x40)
            calldatacopy(free, leaves.offset, bytes_)
            digest := keccak256(free, bytes_)
        }
    }

    /// @notice Position of `member` in a batch that is sorted by member, or NONE.
    function find(CommitLeaf[] calldata leaves, uint256 member) internal pure returns (uint256) {
        uint256 low;
        uint256 high = leaves.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (leaves[middle].member < member) low = middle + 1;
            else high = middle;
        }
        return low < leaves.length && leaves[low].member == member ? low : NONE;
    }

    /// @notice keccak256 of (member, update, codec, digest) of each opening, a word each.
    function openingsHash(Opening[] calldata openings) internal pure returns (bytes32 digest) {
        uint256 count = openings.length;
        bytes32[] memory words = new bytes32[](4 * count);
        for (uint256 i; i < count; ++i) {
            Opening calldata o = openings[i];
            words[4 * i] = bytes32(uint256(o.member));
            words[4 * i + 1] = o.update;
            words[4 * i + 2] = bytes32(uint256(o.cid.codec));
            words[4 * i + 3] = o.cid.digest;
        }
        return keccak256(abi.encodePacked(words)); // array elements are whole words: no ambiguity
    }
}
