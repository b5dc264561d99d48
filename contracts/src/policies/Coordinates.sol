// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Cosines} from "./Cosines.sol";
import {Roots} from "./Roots.sol";
import {INVERSE, LENGTH, NOTHING, NOVELTY, Round, STRIDE, Table, UNIT, X, Y} from "./Table.sol";

/// @title Coordinates: what of a row lies in the span of the past steps and u0
/// @notice q_k is the inner product of a row at unit length with the k-th of at most four orthonormal rows that public rows give
/// one after the other (Cholesky), within -1 .. 1.
///
/// They are found with 40 fraction bits. What public rows have of those before them, three numbers at most, is kept in one word:
/// X has them at bits 0, 85 and 171, Y at bits 171, 86 and 0, so that one multiplication modulo 2^256 gives X_0 Y_0 + X_1 Y_1 +
/// X_2 Y_2 from bit 171 up. All other products fall below that bit, where they are together less than 2^170 in size and would
/// borrow if negative (2^170 is added first), or to bit 256 and above, where they are lost.
///
/// What is found is kept with 30 fraction bits, rounded down, four to a word: X has them at bits 0, 64, 128 and 192, Y in the
/// opposite order, so that the sum of four products, at most 2^62 in size, stands from bit 192 up. Below it are less than 2^191.
library Coordinates {
    using Table for Round;

    uint256 private constant MOST_BASIS = 4;
    uint256 private constant TO_SCORE = 10; // from 40 to 30 fraction bits
    uint256 private constant TWO = 0x20000000000; // 2 UNIT
    // Of a public row, in a table of their own. All zero for one that is missing: its coordinates are zero, since in the EVM
    // division by zero is.
    uint256 private constant ITS_LENGTH = 0x00; // 32 fraction bits
    uint256 private constant PIVOT = 0x20; // length of what the rows before do not span, 40 fraction bits; 0: nothing
    uint256 private constant ITS_Y = 0x40;
    uint256 private constant ITS_STRIDE = 0x60;

    /// @notice Coordinates of all rows of the round, and how much of each is new.
    function fill(Round memory round) internal pure {
        uint256 n = round.n;
        uint256 basis = _basisOf(round);
        unchecked {
            uint256 place = round.gram + Cosines.UPDATE_BYTES * n;
            uint256 record = round.table;
            uint256 step = Cosines.rowBytes(round, 1); // a row has one entry less than the one before
            for (; n != 0; --n) {
                _fillRow(record, place, basis);
                measure(record);
                place += step;
                step -= Cosines.UPDATE_BYTES;
                record += STRIDE;
            }
        }
    }

    /// @notice sum_k q_ak q_bk, 40 fraction bits, rounded down.
    function shared(uint256 x, uint256 y) internal pure returns (int256 result) {
        assembly ("memory-safe") {
            result := sar(212, add(shl(191, 1), mul(x, y)))
        }
    }

    /// @notice Novelty from coordinates: T_aa = 1 - sum_k q_ak^2, and the inverse of its root.
    function measure(uint256 record) internal pure {
        uint256 inverse = 0;
        uint256 novelty = 0;
        unchecked {
            int256 left = int256(UNIT) - shared(Table.get(record, X), Table.get(record, Y));
            if (left >= int256(NOTHING)) {
                inverse = (1 << 75) / Roots.floorOf128(uint256(left) << 40);
                novelty = uint256(left) >> TO_SCORE;
            }
        }
        Table.set(record, INVERSE, inverse);
        Table.set(record, NOVELTY, novelty);
    }

    /// @notice The words X and Y of four coordinates.
    function wordsOf(int256[4] memory q) internal pure returns (uint256 x, uint256 y) {
        unchecked {
            for (uint256 k; k < 4; ++k) {
                x += uint256(q[k]) << 64 * k;
                y += uint256(q[k]) << 64 * (3 - k);
            }
        }
    }

    /// @notice The four numbers in a word X.
    function lanesOf(uint256 x) internal pure returns (int256[4] memory q) {
        unchecked {
            for (uint256 k; k < 4; ++k) {
                q[k] = int64(uint64(x));
                x = (x - uint256(q[k])) >> 64;
            }
        }
    }

    /// @dev The table of public rows. Entry (k, i) of their triangle stands in row k.
    function _basisOf(Round memory round) private pure returns (uint256 basis) {
        basis = Table.reserve(MOST_BASIS * ITS_STRIDE / 32);
        unchecked {
            uint256 n = round.n;
            uint256 publicRows = round.publicRows;
            uint256 first = round.gram + Cosines.UPDATE_BYTES * n * (n + 1) / 2 + Cosines.ACROSS_BYTES * n * publicRows;
            uint256 place = first;
            for (uint256 i; i < MOST_BASIS; ++i) {
                uint256 own = basis + ITS_STRIDE * i;
                uint256 length = 0;
                if (i < round.basis) length = Cosines.lengthAt(place, n + i);
                place += Cosines.PUBLIC_BYTES * (publicRows - i);
                Table.set(own, ITS_LENGTH, length);
                _fillPublic(own, basis, first + Cosines.PUBLIC_BYTES * i, Cosines.PUBLIC_BYTES * (publicRows - 1));
            }
        }
    }

    /// @dev place: of the entry of row 0 with this one. step: from there to that of row 1; a row has one entry less than the one
    /// before.
    function _fillPublic(uint256 own, uint256 before, uint256 place, uint256 step) private pure {
        uint256 length = Table.get(own, ITS_LENGTH);
        uint256 x = 0;
        uint256 y = 0;
        assembly ("memory-safe") {
            let at := 0
            for {} lt(before, own) { before := add(before, ITS_STRIDE) } {
                let s := sar(211, add(shl(170, 1), mul(x, mload(add(before, ITS_Y)))))
                let q := sdiv(shl(104, sar(168, calldataload(place))), mul(length, mload(before))) // 11 bytes, signed
                q := sdiv(shl(40, sub(q, s)), mload(add(before, PIVOT)))
                if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
                s := add(at, eq(at, 170))
                x := add(x, shl(s, q))
                y := add(y, shl(sub(171, s), q))
                at := add(at, 85)
                place := add(place, step)
                step := sub(step, 11)
            }
        }
        int256 left;
        assembly ("memory-safe") {
            left := sub(mul(UNIT, gt(length, 0)), sar(211, add(shl(170, 1), mul(x, y))))
        }
        Table.set(own, PIVOT, left < int256(NOTHING) ? 0 : Roots.floorOf128(uint256(left) << 40));
        Table.set(own, ITS_Y, y);
    }

    /// @dev Of an update, whose entries with the public rows, 9 bytes each, begin at `place`. Four times the same: W, less what the
    /// coordinates so far make of it, over the pivot, clamped. The first pivot is 1, or there is no first row.
    function _fillRow(uint256 record, uint256 place, uint256 known) private pure {
        assembly ("memory-safe") {
            let length := mload(add(record, LENGTH))
            let q := sdiv(shl(104, sar(184, calldataload(place))), mul(length, mload(known)))
            let x := q
            let whole := sar(10, q)
            let turned := shl(192, whole)

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 9)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(shl(170, 1), mul(x, mload(add(known, ITS_Y))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            x := add(x, shl(85, q))
            q := sar(10, q)
            whole := add(whole, shl(64, q))
            turned := add(turned, shl(128, q))

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 18)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(shl(170, 1), mul(x, mload(add(known, ITS_Y))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            x := add(x, shl(171, q))
            q := sar(10, q)
            whole := add(whole, shl(128, q))
            turned := add(turned, shl(64, q))

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 27)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(shl(170, 1), mul(x, mload(add(known, ITS_Y))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            q := sar(10, q)
            mstore(add(record, X), add(whole, shl(192, q)))
            mstore(add(record, Y), add(turned, q))
        }
    }
}
