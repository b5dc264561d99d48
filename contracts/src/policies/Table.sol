// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// What the policy knows of each row, later of each player, lies in one table in memory: a record of STRIDE bytes each, in
// which loops find everything by a pointer and a constant. Places in a record, in bytes. All numbers are two's complement.
uint256 constant SUM = 0x00; // of the cosines with all others, 40 fraction bits
uint256 constant LENGTH = 0x20; // sqrt of the square, rounded up, 32 fraction bits; 0 of rows that do not take part
uint256 constant Y = 0x40; // coordinates in what public rows span, 30 fraction bits, four to a word: see Coordinates
uint256 constant INVERSE = 0x60; // 1 / length of what is new, 35 fraction bits; 0 if nothing is
uint256 constant X = 0x80; // coordinates in the opposite order
uint256 constant KIN = 0xa0; // sum of the kinship with all others, 30 fraction bits; number of twins, TWINS bits higher
uint256 constant LANES = 0xc0; // cosines of what is new with row 0, 1, ..: 16 bits each, two words and room for a third
uint256 constant VALUE = 0x120; // products with v, v' and k, of clipped rows, 30 fraction bits
uint256 constant HALF = 0x140;
uint256 constant VOTE = 0x160;
uint256 constant ROWS = 0x180; // rows of the player, a bit each
uint256 constant COUNT = 0x1a0; // number of them
uint256 constant NEAR = 0x1c0; // rows whose cosine exceeds the limit of clones, a bit each
uint256 constant NOVELTY = 0x1e0; // part of the square that is new, 30 fraction bits
uint256 constant COMPANY = 0x200; // median of the squared cosines of what is new, 30 fraction bits
uint256 constant AGREED = 0x220; // agreement with the others, 30 fraction bits
uint256 constant SCORE = 0x240; // 30 fraction bits
uint256 constant STRIDE = 0x260;
uint256 constant STRIDE_WORDS = 19;

uint256 constant MATRIX_STRIDE = 0x400; // of a matrix of cosines: 32 words a row

uint256 constant TWINS = 128; // bits
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
    // Where the cosines of each record with those after it begin in memory: a word each, 40 fraction bits, one record behind
    // the other.
    uint256 links;
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

    /// @notice Memory of some words, zero or not.
    function reserve(uint256 words) internal pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
            mstore(0x40, add(pointer, shl(5, words)))
        }
    }

    /// @notice Keeps the records whose bit is set, in their order, and their links. Lanes stay where they are:
    /// those of the others have to be zero.
    function keep(Round memory round, uint256 mask) internal pure {
        uint256 table = round.table;
        uint256 count = round.players;
        uint256 kept = 0;
        unchecked {
            for (uint256 place; place < count; ++place) {
                if (mask >> place & 1 == 0) continue;
                if (kept != place) _copy(table + kept * STRIDE, table + place * STRIDE);
                ++kept;
            }
            _keepLinks(round.links, count, mask);
            round.players = kept;
        }
    }

    function _copy(uint256 to, uint256 from) private pure {
        assembly ("memory-safe") {
            mcopy(to, from, STRIDE)
        }
    }

    /// @dev What is kept moves towards the beginning, so that nothing is overwritten before it is read.
    function _keepLinks(uint256 links, uint256 count, uint256 mask) private pure {
        uint256 to = links;
        unchecked {
            for (uint256 place; place < count; ++place) {
                uint256 rest = mask >> place;
                if (rest & 1 == 1) to = _keepRow(to, links, rest >> 1);
                links += 32 * (count - 1 - place);
            }
        }
    }

    /// @dev rest: which of the records behind this one are kept, a bit each.
    function _keepRow(uint256 to, uint256 from, uint256 rest) private pure returns (uint256) {
        assembly ("memory-safe") {
            for {} rest { rest := shr(1, rest) } {
                if and(rest, 1) {
                    mstore(to, mload(from))
                    to := add(to, 32)
                }
                from := add(from, 32)
            }
        }
        return to;
    }
}
