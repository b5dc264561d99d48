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

    /// @notice Questions with at least `quorum` votes (1 .. 7).
    function atLeast(Count memory count, uint256 quorum) internal pure returns (uint256 reached) {
        for (uint256 votes = quorum; votes <= 7; ++votes) {
            reached |= (votes & 1 == 0 ? ~count.ones : count.ones) & (votes & 2 == 0 ? ~count.twos : count.twos)
                & (votes & 4 == 0 ? ~count.fours : count.fours);
        }
    }
}
