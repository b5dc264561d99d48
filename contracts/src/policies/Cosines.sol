// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IDefaultPolicy} from "../interfaces/IDefaultPolicy.sol";
import {Medians} from "./Medians.sol";
import {Roots} from "./Roots.sol";
import {BASIS, COUNT, LENGTH, ONE, ROWS, Round, STRIDE, STRIDE_WORDS, Table} from "./Table.sol";

/// @title Cosines: the lengths of rows, which rows take part, and where entries of G lie
/// @notice Lengths have 32 fraction bits and are rounded up, so that no cosine reaches 1 (Cauchy and Schwarz). An entry of two updates is below 2^55, of an update and a public row below 2^71, of two public rows below 2^87, so
/// that a length is below 2^76 and an entry with 104 fraction bits below 2^191.
library Cosines {
    using Table for Round;

    uint256 internal constant UPDATE_BYTES = 7; // of an entry of two updates
    uint256 internal constant ACROSS_BYTES = 9; // of an update and a public row
    uint256 internal constant PUBLIC_BYTES = 11; // of two public rows
    uint256 private constant LENGTH_BITS = 32;
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

    /// @notice sqrt of the square of a public row, which stands at `place` in calldata, with 32 fraction bits, the next number above
    /// it; 0 of 0.
    function lengthAt(uint256 place, uint256 row) internal pure returns (uint256) {
        uint256 square;
        unchecked {
            assembly ("memory-safe") {
                square := shr(168, calldataload(place))
            }
            if (square >> 87 != 0) revert IDefaultPolicy.SquareNegative(row);
            return square == 0 ? 0 : Roots.floorOf(square << 2 * LENGTH_BITS) + 1;
        }
    }

    /// @notice A record for every row, with its length. Memory that nobody has used yet is zero, and nobody
    /// has: this comes first.
    function begin(Round memory round) internal pure {
        uint256 n = round.n;
        round.players = n;
        unchecked {
            uint256 record = Table.reserve(n * STRIDE_WORDS);
            round.table = record;
            round.clips = Table.reserve(n);
            uint256 place = round.gram;
            uint256 step = rowBytes(round, 0); // a row has one entry less than the one before
            for (uint256 row; row < n; ++row) {
                uint256 square;
                assembly ("memory-safe") {
                    square := shr(200, calldataload(place))
                }
                if (square >> 55 != 0) revert IDefaultPolicy.SquareNegative(row);
                uint256 length = Roots.floorOf128(square << 2 * LENGTH_BITS);
                uint256 rows = 1 << row;
                assembly ("memory-safe") {
                    mstore(add(record, LENGTH), add(length, iszero(iszero(square))))
                    mstore(add(record, ROWS), rows)
                    mstore(add(record, COUNT), 1)
                }
                place += step;
                step -= UPDATE_BYTES;
                record += STRIDE;
            }
        }
    }

    /// @notice Clips lengths to twice the median of those that are not zero.
    /// @return playing rows of at least a twentieth of it, a bit each; the others have no length any more.
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
                let plays := gt(iszero(lt(mul(length, BASIS), least)), iszero(length))
                playing := or(playing, shl(row, plays))
                mstore(record, mul(length, plays))
                clips := add(clips, 32)
                record := add(record, STRIDE)
            }
        }
    }
}
