// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Admission, Cid} from "../../src/types/Types.sol";

/// @notice One entry of a batch of commitments.
struct CommitLeaf {
    uint32 member;
    bytes32 commitment;
}

/// @notice The consent to one entry of a batch, compact (EIP-2098).
struct CommitSignature {
    bytes32 r;
    bytes32 vs;
}

/// @notice What opens a commitment.
struct Opening {
    uint32 member;
    bytes32 update;
    Cid cid;
    bytes32 salt;
}

/// @notice An admitted update. `codec` and `digest` of its CID are there because the chain of rows binds them.
struct Row {
    uint32 member;
    bytes32 update;
    Cid cid;
}

/// @notice A claim on one round.
struct ClaimItem {
    uint32 round;
    uint8 row;
    uint112 amount;
    bytes32[] proof;
}

/// @notice The byte strings that the market takes, made from lists that tests can change.
library Packed {
    function leaves(CommitLeaf[] memory list) internal pure returns (bytes memory packed) {
        for (uint256 i; i < list.length; ++i) {
            packed = bytes.concat(packed, abi.encodePacked(list[i].member, list[i].commitment));
        }
    }

    function signatures(CommitSignature[] memory list) internal pure returns (bytes memory packed) {
        for (uint256 i; i < list.length; ++i) packed = bytes.concat(packed, list[i].r, list[i].vs);
    }

    function rows(Opening[] memory list) internal pure returns (bytes memory packed) {
        for (uint256 i; i < list.length; ++i) {
            packed = bytes.concat(
                packed,
                abi.encodePacked(list[i].member, list[i].cid.codec, list[i].update, list[i].cid.digest)
            );
        }
    }

    function salts(Opening[] memory list) internal pure returns (bytes32[] memory packed) {
        packed = new bytes32[](list.length);
        for (uint256 i; i < list.length; ++i) packed[i] = list[i].salt;
    }

    function members(Row[] memory list) internal pure returns (bytes memory packed) {
        for (uint256 i; i < list.length; ++i) packed = bytes.concat(packed, abi.encodePacked(list[i].member));
    }

    function rows(Row[] memory list) internal pure returns (bytes memory packed) {
        for (uint256 i; i < list.length; ++i) {
            packed = bytes.concat(
                packed,
                abi.encodePacked(list[i].member, list[i].cid.codec, list[i].update, list[i].cid.digest)
            );
        }
    }

    /// @dev Of one call of `reveal`.
    function admission(Row[] memory list) internal pure returns (Admission memory) {
        return Admission(members(list), keccak256(rows(list)));
    }

    /// @dev As if one call had admitted all of them; none if there are none.
    function admissions(Row[] memory list) internal pure returns (Admission[] memory one) {
        one = new Admission[](list.length == 0 ? 0 : 1);
        if (list.length != 0) one[0] = admission(list);
    }

    /// @dev The chain over admissions, as the market keeps it.
    function chain(Admission[] memory list) internal pure returns (bytes32 link) {
        for (uint256 i; i < list.length; ++i) {
            link = keccak256(abi.encode(link, keccak256(list[i].members), list[i].rows));
        }
    }

    function items(ClaimItem[] memory list) internal pure returns (uint256[] memory words) {
        words = new uint256[](list.length);
        for (uint256 i; i < list.length; ++i) {
            words[i] = list[i].proof.length << 152 | uint256(list[i].round) << 120 | uint256(list[i].row) << 112
                | list[i].amount;
        }
    }

    function proofs(ClaimItem[] memory list) internal pure returns (bytes32[] memory nodes) {
        uint256 length;
        for (uint256 i; i < list.length; ++i) length += list[i].proof.length;
        nodes = new bytes32[](length);
        uint256 at;
        for (uint256 i; i < list.length; ++i) {
            for (uint256 j; j < list[i].proof.length; ++j) nodes[at++] = list[i].proof[j];
        }
    }
}
