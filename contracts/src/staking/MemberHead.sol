// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MemberRecord} from "../storage/MarketStorage.sol";

/// @title MemberHead: slot 0 of a MemberRecord, read once
/// @notice From the lowest bit: trainer 160, joinedRound 32, unlockAt 40, staked 8, joined 8, delegated 8. The compiler would read
/// the slot again for each member of the struct (100 gas each, for every leaf of a batch). A test compares both readings.
library MemberHead {
    function load(MemberRecord storage m) internal view returns (uint256 head) {
        assembly ("memory-safe") {
            head := sload(m.slot)
        }
    }

    function trainer(uint256 head) internal pure returns (address) {
        return address(uint160(head));
    }

    /// @notice May commit in `round`: has a stake, joined before it opened and has not left.
    function isEligible(uint256 head, uint256 round) internal pure returns (bool) {
        uint256 flags = head >> 232; // staked and joined are 0 or 1
        return flags & 0x0101 == 0x0101 && uint32(head >> 160) < round;
    }

    function hasDelegate(uint256 head) internal pure returns (bool) {
        return uint8(head >> 248) != 0;
    }
}
