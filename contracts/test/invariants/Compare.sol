// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CheatCodes} from "../support/Vm.sol";

/// @notice Comparisons that cost a few opcodes while they hold: the cheat code, which names both values, is called only when
/// they differ. A campaign makes some two hundred of them after every call. `what` is at most 32 characters, so that it is one
/// word on the stack and no string in memory.
abstract contract Compare is CheatCodes {
    function _same(uint256 found, uint256 expected, bytes32 what) internal pure {
        if (found != expected) vm.assertEq(found, expected, _text(what));
    }

    function _same(bytes32 found, bytes32 expected, bytes32 what) internal pure {
        if (found != expected) vm.assertEq(found, expected, _text(what));
    }

    function _same(address found, address expected, bytes32 what) internal pure {
        if (found != expected) vm.assertEq(found, expected, _text(what));
    }

    function _same(bool found, bool expected, bytes32 what) internal pure {
        if (found != expected) vm.assertEq(found ? 1 : 0, expected ? 1 : 0, _text(what));
    }

    function _holds(bool condition, bytes32 what) internal pure {
        if (!condition) vm.assertTrue(condition, _text(what));
    }

    function _atLeast(uint256 found, uint256 least, bytes32 what) internal pure {
        if (found < least) vm.assertGe(found, least, _text(what));
    }

    function _atMost(uint256 found, uint256 most, bytes32 what) internal pure {
        if (found > most) vm.assertLe(found, most, _text(what));
    }

    function _text(bytes32 what) private pure returns (string memory) {
        uint256 length;
        while (length < 32 && what[length] != 0) ++length;
        bytes memory text = new bytes(length);
        for (uint256 i; i < length; ++i) text[i] = what[i];
        return string(text);
    }
}
