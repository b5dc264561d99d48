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
        // slither-disable-next-line uninitialized-local (search begins at the first leaf)
        uint256 low;
        uint256 high = leaves.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (leaves[middle].member < member) low = middle + 1;
            else high = middle;
        }
        return low < leaves.length && leaves[low].member == member ? low : NONE;
    }

    /// @notice keccak256 of (member, update, codec, digest) of each opening, a word each. The caller reads every member and
    /// codec, which refuses dirty upper bits, before it relies on the hash.
    function openingsHash(Opening[] calldata openings) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            let to := mload(0x40)
            let from := openings.offset
            let bytes_ := mul(openings.length, 128)
            for { let end := add(to, bytes_) } lt(to, end) { to := add(to, 128) } {
                calldatacopy(to, from, 128) // the first four of an opening's five words
                from := add(from, 160)
            }
            digest := keccak256(mload(0x40), bytes_)
        }
    }

    /// @notice The words of a commitment that are the same for all openings of a round.
    function frame(uint256 project, uint256 round) internal view returns (uint256[10] memory words) {
        words[0] = uint256(COMMITMENT_TYPEHASH);
        words[1] = block.chainid;
        words[2] = uint256(uint160(address(this)));
        words[3] = project;
        words[4] = round;
    }

    /// @notice commitmentOf, for one opening after another. An opening's five words lie in calldata as they are hashed; the caller
    /// has read member and codec, which refuses dirty upper bits.
    function commitmentIn(uint256[10] memory words, Opening calldata o) internal pure returns (bytes32 digest) {
        assembly ("memory-safe") {
            calldatacopy(add(words, 160), o, 160)
            digest := keccak256(words, 320)
        }
    }
}
