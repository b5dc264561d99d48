// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ORDER} from "./Bn254.sol";

/// @notice Coefficients x_a of the rows: those of the updates, then those of the public rows. Behind either kind stand three
/// words of zero.
struct Coefficients {
    uint256 updates; // in memory: the first
    uint256 updatesEnd;
    uint256 publics;
    uint256 publicsEnd;
}

/// @title GramForm: x^T G x mod r
/// @notice One pass over the packed triangle. x_a < 2^128 and |G_ab| < 2^87, so that the sum of a row, of at most 42
/// products, stays below 2^221: inside of it nothing has to be reduced, and a sum is negative or not as a word says.
///
/// Two rows of updates are taken at once, because they meet the same coefficients, and three or four entries of each. What is
/// read beyond the end of a row meets a coefficient of zero.
library GramForm {
    // How far to shift a word for the entry in its first bytes: 256 - 8 * bytes of the entry.
    uint256 private constant UPDATE_SHIFT = 200;
    uint256 private constant MIXED_SHIFT = 184;
    uint256 private constant PUBLIC_SHIFT = 168;

    /// @param gram where G lies in calldata.
    function valueOf(uint256 gram, Coefficients memory x) internal pure returns (uint256 sum) {
        sum = _updates(gram, x.updates, x.updatesEnd, x.publics, x.publicsEnd);
        unchecked {
            uint256 n = (x.updatesEnd - x.updates) / 32;
            // slither-disable-next-line divide-before-multiply (bytes of whole words)
            gram += 7 * n * (n + 1) / 2 + 9 * n * ((x.publicsEnd - x.publics) / 32);
        }
        return addmod(sum, _publics(gram, x.publics, x.publicsEnd), ORDER);
    }

    /// @dev Sum over the rows of updates: x_a (G_aa x_a + 2 sum_{b > a} G_ab x_b). With an odd number of them, the second row of the
    /// last pair is none, and has a coefficient of zero.
    /// @param row where row a lies, from its diagonal on. The next row follows its entries with public rows.
    function _updates(uint256 row, uint256 a, uint256 end, uint256 publics, uint256 publicsEnd)
        private
        pure
        returns (uint256 sum)
    {
        assembly ("memory-safe") {
            let r := ORDER // kept at hand: the optimizer puts a constant that is used often where it costs more to fetch
            let mixedBytes := mul(9, shr(5, sub(publicsEnd, publics)))
            for {} lt(a, end) { a := add(a, 64) } {
                // Where the two rows lie from column a + 2 on, and their sums over these columns.
                let first := add(row, 14)
                let second := add(add(add(row, mul(7, shr(5, sub(end, a)))), mixedBytes), 7)
                let firstSum := 0
                let secondSum := 0
                let b := add(a, 64)
                for {} lt(b, end) { b := add(b, 128) } {
                    let x0 := mload(b)
                    let x1 := mload(add(b, 32))
                    let x2 := mload(add(b, 64))
                    let x3 := mload(add(b, 96))
                    firstSum :=
                        add(
                            add(
                                mul(sar(UPDATE_SHIFT, calldataload(add(first, 21))), x3),
                                mul(sar(UPDATE_SHIFT, calldataload(add(first, 14))), x2)
                            ),
                            add(
                                mul(sar(UPDATE_SHIFT, calldataload(add(first, 7))), x1),
                                add(mul(sar(UPDATE_SHIFT, calldataload(first)), x0), firstSum)
                            )
                        )
                    secondSum :=
                        add(
                            add(
                                mul(sar(UPDATE_SHIFT, calldataload(add(second, 21))), x3),
                                mul(sar(UPDATE_SHIFT, calldataload(add(second, 14))), x2)
                            ),
                            add(
                                mul(sar(UPDATE_SHIFT, calldataload(add(second, 7))), x1),
                                add(mul(sar(UPDATE_SHIFT, calldataload(second)), x0), secondSum)
                            )
                        )
                    first := add(first, 28)
                    second := add(second, 28)
                }
                // The public columns. The second row has one entry less before them.
                first := add(row, mul(7, shr(5, sub(end, a))))
                second := add(add(first, mixedBytes), sub(sub(first, row), 7))
                b := publics
                for {} lt(b, publicsEnd) { b := add(b, 96) } {
                    let x0 := mload(b)
                    let x1 := mload(add(b, 32))
                    let x2 := mload(add(b, 64))
                    firstSum :=
                        add(
                            add(
                                mul(sar(MIXED_SHIFT, calldataload(add(first, 18))), x2),
                                mul(sar(MIXED_SHIFT, calldataload(add(first, 9))), x1)
                            ),
                            add(mul(sar(MIXED_SHIFT, calldataload(first)), x0), firstSum)
                        )
                    secondSum :=
                        add(
                            add(
                                mul(sar(MIXED_SHIFT, calldataload(add(second, 18))), x2),
                                mul(sar(MIXED_SHIFT, calldataload(add(second, 9))), x1)
                            ),
                            add(mul(sar(MIXED_SHIFT, calldataload(second)), x0), secondSum)
                        )
                    first := add(first, 27)
                    second := add(second, 27)
                }
                // The entries (a, a), (a, a + 1) and (a + 1, a + 1).
                let xa := mload(a)
                let xb := mload(add(a, 32))
                firstSum := add(firstSum, mul(sar(UPDATE_SHIFT, calldataload(add(row, 7))), xb))
                firstSum := add(shl(1, firstSum), mul(sar(UPDATE_SHIFT, calldataload(row)), xa))
                row := add(add(row, mul(7, shr(5, sub(end, a)))), mixedBytes)
                secondSum := add(shl(1, secondSum), mul(sar(UPDATE_SHIFT, calldataload(row)), xb))
                row := add(add(row, mul(7, shr(5, sub(end, add(a, 32))))), mixedBytes)
                // r more than such a sum is positive, and the same mod r.
                sum := addmod(sum, mulmod(xa, add(firstSum, r), r), r)
                sum := addmod(sum, mulmod(xb, add(secondSum, r), r), r)
            }
        }
    }

    /// @dev The same over the public rows.
    function _publics(uint256 next, uint256 a, uint256 end) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let r := ORDER
            for {} lt(a, end) { a := add(a, 32) } {
                let own := mul(sar(PUBLIC_SHIFT, calldataload(next)), mload(a))
                next := add(next, 11)
                let cross := 0
                let b := add(a, 32)
                for {} lt(b, end) { b := add(b, 96) } {
                    cross :=
                        add(
                            add(
                                mul(sar(PUBLIC_SHIFT, calldataload(add(next, 22))), mload(add(b, 64))),
                                mul(sar(PUBLIC_SHIFT, calldataload(add(next, 11))), mload(add(b, 32)))
                            ),
                            add(mul(sar(PUBLIC_SHIFT, calldataload(next)), mload(b)), cross)
                        )
                    next := add(next, 33)
                }
                next := sub(next, mul(11, shr(5, sub(b, end))))
                sum := addmod(sum, mulmod(mload(a), add(add(own, shl(1, cross)), r), r), r)
            }
        }
    }
}
