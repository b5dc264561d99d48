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
/// Entries are taken four or three at a time. What is read beyond the end of a row meets a coefficient of zero.
library GramForm {
    // How far to shift a word for the entry in its first bytes: 256 - 8 * bytes of the entry.
    uint256 private constant UPDATE_SHIFT = 200;
    uint256 private constant MIXED_SHIFT = 184;
    uint256 private constant PUBLIC_SHIFT = 168;

    /// @param gram where G lies in calldata.
    function valueOf(uint256 gram, Coefficients memory x) internal pure returns (uint256 sum) {
        uint256 publicGram;
        (sum, publicGram) = _updates(gram, x.updates, x.updatesEnd, x.publics, x.publicsEnd);
        return addmod(sum, _publics(publicGram, x.publics, x.publicsEnd), ORDER);
    }

    /// @dev Sum over the rows of updates: x_a (G_aa x_a + 2 sum_{b > a} G_ab x_b). `next`: where the other rows lie.
    function _updates(uint256 gram, uint256 a, uint256 end, uint256 publics, uint256 publicsEnd)
        private
        pure
        returns (uint256 sum, uint256 next)
    {
        assembly ("memory-safe") {
            let r := ORDER // kept at hand: the optimizer puts a constant that is used often where it costs more to fetch
            next := gram
            for {} lt(a, end) { a := add(a, 32) } {
                let own := mul(sar(UPDATE_SHIFT, calldataload(next)), mload(a))
                next := add(next, 7)
                let cross := 0
                let b := add(a, 32)
                for {} lt(b, end) { b := add(b, 128) } {
                    cross :=
                        add(
                            add(
                                mul(sar(UPDATE_SHIFT, calldataload(add(next, 21))), mload(add(b, 96))),
                                mul(sar(UPDATE_SHIFT, calldataload(add(next, 14))), mload(add(b, 64)))
                            ),
                            add(
                                mul(sar(UPDATE_SHIFT, calldataload(add(next, 7))), mload(add(b, 32))),
                                add(mul(sar(UPDATE_SHIFT, calldataload(next)), mload(b)), cross)
                            )
                        )
                    next := add(next, 28)
                }
                next := sub(next, mul(7, shr(5, sub(b, end))))
                b := publics
                for {} lt(b, publicsEnd) { b := add(b, 96) } {
                    cross :=
                        add(
                            add(
                                mul(sar(MIXED_SHIFT, calldataload(add(next, 18))), mload(add(b, 64))),
                                mul(sar(MIXED_SHIFT, calldataload(add(next, 9))), mload(add(b, 32)))
                            ),
                            add(mul(sar(MIXED_SHIFT, calldataload(next)), mload(b)), cross)
                        )
                    next := add(next, 27)
                }
                next := sub(next, mul(9, shr(5, sub(b, publicsEnd))))
                // r more than the row's sum is positive, and the same mod r.
                sum := addmod(sum, mulmod(mload(a), add(add(own, shl(1, cross)), r), r), r)
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
