// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Cosines} from "./Cosines.sol";
import {Roots} from "./Roots.sol";
import {LENGTH, NOTHING, Round, STRIDE, Table, UNIT, X1, X2, Y1, Y2} from "./Table.sol";

/// @title Coordinates: what of a row lies in the span of the past steps and u0
/// @notice q_k is the inner product of a row at unit length with the k-th of at most six orthonormal rows that public rows give
/// one after the other (Cholesky), 40 fraction bits, within -1 .. 1. Three of them are kept in one word: X has them at bits 0, 85
/// and 171, Y at bits 171, 86 and 0, so that one multiplication modulo 2^256 gives X_0 Y_0 + X_1 Y_1 + X_2 Y_2 from bit 171 up.
/// Sums of six products are below 2^83. All other products fall below bit 171, where they are together less than 2^170 in size and
/// would borrow if negative (2^170 is added first), or to bit 256 and above, where they are lost.
library Coordinates {
    using Table for Round;

    uint256 private constant MOST_BASIS = 6;
    uint256 private constant TWO = 0x20000000000; // 2 UNIT
    // Of a public row, in a table of their own. All zero for one that is missing: its coordinates are zero, since in the EVM
    // division by zero is.
    uint256 private constant ITS_LENGTH = 0x00; // 32 fraction bits
    uint256 private constant PIVOT = 0x20; // length of what the rows before do not span, 40 fraction bits; 0: nothing
    uint256 private constant ITS_Y1 = 0x40;
    uint256 private constant ITS_Y2 = 0x60;
    uint256 private constant ITS_STRIDE = 0x80;

    /// @notice Coordinates of all rows of the round.
    function fill(Round memory round) internal pure {
        uint256 n = round.n;
        if (round.basis == 0) return _clearAll(round);
        uint256 basis = _basisOf(round);
        unchecked {
            uint256 place = round.gram + Cosines.UPDATE_BYTES * n;
            uint256 record = round.table;
            uint256 step = Cosines.rowBytes(round, 1); // a row has one entry less than the one before
            for (; n != 0; --n) {
                _fillRow(record, place, basis);
                place += step;
                step -= Cosines.UPDATE_BYTES;
                record += STRIDE;
            }
        }
    }

    /// @notice sum_k q_ak q_bk, 40 fraction bits, rounded down.
    function shared(uint256 x1, uint256 y1, uint256 x2, uint256 y2) internal pure returns (int256 result) {
        assembly ("memory-safe") {
            result := sar(211, add(shl(170, 1), add(mul(x1, y1), mul(x2, y2))))
        }
    }

    /// @notice The words X and Y with another coordinate in a lane.
    function withLane(uint256 x, uint256 y, uint256 lane, int256 q) internal pure returns (uint256, uint256) {
        unchecked {
            uint256 shift = lane == 2 ? 171 : 85 * lane;
            return (x + (uint256(q) << shift), y + (uint256(q) << 171 - shift));
        }
    }

    /// @notice The three numbers in a word X.
    function lanesOf(uint256 x) internal pure returns (int256[3] memory q) {
        unchecked {
            q[0] = int256(x << 171) >> 171;
            int256 rest = int256(x - uint256(q[0])) >> 85;
            q[1] = rest << 170 >> 170;
            q[2] = (rest - q[1]) >> 86;
        }
    }

    function _clearAll(Round memory round) private pure {
        unchecked {
            for (uint256 row; row < round.n; ++row) {
                uint256 record = round.at(row);
                Table.set(record, X1, 0);
                Table.set(record, X2, 0);
                Table.set(record, Y1, 0);
                Table.set(record, Y2, 0);
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
                if (i < round.basis) length = Cosines.lengthAt(place, Cosines.PUBLIC_BYTES, n + i);
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
        uint256 x1 = 0;
        uint256 x2 = 0;
        uint256 y1 = 0;
        uint256 y2 = 0;
        assembly ("memory-safe") {
            let lane := 0
            for {} lt(before, own) { before := add(before, ITS_STRIDE) } {
                let s := add(mul(x1, mload(add(before, ITS_Y1))), mul(x2, mload(add(before, ITS_Y2))))
                s := sar(211, add(shl(170, 1), s))
                let q := sdiv(shl(104, sar(168, calldataload(place))), mul(length, mload(before))) // 11 bytes, signed
                q := sdiv(shl(40, sub(q, s)), mload(add(before, PIVOT)))
                if sgt(q, UNIT) { q := UNIT }
                if slt(q, sub(0, UNIT)) { q := sub(0, UNIT) }
                switch lt(lane, 3)
                case 1 {
                    s := add(mul(85, lane), eq(lane, 2))
                    x1 := add(x1, shl(s, q))
                    y1 := add(y1, shl(sub(171, s), q))
                }
                default {
                    s := add(mul(85, sub(lane, 3)), eq(lane, 5))
                    x2 := add(x2, shl(s, q))
                    y2 := add(y2, shl(sub(171, s), q))
                }
                lane := add(lane, 1)
                place := add(place, step)
                step := sub(step, 11)
            }
        }
        int256 left = (length == 0 ? int256(0) : int256(UNIT)) - shared(x1, y1, x2, y2);
        Table.set(own, PIVOT, left < int256(NOTHING) ? 0 : Roots.floorOf(uint256(left) << 40));
        Table.set(own, ITS_Y1, y1);
        Table.set(own, ITS_Y2, y2);
    }

    /// @dev Of an update, whose entries with the public rows, 9 bytes each, begin at `place`. Six times the same: W, less what the
    /// coordinates so far make of it, over the pivot, clamped.
    function _fillRow(uint256 record, uint256 place, uint256 known) private pure {
        assembly ("memory-safe") {
            let length := mload(add(record, LENGTH))
            let q := sdiv(shl(104, sar(184, calldataload(place))), mul(length, mload(known)))
            q := sdiv(shl(40, q), mload(add(known, PIVOT))) // the first pivot is 1 or 0
            let x := q
            let y := shl(171, q)

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 9)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(shl(170, 1), mul(x, mload(add(known, ITS_Y1))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            x := add(x, shl(85, q))
            y := add(y, shl(86, q))

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 18)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(shl(170, 1), mul(x, mload(add(known, ITS_Y1))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            x := add(x, shl(171, q))
            mstore(add(record, X1), x)
            mstore(add(record, Y1), add(y, q))

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 27)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(shl(170, 1), mul(x, mload(add(known, ITS_Y1))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            let x2 := q
            y := shl(171, q)

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 36)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(add(shl(170, 1), mul(x, mload(add(known, ITS_Y1)))), mul(x2, mload(add(known, ITS_Y2))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            x2 := add(x2, shl(85, q))
            y := add(y, shl(86, q))

            known := add(known, ITS_STRIDE)
            q := sdiv(shl(104, sar(184, calldataload(add(place, 45)))), mul(length, mload(known)))
            q := sub(q, sar(211, add(add(shl(170, 1), mul(x, mload(add(known, ITS_Y1)))), mul(x2, mload(add(known, ITS_Y2))))))
            q := sdiv(shl(40, q), mload(add(known, PIVOT)))
            if gt(add(q, UNIT), TWO) { q := sub(UNIT, mul(slt(q, 0), TWO)) }
            mstore(add(record, X2), add(x2, shl(171, q)))
            mstore(add(record, Y2), add(y, q))
        }
    }
}
