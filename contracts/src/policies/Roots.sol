// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Roots: integer square roots
/// @notice Some 80 in a round of 20: computing one costs 250 gas, and as a hint its eight or ten bytes of calldata alone
/// would cost 128 to 160.
library Roots {
    /// @notice floor(sqrt(x)). Newton's method from a guess that is right to some 5 bits, so that seven steps double that to
    /// 128 and more; the last step may end one above the root. The guess is that of Solady's FixedPointMathLib (MIT).
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
}
