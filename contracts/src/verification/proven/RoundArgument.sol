// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Bn254, FIELD, ORDER, Point} from "./Bn254.sol";
import {Coefficients, GramForm} from "./GramForm.sol";
import {Evidence} from "./ProvenEvidence.sol";
import {RoundTranscript} from "./RoundTranscript.sol";

/// @notice [tau]_2 of the structured reference string, in EVM order.
struct Tau {
    uint256 xIm;
    uint256 xRe;
    uint256 yIm;
    uint256 yRe;
}

/// @title RoundArgument: that G holds the inner products of the committed rows, and that C_m commits to sum w_a u_a
/// @notice docs/protocol/proof.md has the argument and why it is sound. In short, with U_a the polynomial of row a, of which
/// C_a is the value at a tau that nobody knows (Kate, Zaverucha, Goldberg 2010), and V = sum x_a U_a for random x_a:
///
/// 1. The constant term of V(X) V(1/X) is |sum x_a u_a|^2, which is x^T G x for the right G and nearly never for another. The
///    other terms mirror each other: V(X) V(1/X) = x^T G x + X S(X) + S(1/X) / X. The prover commits to S.
/// 2. At a random z the prover says what V(z), V(1/z) and S(z) are; S(1/z) has to be what makes the equation true.
/// 3. F = S + gamma V + rho (sum w_a U_a - m), whose last part has to be zero, is opened at z and 1/z (Boneh, Drake, Fisch,
///    Gabizon 2020, "Efficient polynomial commitment schemes for multiple points and polynomials", section 4).
///
/// It costs one multiplication per row, four more, and one pairing check, whatever the length of the rows is.
library RoundArgument {
    uint256 private constant ECADD = 6;
    uint256 private constant ECMUL = 7;
    uint256 private constant PAIRING = 8;
    uint256 private constant WEIGHT_AT = 72; // lowest bit of the weight in a word of IGramPolicy
    uint256 private constant HEAD_BYTES = 96; // of the board, before the points of the rows: head and C_m

    /// @notice The commitment of a row is no point, or not the one whose coordinates were given.
    error CommitmentInvalid(uint256 row, uint256 x, uint256 y);
    /// @notice h (z - z^3) = 1 does not hold.
    error InverseInvalid(uint256 h);
    /// @notice The argument is none for this statement.
    error ArgumentInvalid();

    /// @notice What the prover sends, checked for form.
    struct Proof {
        Point s; // C_S
        uint256 v1; // V(z)
        uint256 v2; // V(1/z)
        uint256 s1; // S(z)
        uint256 h; // 1 / (z - z^3)
        Point w; // [W]
        Point wy; // [W']
    }

    /// @notice What is multiplied with what in the one equation that is left.
    struct Opening {
        uint256 gamma;
        uint256 rho;
        uint256 y;
        uint256 atY; // I(y)
        uint256 vanishing; // (y - z)(y - 1/z)
    }

    /// @param words of the policy: the weights.
    /// @param step C_m, which has been checked.
    function check(Evidence memory e, bytes32 head, uint256[] memory words, Point memory step, Tau memory tau)
        internal
        view
    {
        Proof memory proof = _proofAt(e.proof);
        (uint256 board, bytes32 state) = _board(e, head, words, step);
        Coefficients memory x = RoundTranscript.coefficientsOf(state, e.n, e.p);
        Opening memory o = _opening(proof, state, GramForm.valueOf(e.gram, x));
        Point memory sum = _sum(board, x, words, proof, o);
        _checkPairing(sum, proof.wy, tau);
    }

    function _proofAt(uint256 at) private pure returns (Proof memory proof) {
        proof.s = pointAt(at);
        proof.v1 = _scalarAt(at + 64);
        proof.v2 = _scalarAt(at + 96);
        proof.s1 = _scalarAt(at + 128);
        proof.h = _scalarAt(at + 160);
        (proof.w, proof.wy) = (pointAt(at + 192), pointAt(at + 256));
    }

    /// @notice The point (x, y) at `at` in calldata. Reverts if it is none.
    function pointAt(uint256 at) internal pure returns (Point memory point) {
        assembly ("memory-safe") {
            calldatacopy(point, at, 64)
        }
        Bn254.check(point);
    }

    function _scalarAt(uint256 at) private pure returns (uint256 scalar) {
        assembly ("memory-safe") {
            scalar := calldataload(at)
        }
        if (scalar >= ORDER) revert Bn254.ScalarTooLarge(scalar);
    }

    /// @dev Lays out in memory what `state` is the hash of: head, C_m, the points of the rows, G, the weights. The points stay there
    /// for the precompile.
    function _board(Evidence memory e, bytes32 head, uint256[] memory words, Point memory step)
        private
        pure
        returns (uint256 board, bytes32 state)
    {
        assembly ("memory-safe") {
            board := mload(0x40)
            mstore(board, head)
            mcopy(add(board, 32), step, 64)
        }
        uint256 at = board + HEAD_BYTES;
        _placeUpdates(e, at);
        at += 64 * e.n;
        if (e.p != 0) _placePublics(e, at);
        at += 64 * e.p;
        (uint256 gram, uint256 gramBytes) = (e.gram, e.gramBytes);
        assembly ("memory-safe") {
            calldatacopy(at, gram, gramBytes)
            at := add(at, gramBytes)
            for { let i := 1 } iszero(gt(i, mload(words))) { i := add(i, 1) } {
                mstore(at, shr(WEIGHT_AT, mload(add(words, shl(5, i)))))
                at := add(at, 32)
            }
            state := keccak256(board, sub(at, board))
            // To a whole word; and a scalar behind the last point may need more than a small G and its weights.
            mstore(0x40, and(add(at, 63), not(31)))
        }
    }

    /// @dev Points of the updates: x and the parity of y from the row, which is bound by admittedHash; y is given beside it.
    function _placeUpdates(Evidence memory e, uint256 at) private pure {
        uint256 row = e.rows + 5; // behind member and codec
        uint256 ordinate = e.ordinates;
        uint256 end = at + 64 * e.n;
        uint256 wrong; // the first that is no point, plus one
        assembly ("memory-safe") {
            let p := FIELD
            for { let to := at } lt(to, end) { to := add(to, 64) } {
                let word := calldataload(row)
                let x := shr(1, shl(1, word))
                let y := calldataload(ordinate)
                mstore(to, x)
                mstore(add(to, 32), y)
                row := add(row, 69)
                ordinate := add(ordinate, 32)
                // Bn254.isPoint and the parity, which is the top bit of the word.
                let curve := addmod(mulmod(mulmod(x, x, p), x, p), 3, p)
                let valid := or(eq(mulmod(y, y, p), curve), iszero(or(x, y)))
                if iszero(and(and(valid, eq(shr(255, word), and(y, 1))), and(lt(x, p), lt(y, p)))) {
                    wrong := add(to, 1)
                    break
                }
            }
        }
        if (wrong != 0) _refuse((wrong - 1 - at) / 64, wrong - 1);
    }

    function _placePublics(Evidence memory e, uint256 at) private pure {
        uint256 from = e.card + 35;
        uint256 end = at + 64 * e.p;
        uint256 wrong; // as above
        assembly ("memory-safe") {
            let p := FIELD
            calldatacopy(at, from, sub(end, at))
            for { let to := at } lt(to, end) { to := add(to, 64) } {
                let x := mload(to)
                let y := mload(add(to, 32))
                let curve := addmod(mulmod(mulmod(x, x, p), x, p), 3, p)
                let valid := or(eq(mulmod(y, y, p), curve), iszero(or(x, y)))
                if iszero(and(valid, and(lt(x, p), lt(y, p)))) {
                    wrong := add(to, 1)
                    break
                }
            }
        }
        if (wrong != 0) _refuse(e.n + (wrong - 1 - at) / 64, wrong - 1);
    }

    /// @param at where the coordinates lie in memory.
    function _refuse(uint256 row, uint256 at) private pure {
        uint256 x;
        uint256 y;
        assembly ("memory-safe") {
            x := mload(at)
            y := mload(add(at, 32))
        }
        revert CommitmentInvalid(row, x, y);
    }

    /// @dev Challenges, and the value that F has to have at y as far as the prover's words go.
    function _opening(Proof memory proof, bytes32 state, uint256 c) private pure returns (Opening memory o) {
        state = RoundTranscript.afterPoint(state, proof.s);
        uint256 z = RoundTranscript.scalarOf(state);
        uint256 rest = ORDER + 1 - mulmod(z, z, ORDER); // 1 - z^2
        // h is given because it costs 1/40 of what computing it would. It exists unless z = 0 or z^2 = 1.
        if (mulmod(proof.h, mulmod(z, rest, ORDER), ORDER) != 1) revert InverseInvalid(proof.h);
        uint256 inverse = mulmod(proof.h, rest, ORDER); // 1/z
        // S(1/z) = z (V(z) V(1/z) - c - z S(z))
        uint256 s2 = addmod(mulmod(proof.v1, proof.v2, ORDER), ORDER - addmod(c, mulmod(z, proof.s1, ORDER), ORDER), ORDER);
        s2 = mulmod(z, s2, ORDER);
        state = RoundTranscript.afterValues(state, proof.v1, proof.v2, proof.s1);
        (o.gamma, o.rho) = RoundTranscript.halvesOf(state);
        o.y = RoundTranscript.scalarOf(RoundTranscript.afterPoint(state, proof.w));
        uint256 fromZ = addmod(o.y, ORDER - z, ORDER); // y - z
        o.vanishing = mulmod(fromZ, addmod(o.y, ORDER - inverse, ORDER), ORDER);
        // I(y) = f1 + (f2 - f1)(y - z) / (1/z - z), where 1 / (1/z - z) = h z^2
        uint256 f1 = addmod(proof.s1, mulmod(o.gamma, proof.v1, ORDER), ORDER);
        uint256 f2 = addmod(s2, mulmod(o.gamma, proof.v2, ORDER), ORDER);
        uint256 slope = mulmod(addmod(f2, ORDER - f1, ORDER), mulmod(proof.h, mulmod(z, z, ORDER), ORDER), ORDER);
        o.atY = addmod(f1, mulmod(slope, fromZ, ORDER), ORDER);
    }

    /// @dev C_S + sum (gamma x_a + rho w_a) C_a - rho C_m - (y - z)(y - 1/z) [W] + y [W'] - I(y) [1]
    function _sum(uint256 board, Coefficients memory x, uint256[] memory words, Proof memory proof, Opening memory o)
        private
        view
        returns (Point memory sum)
    {
        // The sum so far, and what is added to it: input of ECADD.
        uint256[4] memory pair = [proof.s.x, proof.s.y, 0, 0];
        _addRows(pair, board, x, words, o);
        _addTerm(pair, board + 32, ORDER - o.rho); // C_m; rho < 2^128 is below r
        _addPoint(pair, board, proof.w, ORDER - o.vanishing);
        _addPoint(pair, board, proof.wy, o.y);
        _addPoint(pair, board, Point(1, 2), ORDER - o.atY); // the generator of G1
        return Point(pair[0], pair[1]);
    }

    /// @dev The points of the rows lie one behind the other, 64 bytes each, and the precompile wants a scalar behind a point.
    /// From the last to the first, a scalar falls on a point that has been used, the first of all on G, which has been hashed.
    function _addRows(
        uint256[4] memory pair,
        uint256 board,
        Coefficients memory x,
        uint256[] memory words,
        Opening memory o
    ) private view {
        bool done;
        (uint256 gamma, uint256 rho) = (o.gamma, o.rho);
        assembly ("memory-safe") {
            done := 1
            let first := mload(add(x, 64))
            let at := add(add(board, HEAD_BYTES), shl(1, sub(mload(add(x, 96)), first)))
            at := add(at, shl(6, mload(words)))
            for { let a := mload(add(x, 96)) } gt(a, first) {} {
                a := sub(a, 32)
                at := sub(at, 64)
                mstore(add(at, 64), mul(gamma, mload(a))) // below 2^256
                done := and(done, staticcall(gas(), ECMUL, at, 96, add(pair, 64), 64))
                done := and(done, staticcall(gas(), ECADD, pair, 128, pair, 64))
            }
            first := mload(x)
            let word := add(words, shl(5, mload(words)))
            for { let a := mload(add(x, 32)) } gt(a, first) { word := sub(word, 32) } {
                a := sub(a, 32)
                at := sub(at, 64)
                // below 2^256, and below 2^128 2^17
                mstore(add(at, 64), addmod(mul(gamma, mload(a)), mul(rho, shr(WEIGHT_AT, mload(word))), ORDER))
                done := and(done, staticcall(gas(), ECMUL, at, 96, add(pair, 64), 64))
                done := and(done, staticcall(gas(), ECADD, pair, 128, pair, 64))
            }
        }
        if (!done) revert Bn254.PrecompileFailed(ECMUL);
    }

    /// @dev Adds scalar times the point at `at` in memory, behind which a word is free.
    function _addTerm(uint256[4] memory pair, uint256 at, uint256 scalar) private view {
        bool done;
        assembly ("memory-safe") {
            mstore(add(at, 64), scalar)
            done := staticcall(gas(), ECMUL, at, 96, add(pair, 64), 64)
            done := and(done, staticcall(gas(), ECADD, pair, 128, pair, 64))
        }
        if (!done) revert Bn254.PrecompileFailed(ECMUL);
    }

    /// @param at three words of memory that are not needed any more.
    function _addPoint(uint256[4] memory pair, uint256 at, Point memory point, uint256 scalar) private view {
        assembly ("memory-safe") {
            mcopy(at, point, 64)
        }
        _addTerm(pair, at, scalar);
    }

    /// @dev e(sum, [1]_2) e(-W', [tau]_2) = 1
    function _checkPairing(Point memory sum, Point memory wy, Tau memory tau) private view {
        uint256[12] memory input = [
            sum.x,
            sum.y,
            Bn254.G2_X_IM,
            Bn254.G2_X_RE,
            Bn254.G2_Y_IM,
            Bn254.G2_Y_RE,
            wy.x,
            (FIELD - wy.y) % FIELD, // zero stays zero
            tau.xIm,
            tau.xRe,
            tau.yIm,
            tau.yRe
        ];
        bool done;
        uint256 answer;
        assembly ("memory-safe") {
            mstore(0x00, 0)
            done := staticcall(gas(), PAIRING, input, 384, 0x00, 32)
            answer := mload(0x00)
        }
        if (!done) revert Bn254.PrecompileFailed(PAIRING);
        if (answer != 1) revert ArgumentInvalid();
    }
}
