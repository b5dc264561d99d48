// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// What the policy knows of each row, later of each player, lies in one table in memory: a record of STRIDE bytes each, in
// which loops find everything by a pointer and a constant. Places in a record, in bytes. All numbers are two's complement.
uint256 constant SUM = 0x00; // of the cosines with all others, 40 fraction bits
uint256 constant LENGTH = 0x20; // sqrt of the square, rounded up, 32 fraction bits
// Coordinates in what public rows span (40 fraction bits each), three to a word, see Coordinates.
uint256 constant X1 = 0x40;
uint256 constant X2 = 0x60;
uint256 constant Y1 = 0x80;
uint256 constant Y2 = 0xa0;
uint256 constant INVERSE = 0xc0; // 1 / length of what is new, 35 fraction bits; 0 if nothing is
uint256 constant KIN = 0xe0; // sum of the kinship with all others, 30 fraction bits
uint256 constant LANES = 0x100; // cosines of what is new with player 0, 1, ..: 16 bits each, two words and room for a third
uint256 constant VALUE = 0x160; // products with v, v' and k, of clipped rows, 30 fraction bits
uint256 constant HALF = 0x180;
uint256 constant VOTE = 0x1a0;
uint256 constant ROWS = 0x1c0; // rows of the player, a bit each
uint256 constant COUNT = 0x1e0; // number of them
uint256 constant NEAR = 0x200; // rows whose cosine exceeds the limit of clones, a bit each
uint256 constant NOVELTY = 0x220; // part of the square that is new, 30 fraction bits
uint256 constant COMPANY = 0x240; // median of the squared cosines of what is new, 30 fraction bits
uint256 constant AGREED = 0x260; // agreement with the others, 30 fraction bits
uint256 constant SCORE = 0x280; // 30 fraction bits
// Cosines with row 0, 1, .. 31, a word each, 40 fraction bits. Those with the rows before it are in every record, all of them only
// after `Cosines.mirror`.
uint256 constant COSINES = 0x2a0;
uint256 constant STRIDE = 0x6a0;
uint256 constant STRIDE_WORDS = 53;

uint256 constant UNIT = 0x10000000000; // 1.0 of cosines: 2^40
uint256 constant NOTHING = 0x100000; // a square below this part of it is nothing but rounding: 2^20
uint256 constant ONE = 0x40000000; // 1.0 of scores: 2^30
uint256 constant BASIS = 10_000; // basis points

/// @title Round: a round while it is judged, and its table
struct Round {
    uint256 n; // updates
    uint256 basis; // past steps and u0
    uint256 publicRows; // p
    uint256 values; // 0 or 3
    uint256 gram; // where its bytes begin in calldata
    uint256 hints; // where its hints begin in calldata
    uint256 table; // where the table begins in memory: one record per row, later per player
    uint256 players; // records in use
    uint256 clips; // where the clips of the rows begin in memory, a word each, 30 fraction bits
    bool mirrored; // whether records have the cosines with the rows after them, too
}

/// @title Table: records by place and members by name
library Table {
    function at(Round memory round, uint256 place) internal pure returns (uint256 record) {
        unchecked {
            record = round.table + place * STRIDE;
        }
    }

    function get(uint256 record, uint256 member) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(record, member))
        }
    }

    function getSigned(uint256 record, uint256 member) internal pure returns (int256 value) {
        assembly ("memory-safe") {
            value := mload(add(record, member))
        }
    }

    function set(uint256 record, uint256 member, uint256 value) internal pure {
        assembly ("memory-safe") {
            mstore(add(record, member), value)
        }
    }

    function setSigned(uint256 record, uint256 member, int256 value) internal pure {
        assembly ("memory-safe") {
            mstore(add(record, member), value)
        }
    }

    /// @notice Where the cosine with the row or player at a place stands in every record.
    function column(uint256 place) internal pure returns (uint256) {
        unchecked {
            return COSINES + 32 * place;
        }
    }

    /// @notice Memory of some words, zero or not.
    function reserve(uint256 words) internal pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, shl(5, words)))
        }
    }

    /// @notice A record of zeros.
    function clear(uint256 record) internal pure {
        assembly ("memory-safe") {
            calldatacopy(record, calldatasize(), STRIDE)
        }
    }

    /// @notice Keeps the records whose bit is set, in their order, and their columns, with zeros behind.
    function keep(Round memory round, uint256 mask) internal pure {
        uint256 table = round.table;
        uint256 count = round.players;
        uint256 kept = 0;
        uint256 sources = reserve(32);
        unchecked {
            for (uint256 place; place < count; ++place) {
                if (mask >> place & 1 == 0) continue;
                if (kept != place) _copy(table + kept * STRIDE, table + place * STRIDE);
                set(sources, 32 * kept, column(place));
                ++kept;
            }
            for (uint256 place; place < kept; ++place) _keepColumns(table + place * STRIDE, sources, kept);
        }
        round.players = kept;
        clear(table + kept * STRIDE);
    }

    function _copy(uint256 to, uint256 from) private pure {
        assembly ("memory-safe") {
            mcopy(to, from, STRIDE)
        }
    }

    /// @dev Sources increase and are nowhere before their target, so that none is overwritten before it is read.
    function _keepColumns(uint256 record, uint256 sources, uint256 count) private pure {
        assembly ("memory-safe") {
            let to := add(record, COSINES)
            for { let end := add(sources, shl(5, count)) } lt(sources, end) { sources := add(sources, 32) } {
                mstore(to, mload(add(record, mload(sources))))
                to := add(to, 32)
            }
        }
    }
}
