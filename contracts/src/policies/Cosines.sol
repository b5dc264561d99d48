// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IDefaultPolicy} from "../interfaces/IDefaultPolicy.sol";
import {Medians} from "./Medians.sol";
import {Roots} from "./Roots.sol";
import {
    BASIS, COSINES, COUNT, KIN, LANES, LENGTH, NEAR, ONE, ROWS, Round, STRIDE, STRIDE_WORDS, SUM, Table, UNIT
} from "./Table.sol";

/// @title Cosines: rows at unit length
/// @notice W_ab = <a, b> / (|a| |b|) with 40 fraction bits, towards zero, from lengths with 32, rounded up, so that |W| < 1 (Cauchy
/// and Schwarz). An entry of two updates is below 2^55, of an update and a public row below 2^71, of two public rows below 2^87, so
/// that a length is below 2^76 and an entry with 104 fraction bits below 2^191.
library Cosines {
    using Table for Round;

    uint256 internal constant UPDATE_BYTES = 7; // of an entry of two updates
    uint256 internal constant ACROSS_BYTES = 9; // of an update and a public row
    uint256 internal constant PUBLIC_BYTES = 11; // of two public rows
    uint256 private constant LENGTH_BITS = 32;
    uint256 private constant CLONE_LIMIT = 989560464998; // floor(0.9 * 2^40): rows nearer than that are one player
    uint256 private constant CLIP = 2; // times the median length
    uint256 private constant MIN_BPS = 500; // of the median length

    /// @notice Bytes of the upper triangle, diagonal included.
    function bytesOf(uint256 n, uint256 publicRows) internal pure returns (uint256) {
        unchecked {
            return (UPDATE_BYTES * n * (n + 1) + PUBLIC_BYTES * publicRows * (publicRows + 1)) / 2
                + ACROSS_BYTES * n * publicRows;
        }
    }

    /// @notice Bytes of the part of a row that begins at its diagonal.
    function rowBytes(Round memory round, uint256 row) internal pure returns (uint256) {
        unchecked {
            return UPDATE_BYTES * (round.n - row) + ACROSS_BYTES * round.publicRows;
        }
    }

    /// @notice sqrt(square) with 32 fraction bits, the next number above it; 0 of 0. The square is a signed number of `size` bytes at
    /// `place` in calldata.
    function lengthAt(uint256 place, uint256 size, uint256 row) internal pure returns (uint256) {
        uint256 square;
        unchecked {
            assembly ("memory-safe") {
                square := shr(sub(256, shl(3, size)), calldataload(place))
            }
            if (square >> (8 * size - 1) != 0) revert IDefaultPolicy.SquareNegative(row);
            return square == 0 ? 0 : Roots.floorOf(square << 2 * LENGTH_BITS) + 1;
        }
    }

    /// @notice A record for every row, with its length, and one of zeros behind.
    function begin(Round memory round) internal pure {
        uint256 n = round.n;
        round.players = n;
        unchecked {
            round.table = Table.reserve((n + 1) * STRIDE_WORDS);
            round.clips = Table.reserve(n);
            uint256 place = round.gram;
            uint256 record = round.table;
            uint256 step = rowBytes(round, 0); // a row has one entry less than the one before
            for (uint256 row; row < n; ++row) {
                uint256 length = lengthAt(place, UPDATE_BYTES, row);
                uint256 rows = 1 << row;
                assembly ("memory-safe") {
                    mstore(record, 0) // SUM
                    mstore(add(record, LENGTH), length)
                    mstore(add(record, KIN), 0)
                    mstore(add(record, LANES), 0)
                    mstore(add(record, 0x120), 0) // the second word of lanes
                    mstore(add(record, ROWS), rows)
                    mstore(add(record, COUNT), 1)
                }
                place += step;
                step -= UPDATE_BYTES;
                record += STRIDE;
            }
            Table.clear(record);
        }
    }

    /// @notice Clips lengths to twice the median of those that are not zero.
    /// @return playing rows of at least a twentieth of it, a bit each.
    function clip(Round memory round, uint256 hint) internal pure returns (uint256 playing) {
        uint256 n = round.n;
        uint256 middle = Medians.middle(Medians.LENGTHS, round.table + LENGTH, n, true, hint);
        uint256 clips = round.clips;
        uint256 record = round.table + LENGTH;
        // Clips to twice the median; the products below are below 2^(1 + 76 + 30).
        assembly ("memory-safe") {
            let most := mul(mul(CLIP, middle), ONE)
            let least := mul(MIN_BPS, middle)
            for { let row := 0 } lt(row, n) { row := add(row, 1) } {
                let length := mload(record)
                let factor := div(most, length) // 0 of 0
                if gt(factor, ONE) { factor := ONE }
                mstore(clips, factor)
                // Long enough, and not zero.
                playing := or(playing, shl(row, gt(iszero(lt(mul(length, BASIS), least)), iszero(length))))
                clips := add(clips, 32)
                record := add(record, STRIDE)
            }
        }
    }

    /// @notice Cosines of all pairs, in the record of the later row, and their sums. A row of zeros has cosines of zero.
    /// @return near whether any two rows are nearly the same.
    function fill(Round memory round) internal pure returns (bool near) {
        uint256 end = round.at(round.n);
        uint256 place = round.gram + UPDATE_BYTES;
        uint256 record = round.table;
        uint256 column = Table.column(0);
        uint256 step = rowBytes(round, 0);
        // slither-disable-next-line uninitialized-local (nobody so far)
        int256 signs;
        unchecked {
            for (; record < end; record += STRIDE) {
                signs |= _fillRow(record, end, place, column);
                place += step;
                step -= UPDATE_BYTES;
                column += 32;
            }
        }
        return signs < 0;
    }

    /// @dev Cosines of one row with those after it. column: where records keep the cosine with it.
    /// @return signs negative if one of them exceeds the limit.
    function _fillRow(uint256 record, uint256 end, uint256 place, uint256 column) private pure returns (int256 signs) {
        assembly ("memory-safe") {
            let length := mload(add(record, LENGTH))
            let sum := mload(record)
            // 7 bytes, signed. Division by zero is zero. Two at a time: the record of zeros behind the last one has no length.
            for { let other := add(record, STRIDE) } lt(other, end) {} {
                let w := sdiv(shl(104, sar(200, calldataload(place))), mul(length, mload(add(other, LENGTH))))
                mstore(add(other, column), w)
                mstore(other, add(mload(other), w))
                sum := add(sum, w)
                signs := or(signs, sub(CLONE_LIMIT, w))
                other := add(other, STRIDE)
                w := sdiv(shl(104, sar(200, calldataload(add(place, 7)))), mul(length, mload(add(other, LENGTH))))
                mstore(add(other, column), w)
                mstore(other, add(mload(other), w))
                sum := add(sum, w)
                signs := or(signs, sub(CLONE_LIMIT, w))
                place := add(place, 14)
                other := add(other, STRIDE)
            }
            mstore(record, sum)
        }
    }

    /// @notice Who is near to whom, themselves among them.
    function findNear(Round memory round) internal pure {
        uint256 n = round.n;
        unchecked {
            for (uint256 row; row < n; ++row) Table.set(round.at(row), NEAR, 1 << row);
            for (uint256 row; row < n; ++row) {
                uint256 record = round.at(row);
                for (uint256 other; other < row; ++other) {
                    if (Table.getSigned(record, Table.column(other)) <= int256(CLONE_LIMIT)) continue;
                    Table.set(record, NEAR, Table.get(record, NEAR) | 1 << other);
                    Table.set(round.at(other), NEAR, Table.get(round.at(other), NEAR) | 1 << row);
                }
            }
        }
    }

    /// @notice Gives every record the cosines with the rows after it and with itself, for those who read them that way.
    function mirror(Round memory round) internal pure {
        if (round.mirrored) return;
        round.mirrored = true;
        uint256 count = round.players;
        uint256 table = round.table;
        assembly ("memory-safe") {
            let column := COSINES
            for { let record := table } count { count := sub(count, 1) } {
                mstore(add(record, column), UNIT)
                let from := add(record, COSINES)
                for { let other := table } lt(other, record) { other := add(other, STRIDE) } {
                    mstore(add(other, column), mload(from))
                    from := add(from, 32)
                }
                column := add(column, 32)
                record := add(record, STRIDE)
            }
        }
    }
}
