// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Cosines} from "./Cosines.sol";
import {INVERSE, LANES, LENGTH, Round, STRIDE, Table, Y, X} from "./Table.sol";

/// @title Pairs: all that is computed for every two rows, in one pass
/// @notice W_ab = <a, b> / (|a| |b|), 40 fraction bits, towards zero, and its sums; and the cosine of what is new in both,
/// |T_ab| / sqrt(T_aa T_bb) with T_ab = W_ab - sum_k q_ak q_bk, below 2^43 in size: 15 fraction bits, in lanes of 16. 1 / sqrt(T_aa)
/// has 35 fraction bits and is at most 2^45, so that a cosine before its shift stays below 2^133.
///
/// Rows that do not take part have a length of zero, and so no cosine with anybody: division by zero is zero.
library Pairs {
    using Table for Round;

    uint256 internal constant CLONE_LIMIT = 989560464998; // floor(0.9 * 2^40): rows nearer than that are one player
    uint256 private constant MOST_COSINE = 0x7fff;
    uint256 private constant HALF_LANE = 1 << 191; // see Coordinates
    // Of the flags of a row: a cosine exceeds the limit; one of what is new has no room in 15 bits.
    uint256 private constant NEAR_BIT = 255;
    uint256 private constant COSINES_AT = 110;

    /// @notice Fills links, lanes and sums of all rows; stops at the first two that are nearly the same.
    function fill(Round memory round) internal pure returns (bool near) {
        uint256 end = round.at(round.n);
        uint256 place = round.gram + Cosines.UPDATE_BYTES;
        uint256 record = round.table;
        uint256 lane = LANES;
        uint256 step = Cosines.rowBytes(round, 0);
        uint256 links = _reserve(round);
        unchecked {
            for (uint256 others = round.n - 1; record < end; --others) {
                uint256 flags = _fillRow(record, end, place, lane, links);
                if (flags >> NEAR_BIT != 0) return true;
                if (flags >> COSINES_AT != 0) _compareRow(record, end, lane, links);
                place += step;
                step -= Cosines.UPDATE_BYTES;
                lane += 2;
                links += 32 * others;
                record += STRIDE;
            }
        }
        return false;
    }

    /// @notice Fills the lanes anew from links and coordinates: when players have been formed from rows.
    function compare(Round memory round) internal pure {
        uint256 end = round.at(round.players);
        uint256 record = round.table;
        uint256 lane = LANES;
        uint256 links = round.links;
        unchecked {
            for (uint256 others = round.players - 1; record < end; --others) {
                _compareRow(record, end, lane, links);
                lane += 2;
                links += 32 * others;
                record += STRIDE;
            }
        }
    }

    function _reserve(Round memory round) private pure returns (uint256 links) {
        unchecked {
            links = Table.reserve(round.n * (round.n - 1) / 2);
        }
        round.links = links;
    }

    /// @dev One row with those after it. A lane is written with zeros behind it, in order of the rows, so that nothing that is
    /// there is overwritten.
    /// @param place of its first entry with another row in calldata, 7 bytes each, signed.
    /// @param lane where records have the cosine with it.
    /// @return flags bit 255: a cosine exceeds the limit; from bit 110 on, if not: one of what is new has no room in 15 bits.
    function _fillRow(uint256 record, uint256 end, uint256 place, uint256 lane, uint256 links)
        private
        pure
        returns (uint256 flags)
    {
        assembly ("memory-safe") {
            let length := mload(add(record, LENGTH))
            let x := mload(add(record, X))
            let inverse := mload(add(record, INVERSE))
            let sum := mload(record)
            let half := HALF_LANE // kept at hand: the optimizer would compute it each time
            let to := add(add(record, lane), 2)
            let other := add(record, STRIDE)
            if iszero(and(div(sub(end, record), STRIDE), 1)) {
                // An odd number of others: the first one alone.
                let w := sdiv(shl(104, sar(200, calldataload(place))), mul(length, mload(add(other, LENGTH))))
                mstore(links, w)
                mstore(other, add(mload(other), w))
                sum := add(sum, w)
                let t := sub(w, sar(212, add(half, mul(x, mload(add(other, Y))))))
                t := mul(mul(mul(t, or(sar(255, t), 1)), inverse), mload(add(other, INVERSE)))
                flags := or(or(flags, sub(CLONE_LIMIT, w)), t)
                t := shl(240, shr(95, t))
                mstore(to, t)
                mstore(add(other, lane), t)
                other := add(other, STRIDE)
                place := add(place, 7)
                links := add(links, 32)
                to := add(to, 2)
            }
            for {} lt(other, end) {} {
                let w := sdiv(shl(104, sar(200, calldataload(place))), mul(length, mload(add(other, LENGTH))))
                mstore(links, w)
                mstore(other, add(mload(other), w))
                sum := add(sum, w)
                let t := sub(w, sar(212, add(half, mul(x, mload(add(other, Y))))))
                t := mul(mul(mul(t, or(sar(255, t), 1)), inverse), mload(add(other, INVERSE)))
                flags := or(or(flags, sub(CLONE_LIMIT, w)), t)
                t := shl(240, shr(95, t))
                mstore(to, t)
                mstore(add(other, lane), t)
                other := add(other, STRIDE)
                w := sdiv(shl(104, sar(200, calldataload(add(place, 7)))), mul(length, mload(add(other, LENGTH))))
                mstore(add(links, 32), w)
                mstore(other, add(mload(other), w))
                sum := add(sum, w)
                t := sub(w, sar(212, add(half, mul(x, mload(add(other, Y))))))
                t := mul(mul(mul(t, or(sar(255, t), 1)), inverse), mload(add(other, INVERSE)))
                flags := or(or(flags, sub(CLONE_LIMIT, w)), t)
                t := shl(240, shr(95, t))
                mstore(add(to, 2), t)
                mstore(add(other, lane), t)
                other := add(other, STRIDE)
                place := add(place, 14)
                links := add(links, 64)
                to := add(to, 4)
            }
            mstore(record, sum)
        }
    }

    /// @dev The lanes alone, each at most 15 bits.
    function _compareRow(uint256 record, uint256 end, uint256 lane, uint256 links) private pure {
        assembly ("memory-safe") {
            let to := add(add(record, lane), 2)
            for { let other := add(record, STRIDE) } lt(other, end) { other := add(other, STRIDE) } {
                let t := mul(mload(add(record, X)), mload(add(other, Y)))
                t := sub(mload(links), sar(212, add(HALF_LANE, t)))
                t := xor(add(t, sar(255, t)), sar(255, t))
                t := shr(95, mul(mul(t, mload(add(record, INVERSE))), mload(add(other, INVERSE))))
                if gt(t, MOST_COSINE) { t := MOST_COSINE }
                t := shl(240, t)
                mstore(to, t)
                mstore(add(other, lane), t)
                to := add(to, 2)
                links := add(links, 32)
            }
        }
    }
}
