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
        uint256 zeros = positive ? _zeros(first, count) : 0;
        if (zeros == count) return 0;
        unchecked {
            uint256 low = _at(first, hint >> 8);
            uint256 high = _at(first, hint & 0xff);
            // Zeros are the lowest ranks.
            uint256 rank = zeros + (count - zeros - 1) / 2;
            _check(what, first, count, low, rank, hint);
            rank = zeros + (count - zeros) / 2;
            if (high != low || (count - zeros) & 1 == 0) _check(what, first, count, high, rank, hint);
            return (low + high) / 2; // below 2^77
        }
    }

    function _zeros(uint256 first, uint256 count) private pure returns (uint256 zeros) {
        assembly ("memory-safe") {
            for { let end := add(first, mul(count, STRIDE)) } lt(first, end) { first := add(first, STRIDE) } {
                zeros := add(zeros, iszero(mload(first)))
            }
        }
    }

    /// @dev Of a place behind the last one it may be anything: what is not of the list has no rank in it.
    function _at(uint256 first, uint256 place) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(first, mul(place, STRIDE)))
        }
    }

    /// @dev That this is the value of the list that has this rank: of one that is not of it, less and more add up to `count`. Two at a time, the first one alone if their number is odd.
    function _check(uint256 what, uint256 first, uint256 count, uint256 value, uint256 rank, uint256 hint) private pure {
        uint256 less;
        uint256 more;
        assembly ("memory-safe") {
            let end := add(first, mul(count, STRIDE))
            if and(count, 1) {
                let x := mload(first)
                less := lt(x, value)
                more := gt(x, value)
                first := add(first, STRIDE)
            }
            for {} lt(first, end) {} {
                let x := mload(first)
                less := add(less, lt(x, value))
                more := add(more, gt(x, value))
                x := mload(add(first, STRIDE))
                less := add(less, lt(x, value))
                more := add(more, gt(x, value))
                first := add(first, mul(2, STRIDE))
            }
        }
        unchecked {
            if (less > rank || more > count - 1 - rank) revert IDefaultPolicy.MedianWrong(what, hint);
        }
    }

    /// @notice Whether `low` and `high` are the lower and the upper middle of `count` lanes that stand, with zeros around them, in
    /// two words. The k-th of N in increasing order is the v that N - k or more reach, and v + 1 no more than N - 1 - k; zeros
    /// reach nothing above 0, and what all lanes reach needs no counting.
    /// @param count at least 1.
    function areMiddles(uint256 lanes, uint256 others, uint256 count, uint256 low, uint256 high)
        internal
        pure
        returns (bool right)
    {
        assembly ("memory-safe") {
            // How many of the 32 lanes are at least `value`, at most 2^15. With its highest bit set, a lane stays above what is
            // subtracted, so that nothing is borrowed from the next one, and keeps that bit if it was at least as much.
            function reach(first, second, value) -> found {
                value := mul(value, LOW)
                found := shr(15, and(sub(first, value), HIGH))
                found := add(found, shr(15, and(sub(second, value), HIGH)))
                found := shr(240, mul(found, LOW)) // the sum of all lanes, at most 32
            }
            lanes := or(lanes, HIGH)
            others := or(others, HIGH)
            let above := shr(1, count) // lanes above the lower middle, in order
            right := iszero(shr(15, or(low, high))) // lanes hold 15 bits
            right := and(right, gt(reach(lanes, others, low), above))
            right := and(right, iszero(gt(reach(lanes, others, add(low, 1)), above)))
            switch and(count, 1)
            case 1 { right := and(right, eq(low, high)) }
            default {
                right := and(right, iszero(lt(reach(lanes, others, high), above)))
                right := and(right, lt(reach(lanes, others, add(high, 1)), above))
            }
        }
    }
}
