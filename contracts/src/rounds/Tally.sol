// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Tally: counts up to 7 votes on each of 256 questions at once
/// @dev Bit i of `ones`, `twos`, `fours` is a binary digit of the count of question i (a carry-save adder): a vote on all
/// questions costs a few word operations.
library Tally {
    struct Count {
        uint256 ones;
        uint256 twos;
        uint256 fours;
    }

    /// @notice Adds one vote to every question whose bit in `votes` is set. At most 7 times.
    function add(Count memory count, uint256 votes) internal pure {
        uint256 carry = count.ones & votes;
        count.ones ^= votes;
        uint256 carryTwice = count.twos & carry;
        count.twos ^= carry;
        count.fours ^= carryTwice;
    }

    /// @notice Questions with at least `quorum` votes (1 .. 7): compares the counts with it, all at once, from the highest
    /// digit down.
    function atLeast(Count memory count, uint256 quorum) internal pure returns (uint256 reached) {
        uint256 equal = type(uint256).max; // counts that agree with `quorum` so far
        (reached, equal) = _compare(reached, equal, count.fours, quorum & 4);
        (reached, equal) = _compare(reached, equal, count.twos, quorum & 2);
        (reached, equal) = _compare(reached, equal, count.ones, quorum & 1);
        return reached | equal;
    }

    /// @dev `above`: counts that exceed the quorum in a higher digit.
    function _compare(uint256 above, uint256 equal, uint256 digits, uint256 digit)
        private
        pure
        returns (uint256, uint256)
    {
        return digit == 0 ? (above | equal & digits, equal & ~digits) : (above, equal & digits);
    }
}
