// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Coordinates} from "../../src/policies/Coordinates.sol";
import {Medians} from "../../src/policies/Medians.sol";
import {Roots} from "../../src/policies/Roots.sol";
import {STRIDE, UNIT} from "../../src/policies/Table.sol";
import {CheatCodes} from "../support/Vm.sol";

/// @notice Roots, medians in lanes, and packed coordinates, against the same said plainly.
contract NumbersTest is CheatCodes {
    function testFuzz_FloorOf(uint256 x, uint8 shift) public pure {
        x >>= shift;
        _root(x);
        uint256 r = x >> 129; // around squares
        _root(r * r);
        _root(r * r + 2 * r);
        if (r != 0) _root(r * r - 1);
    }

    function testFuzz_FloorOf_Small(uint256 x, uint8 shift) public pure {
        _smallRoots(x >> 128 + shift % 128);
        uint256 r = x >> 192 + shift % 64; // around squares
        _smallRoots(r * r);
        _smallRoots(r * r + 2 * r);
        if (r != 0) _smallRoots(r * r - 1);
    }

    function _smallRoots(uint256 x) private pure {
        vm.assertEq(Roots.floorOf128(x), Roots.floorOf(x));
        if (x <= 1 << 60) vm.assertEq(Roots.floorOf60(x), Roots.floorOf(x));
    }

    function test_FloorOf_Edges() public pure {
        for (uint256 x; x < 1_000; ++x) {
            _root(x);
            _smallRoots(x);
        }
        _smallRoots(1 << 60);
        _smallRoots(type(uint128).max);
        _root(type(uint256).max);
        _root(uint256(type(uint128).max) * type(uint128).max);
        _root(uint256(type(uint128).max) * type(uint128).max - 1);
    }

    /// @dev Lanes behind the values are zero.
    function testFuzz_IsRanked(uint256[32] memory values, uint256 count, uint256 rank, uint256 other, uint8 bits)
        public
        pure
    {
        count = 1 + count % 31;
        rank = 1 + rank % count;
        for (uint256 i; i < 32; ++i) {
            values[i] = i < count ? values[i] & 0x7fff >> bits % 15 : 0; // few bits: many ties
        }
        (uint256 first, uint256 second) = _lanes(values);
        uint256 value = _sorted(values, count)[count - rank];
        vm.assertTrue(Medians.isRanked(first, second, value, rank));
        other %= 0x9000;
        vm.assertEq(Medians.isRanked(first, second, other, rank) ? 1 : 0, other == value ? 1 : 0);
        vm.assertFalse(Medians.isRanked(first, second, value | 0x8000, rank));
        vm.assertFalse(Medians.isRanked(first, second, value | 0x10000, rank));
        vm.assertFalse(Medians.isRanked(first, second, value + 1, rank));
        if (value != 0) vm.assertFalse(Medians.isRanked(first, second, value - 1, rank));
    }

    function testFuzz_Middle(uint256[32] memory values, uint256 count, bool positive, uint8 bits) public pure {
        count = 1 + count % 32;
        uint256 places = 0;
        for (uint256 i; i < count; ++i) {
            values[i] = values[i] >> (181 + bits % 75);
            if (values[i] != 0 || !positive) ++places;
        }
        uint256 table = _table(values, count);
        if (places == 0) {
            vm.assertEq(Medians.middle(0, table, count, positive, 0), 0);
            return;
        }
        uint256[] memory sorted = _sorted(values, count);
        uint256 zeros = count - places;
        uint256 low = sorted[zeros + (places - 1) / 2];
        uint256 high = sorted[zeros + places / 2];
        uint256 hint = _placeOf(values, low) << 8 | _placeOf(values, high);
        vm.assertEq(Medians.middle(0, table, count, positive, hint), (low + high) / 2);
    }

    function testFuzz_Shared(int64[4] memory a, int64[4] memory b) public pure {
        (uint256 x, uint256 opposite) = _packed(a);
        (, uint256 y) = _packed(b);
        int256 sum = 0;
        for (uint256 k; k < 4; ++k) sum += _q(a[k]) * _q(b[k]);
        vm.assertEq(uint256(Coordinates.shared(x, y)), uint256(sum >> 20));
        vm.assertTrue(Coordinates.shared(x, opposite) >= 0);
    }

    function test_Shared_Extremes() public pure {
        int64 one = 1 << 30;
        int64[4] memory a = [one, one, one, one];
        int64[4] memory b = [-one, -one, -one, -one];
        (uint256 x, uint256 y) = _packed(a);
        vm.assertEq(uint256(Coordinates.shared(x, y)), 4 * UNIT);
        (, y) = _packed(b);
        vm.assertEq(uint256(Coordinates.shared(x, y)), uint256(-4 * int256(UNIT)));
        a = [one, -one, one, -one];
        (x,) = _packed(a);
        vm.assertEq(uint256(Coordinates.shared(x, y)), 0);
    }

    function testFuzz_LanesOf(int64[4] memory a) public pure {
        (uint256 x,) = _packed(a);
        int256[4] memory found = Coordinates.lanesOf(x);
        for (uint256 k; k < 4; ++k) vm.assertEq(uint256(found[k]), uint256(_q(a[k])));
    }

    function _root(uint256 x) private pure {
        uint256 r = Roots.floorOf(x);
        vm.assertLe(r, type(uint128).max);
        vm.assertLe(r * r, x);
        if (r != type(uint128).max) vm.assertGt((r + 1) * (r + 1), x);
    }

    /// @dev Cut to 15 bits, 16 to a word.
    function _lanes(uint256[32] memory values) private pure returns (uint256 first, uint256 second) {
        for (uint256 i; i < 32; ++i) {
            values[i] &= 0x7fff;
            if (i < 16) first |= values[i] << 240 - 16 * i;
            else second |= values[i] << 240 - 16 * (i - 16);
        }
    }

    function _sorted(uint256[32] memory values, uint256 count) private pure returns (uint256[] memory sorted) {
        sorted = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            uint256 j = i;
            for (; j != 0 && sorted[j - 1] > values[i]; --j) sorted[j] = sorted[j - 1];
            sorted[j] = values[i];
        }
    }

    function _placeOf(uint256[32] memory values, uint256 value) private pure returns (uint256 place) {
        while (values[place] != value) ++place;
    }

    function _table(uint256[32] memory values, uint256 count) private pure returns (uint256 table) {
        bytes memory space = new bytes(count * STRIDE);
        assembly ("memory-safe") {
            table := add(space, 32)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                mstore(add(table, mul(i, STRIDE)), mload(add(values, shl(5, i))))
            }
        }
    }

    /// @dev A coordinate within -1 .. 1.
    function _q(int64 value) private pure returns (int256) {
        return int256(value) % ((1 << 30) + 1);
    }

    function _packed(int64[4] memory a) private pure returns (uint256 x, uint256 y) {
        int256[4] memory q;
        for (uint256 k; k < 4; ++k) q[k] = _q(a[k]);
        return Coordinates.wordsOf(q);
    }
}
