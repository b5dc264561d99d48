// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStanding} from "../interfaces/IStanding.sol";

/// @title RecordCell: a member's record in 64 bits, four to a slot
/// @notice From the lowest bit: credit 24, usefulness 16, rounds 16, rejections 7, and a bit that is set as soon as the member
/// has a number, so that no settlement has to write a fresh slot. Every count stops at its maximum. Members whose numbers
/// lie together share a slot, which makes a settlement cheap.
library RecordCell {
    uint256 internal constant CELLS = 4; // to a slot
    uint256 internal constant BITS = 64;
    uint256 internal constant MASK = type(uint64).max;
    uint256 internal constant MOST_REJECTIONS = 127;
    uint256 internal constant KNOWN = 1 << 63;

    function unpack(uint256 record) internal pure returns (IStanding.Record memory) {
        return IStanding.Record({
            credit: uint24(record),
            usefulness: uint16(record >> 24),
            rounds: uint16(record >> 40),
            rejections: uint8(record >> 56 & MOST_REJECTIONS)
        });
    }

    /// @notice Number of the slot that has a member's record. Members are numbered from 1.
    function cellOf(uint256 member) internal pure returns (uint256) {
        unchecked {
            return (member - 1) / CELLS;
        }
    }

    function get(uint256 slot, uint256 member) internal pure returns (uint256) {
        return slot >> _shiftOf(member) & MASK;
    }

    function set(uint256 slot, uint256 member, uint256 record) internal pure returns (uint256) {
        uint256 shift = _shiftOf(member);
        return slot & ~(MASK << shift) | record << shift;
    }

    function _shiftOf(uint256 member) private pure returns (uint256) {
        unchecked {
            return (member - 1) % CELLS * BITS;
        }
    }
}
