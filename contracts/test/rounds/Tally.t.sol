// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Tally} from "../../src/rounds/Tally.sol";
import {CheatCodes} from "../support/Vm.sol";

contract TallyTest is CheatCodes {
    using Tally for Tally.Count;

    /// @dev Against counting bit by bit, for every quorum.
    function testFuzz_AgainstPlainCounting(uint256[7] memory votes, uint8 voters) public pure {
        uint256 count = voters % 8;
        Tally.Count memory tally;
        for (uint256 v; v < count; ++v) tally.add(votes[v]);
        for (uint256 quorum = 1; quorum <= 7; ++quorum) {
            uint256 expected;
            for (uint256 bit; bit < 256; bit += 5) {
                uint256 ayes;
                for (uint256 v; v < count; ++v) ayes += votes[v] >> bit & 1;
                if (ayes >= quorum) expected |= 1 << bit;
            }
            uint256 mask = _everyFifthBit();
            vm.assertEq(tally.atLeast(quorum) & mask, expected);
        }
    }

    function _everyFifthBit() private pure returns (uint256 mask) {
        for (uint256 bit; bit < 256; bit += 5) mask |= 1 << bit;
    }
}
