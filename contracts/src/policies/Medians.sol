// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IDefaultPolicy} from "../interfaces/IDefaultPolicy.sol";
import {STRIDE} from "./Table.sol";

/// @title Medians: the middle of some values, named by a hint and found true by counting
/// @notice The k-th value in increasing order, from 0, of N is the one of them of which at most k are less and at most N - 1 - k
/// more.
library Medians {
    uint256 internal constant LENGTHS = 0;
    uint256 internal constant NOVELTIES = 1;
    uint256 internal constant COMPANIES = 2;
    uint256 internal constant SCORES = 3;

    // 16 lanes of 16 bits: the lowest bit of each, and the highest.
    uint256 private constant LOW = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant HIGH = 0x8000800080008000800080008000800080008000800080008000800080008000;

    /// @notice Floor of the mean of the two middle values, which are one if their number is odd; 0 if there are none. Reverts with
    /// MedianWrong if the hint names others.
    /// @param first where the first value stands in memory; the others follow STRIDE bytes apart.
    /// @param positive only values above 0 count.
    /// @param hint places of the lower and of the upper middle, a byte each.
    function middle(uint256 what, uint256 first, uint256 count, bool positive, uint256 hint)
        internal
        pure
        returns (uint256)
    {
        uint256 low = _at(first, hint >> 8);
        uint256 high = _at(first, hint & 0xff);
        (uint256 less, uint256 more, uint256 zeros) = _counted(first, count, low, high);
        if (!positive) zeros = 0;
        if (zeros == count) return 0;
        unchecked {
            // Ranks of the middles; zeros have the lowest.
            uint256 lower = zeros + (count - zeros - 1) / 2;
            uint256 upper = zeros + (count - zeros) / 2;
            // One value has both ranks, or two values that are of the list have one each, with none between them: then as many
            // as the upper rank says are less than the one, and all others more than the other.
            bool right = low == high
                ? less <= lower && more < count - upper
                : low < high && lower != upper && less == upper && more == count - upper && _areOf(hint, count);
            if (!right) revert IDefaultPolicy.MedianWrong(what, hint);
            return (low + high) / 2; // below 2^77
        }
    }

    /// @dev Whether both places are of the list. A value behind it, if it is one of the list, is as good; if it is not, less and more
    /// of it add up to `count`, which are too many for one value.
    function _areOf(uint256 hint, uint256 count) private pure returns (bool) {
        return hint >> 8 < count && hint & 0xff < count;
    }

    /// @dev Of a place behind the last one it may be anything.
    function _at(uint256 first, uint256 place) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(first, mul(place, STRIDE)))
        }
    }

    /// @dev How many values are less than `high`, more than `low`, and zero. Two at a time, the first one alone if their number is
    /// odd.
    function _counted(uint256 first, uint256 count, uint256 low, uint256 high)
        private
        pure
        returns (uint256 less, uint256 more, uint256 zeros)
    {
        assembly ("memory-safe") {
            let end := add(first, mul(count, STRIDE))
            if and(count, 1) {
                let x := mload(first)
                less := lt(x, high)
                more := gt(x, low)
                zeros := iszero(x)
                first := add(first, STRIDE)
            }
            for {} lt(first, end) { first := add(first, STRIDE) } {
                let x := mload(first)
                less := add(less, lt(x, high))
                more := add(more, gt(x, low))
                zeros := add(zeros, iszero(x))
                first := add(first, STRIDE)
                x := mload(first)
                less := add(less, lt(x, high))
                more := add(more, gt(x, low))
                zeros := add(zeros, iszero(x))
            }
        }
    }

    /// @notice Whether `value` is the one of this rank, the largest having rank 1, among lanes that stand, with zeros around them,
    /// in two words: as many or more reach it, and fewer what is next above. Zeros reach nothing above 0, and what all lanes reach
    /// needs no counting.
    function isRanked(uint256 lanes, uint256 others, uint256 value, uint256 rank) internal pure returns (bool right) {
        assembly ("memory-safe") {
            // How many of the 32 lanes are at least `least`, at most 2^15. With its highest bit set, a lane stays above what is
            // subtracted, so that nothing is borrowed from the next one, and keeps that bit if it was at least as much.
            function reach(first, second, least) -> found {
                least := mul(least, LOW)
                found := add(shr(15, and(sub(first, least), HIGH)), shr(15, and(sub(second, least), HIGH)))
                found := shr(240, mul(found, LOW)) // the sum of all lanes, at most 32
            }
            if iszero(shr(15, value)) {
                // Lanes hold 15 bits.
                lanes := or(lanes, HIGH)
                others := or(others, HIGH)
                right := and(lt(reach(lanes, others, add(value, 1)), rank), iszero(lt(reach(lanes, others, value), rank)))
            }
        }
    }
}
