// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRounds} from "../interfaces/IRounds.sol";
import {ISettlement} from "../interfaces/ISettlement.sol";
import {Admission} from "../types/Types.sol";

/// @title Rows: what a commitment opens to, 69 bytes each: member (4), codec (1), update (32), digest of the CID (32)
/// @notice The same bytes everywhere: trainers commit to them (with a salt), witnesses sign their hash, UpdatesAdmitted publishes those
/// that were admitted, and the chain that a settlement has to match is made of them.
library Rows {
    uint256 internal constant BYTES = 69;
    uint256 internal constant MOST = 32; // bits of a receipt

    /// @dev keccak256 of the structure that begins a commitment.
    bytes32 internal constant COMMITMENT_TYPEHASH =
        keccak256("CohortCommitment(uint256 chainId,address market,uint256 project,uint32 round)");

    /// @dev Reverts unless there is a whole number of rows, 1 to MOST, with a salt for each.
    function count(bytes calldata rows, bytes32[] calldata salts) internal pure returns (uint256 found) {
        if (rows.length % BYTES != 0) revert IRounds.RowsMalformed(rows.length);
        found = rows.length / BYTES;
        if (found == 0) revert IRounds.NoOpenings();
        if (found > MOST) revert IRounds.TooManyOpenings(found, MOST);
        if (salts.length != found) revert IRounds.SaltsMismatch(salts.length, found);
    }

    /// @notice Where the first row and the first salt lie in calldata. The rows are BYTES apart, the salts 32.
    function start(bytes calldata rows, bytes32[] calldata salts) internal pure returns (uint256 row, uint256 salt) {
        assembly ("memory-safe") {
            row := rows.offset
            salt := salts.offset
        }
    }

    /// @dev Of the row at `at` in calldata, which must be one, as below.
    function memberAt(uint256 at) internal pure returns (uint256 member) {
        assembly ("memory-safe") {
            member := shr(224, calldataload(at))
        }
    }

    function codecAt(uint256 at) internal pure returns (uint256 codec) {
        assembly ("memory-safe") {
            codec := byte(4, calldataload(at))
        }
    }

    function updateAt(uint256 at) internal pure returns (bytes32 update) {
        assembly ("memory-safe") {
            update := calldataload(add(at, 5))
        }
    }

    /// @notice What a trainer commits to: keccak256(domain, row, salt). Bound to chain, market, project, round and member, so that a
    /// copied commitment can be opened by nobody else, and to the CID, so that nobody can have a good update fetched from a
    /// wrong place. All parts have a fixed length.
    /// @param scratch 160 bytes of memory that begin with the round's domain, see `domainOf`.
    function commitmentAt(uint256 at, uint256 salt, uint256 scratch) internal pure returns (bytes32 commitment) {
        assembly ("memory-safe") {
            calldatacopy(add(scratch, 32), at, 69)
            calldatacopy(add(scratch, 101), salt, 32)
            commitment := keccak256(scratch, 133)
        }
    }

    function domainOf(uint256 project, uint256 round) internal view returns (bytes32) {
        return keccak256(abi.encode(COMMITMENT_TYPEHASH, block.chainid, address(this), project, round));
    }

    /// @notice The chain over admitted rows after one more call of `reveal`.
    /// @param members of the rows that it admitted, 4 bytes each; `rows`: keccak256 of those rows.
    function link(bytes32 previous, bytes32 members, bytes32 rows) internal pure returns (bytes32 next) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, previous)
            mstore(add(free, 32), members)
            mstore(add(free, 64), rows)
            next := keccak256(free, 96)
        }
    }

    /// @notice Members of all admitted rows, if `admissions` are the ones that the chain `stored` is made of.
    /// @param length n, as the market counted.
    function membersOf(Admission[] calldata admissions, uint256 length, bytes32 stored)
        internal
        pure
        returns (uint256[] memory members)
    {
        members = new uint256[](length);
        bytes32 found;
        uint256 filled;
        for (uint256 i; i < admissions.length; ++i) {
            bytes calldata packed = admissions[i].members;
            found = link(found, keccak256(packed), admissions[i].rows);
            unchecked {
                uint256 until = filled + packed.length / 4;
                // More than were admitted cannot be right, and must not be written beyond the array.
                if (until > length) revert ISettlement.RowsMismatch(found, stored);
                assembly ("memory-safe") {
                    let from := packed.offset
                    let end := add(members, mul(add(until, 1), 32))
                    for { let to := add(members, mul(add(filled, 1), 32)) } lt(to, end) { to := add(to, 32) } {
                        mstore(to, shr(224, calldataload(from)))
                        from := add(from, 4)
                    }
                }
                filled = until;
            }
        }
        if (found != stored || filled != length) revert ISettlement.RowsMismatch(found, stored);
    }
}
