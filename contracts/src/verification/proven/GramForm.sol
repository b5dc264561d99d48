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
/// Entries are taken four at a time. What is read beyond the end of a row meets a coefficient of zero.
library GramForm {
    // How far to shift a word for the entry in its first bytes: 256 - 8 * bytes of the entry.
    uint256 private constant UPDATE_SHIFT = 200;
    uint256 private constant MIXED_SHIFT = 184;
    uint256 private constant PUBLIC_SHIFT = 168;

    /// @param gram where G lies in calldata.
    function valueOf(uint256 gram, Coefficients memory x) internal pure returns (uint256 sum) {
        uint256 publicGram;
        (sum, publicGram) = _updates(gram, x);
        return addmod(sum, _publics(publicGram, x), ORDER);
    }

    /// @dev Sum over the rows of updates: x_a (G_aa x_a + 2 sum_{b > a} G_ab x_b). `next`: where the other rows lie.
    function _updates(uint256 gram, Coefficients memory x) private pure returns (uint256 sum, uint256 next) {
        assembly ("memory-safe") {
            next := gram
            let end := mload(add(x, 32))
            for { let a := mload(x) } lt(a, end) { a := add(a, 32) } {
                let cross := 0
                let own := sar(UPDATE_SHIFT, calldataload(next))
                next := add(next, 7)
                let b := add(a, 32)
                for {} lt(b, end) { b := add(b, 128) } {
                    cross := add(cross, mul(mload(b), sar(UPDATE_SHIFT, calldataload(next))))
                    cross := add(cross, mul(mload(add(b, 32)), sar(UPDATE_SHIFT, calldataload(add(next, 7)))))
                    cross := add(cross, mul(mload(add(b, 64)), sar(UPDATE_SHIFT, calldataload(add(next, 14)))))
                    cross := add(cross, mul(mload(add(b, 96)), sar(UPDATE_SHIFT, calldataload(add(next, 21)))))
                    next := add(next, 28)
                }
                next := sub(next, mul(7, shr(5, sub(b, end))))
                b := mload(add(x, 64))
                for {} lt(b, mload(add(x, 96))) { b := add(b, 128) } {
                    cross := add(cross, mul(mload(b), sar(MIXED_SHIFT, calldataload(next))))
                    cross := add(cross, mul(mload(add(b, 32)), sar(MIXED_SHIFT, calldataload(add(next, 9)))))
                    cross := add(cross, mul(mload(add(b, 64)), sar(MIXED_SHIFT, calldataload(add(next, 18)))))
                    cross := add(cross, mul(mload(add(b, 96)), sar(MIXED_SHIFT, calldataload(add(next, 27)))))
                    next := add(next, 36)
                }
                next := sub(next, mul(9, shr(5, sub(b, mload(add(x, 96))))))
                // r more than the row's sum is positive, and the same mod r.
                let row := add(ORDER, add(mul(own, mload(a)), shl(1, cross)))
                sum := addmod(sum, mulmod(mload(a), row, ORDER), ORDER)
            }
        }
    }

    /// @dev The same over the public rows.
    function _publics(uint256 gram, Coefficients memory x) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let next := gram
            let end := mload(add(x, 96))
            for { let a := mload(add(x, 64)) } lt(a, end) { a := add(a, 32) } {
                let cross := 0
                let own := sar(PUBLIC_SHIFT, calldataload(next))
                next := add(next, 11)
                let b := add(a, 32)
                for {} lt(b, end) { b := add(b, 128) } {
                    cross := add(cross, mul(mload(b), sar(PUBLIC_SHIFT, calldataload(next))))
                    cross := add(cross, mul(mload(add(b, 32)), sar(PUBLIC_SHIFT, calldataload(add(next, 11)))))
                    cross := add(cross, mul(mload(add(b, 64)), sar(PUBLIC_SHIFT, calldataload(add(next, 22)))))
                    cross := add(cross, mul(mload(add(b, 96)), sar(PUBLIC_SHIFT, calldataload(add(next, 33)))))
                    next := add(next, 44)
                }
                next := sub(next, mul(11, shr(5, sub(b, end))))
                let row := add(ORDER, add(mul(own, mload(a)), shl(1, cross)))
                sum := addmod(sum, mulmod(mload(a), row, ORDER), ORDER)
            }
        }
    }
}
