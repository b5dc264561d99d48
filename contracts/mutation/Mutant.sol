// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Mutant: the switch of a mutation
/// @notice Only in the copy of the sources that run.py makes. The switch is the block's coinbase, which forge sets on its
/// command line and no contract of ours reads.
library Mutant {
    function on(uint256 number) internal pure returns (bool) {
        return _switch() == number;
    }

    function off(uint256 number) internal pure returns (bool) {
        return !on(number);
    }

    /// @notice What operators.py changes: the value as it is, unless the switch is thrown.
    function flip(uint256 number, bool value) internal pure returns (bool) {
        return value != on(number);
    }

    function more(uint256 number, uint256 value) internal pure returns (uint256) {
        unchecked {
            return on(number) ? value + 1 : value;
        }
    }

    function less(uint256 number, uint256 value) internal pure returns (uint256) {
        unchecked {
            return on(number) ? value - 1 : value;
        }
    }

    function moreInt(uint256 number, int256 value) internal pure returns (int256) {
        unchecked {
            return on(number) ? value + 1 : value;
        }
    }

    function lessInt(uint256 number, int256 value) internal pure returns (int256) {
        unchecked {
            return on(number) ? value - 1 : value;
        }
    }

    function other(uint256 number, address value) internal pure returns (address) {
        return on(number) ? address(uint160(value) ^ 1) : value;
    }

    function twisted(uint256 number, bytes32 value) internal pure returns (bytes32) {
        return on(number) ? value ^ bytes32(bytes1(0x80)) : value;
    }

    function ceiling(uint256 number, uint256 a, uint256 b) internal pure returns (uint256) {
        return on(number) && a % b != 0 ? a / b + 1 : a / b;
    }

    /// @notice Puts the switch where assembly in pure functions can read it: far behind everything that is in memory.
    function stash() internal pure {
        uint256 thrown = _switch();
        assembly ("memory-safe") {
            mstore(0x10000, thrown)
        }
    }

    /// @dev The compiler is told that the switch is constant, as it is within a run, so that pure functions can have it.
    function _switch() private pure returns (uint256) {
        function() internal view returns (uint256) reads = _coinbase;
        function() internal pure returns (uint256) asPure;
        assembly ("memory-safe") {
            asPure := reads
        }
        return asPure();
    }

    function _coinbase() private view returns (uint256) {
        return uint160(address(block.coinbase));
    }
}

/// @title ReentrancyGuardTransient: OpenZeppelin's lock with a switch for each function
/// @dev A modifier for each lock, nonReentrantUnless<number>, is written in by run.py: a parameter would stay on the stack.
abstract contract ReentrancyGuardTransient {
    bytes32 private constant LOCK = keccak256("mutation.lock");

    error ReentrancyGuardReentrantCall();

    // LOCKS

    function _enterGuard() private {
        bytes32 slot = LOCK;
        uint256 entered;
        assembly ("memory-safe") {
            entered := tload(slot)
        }
        if (entered != 0) revert ReentrancyGuardReentrantCall();
        _setGuard(1);
    }

    function _setGuard(uint256 value) private {
        bytes32 slot = LOCK;
        assembly ("memory-safe") {
            tstore(slot, value)
        }
    }
}
