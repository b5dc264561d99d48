// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Roots: integer square roots
/// @notice Some 60 in a round of 20: computing one costs 160 to 250 gas, and as a hint its eight or ten bytes of calldata alone
/// would cost 128 to 160.
///
/// Newton's method from the guess of Solady's FixedPointMathLib (MIT), which is wrong by a factor of 2.84 at most. Steps make of
/// that at most 1.6, 1.12, 1 + 2^-7, 1 + 2^-15, 1 + 2^-32, 1 + 2^-66, 1 + 2^-133: five are enough for roots of 30 bits, six for
/// 64, seven for 128. After the first they are not below the root, so that the last may end one above it, never below.
library Roots {
    /// @notice floor(sqrt(x))
    function floorOf(uint256 x) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            z := 181 // 2^7.5
            // r: the largest multiple of 16 with 2^(r + 24) <= x or so, which moves x to the range of the first guess.
            let r := shl(7, lt(0xffffffffffffffffffffffffffffffffff, x))
            r := or(r, shl(6, lt(0xffffffffffffffffff, shr(r, x))))
            r := or(r, shl(5, lt(0xffffffffff, shr(r, x))))
            r := or(r, shl(4, lt(0xffffff, shr(r, x))))
            z := shl(shr(1, r), z)
            z := shr(18, mul(z, add(shr(r, x), 65536)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := sub(z, lt(div(x, z), z))
        }
    }

    /// @notice The same of x < 2^128.
    function floorOf128(uint256 x) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            let r := shl(6, lt(0xffffffffffffffffff, x))
            r := or(r, shl(5, lt(0xffffffffff, shr(r, x))))
            r := or(r, shl(4, lt(0xffffff, shr(r, x))))
            z := 181 // 2^7.5
            z := shl(shr(1, r), z)
            z := shr(18, mul(z, add(shr(r, x), 65536)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := sub(z, lt(div(x, z), z))
        }
    }

    /// @notice The same of x <= 2^60.
    function floorOf60(uint256 x) internal pure returns (uint256 z) {
        assembly ("memory-safe") {
            let r := shl(5, lt(0xffffffffff, x))
            r := or(r, shl(4, lt(0xffffff, shr(r, x))))
            z := 181 // 2^7.5
            z := shl(shr(1, r), z)
            z := shr(18, mul(z, add(shr(r, x), 65536)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := shr(1, add(z, div(x, z)))
            z := sub(z, lt(div(x, z), z))
        }
    }
}
