// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ORDER, Point} from "../../src/verification/proven/Bn254.sol";
import {Challenges, PlainArgument, PlainCurve, PlainField, RoundProof} from "./PlainArgument.sol";

/// @title Polynomials: coefficients mod r, the lowest first
library Polynomials {
    function at(uint256[] memory f, uint256 point) internal pure returns (uint256 value) {
        for (uint256 i = f.length; i != 0; --i) value = addmod(mulmod(value, point, ORDER), f[i - 1], ORDER);
    }

    /// @notice f + factor g, where g is not longer than f.
    function addScaled(uint256[] memory f, uint256[] memory g, uint256 factor) internal pure {
        for (uint256 i; i < g.length; ++i) f[i] = addmod(f[i], mulmod(factor, g[i], ORDER), ORDER);
    }

    /// @notice The quotient of f by X - root; the remainder is left out, as a prover who lies has to.
    function divide(uint256[] memory f, uint256 root) internal pure returns (uint256[] memory quotient) {
        quotient = new uint256[](f.length);
        for (uint256 i = f.length - 1; i != 0; --i) {
            quotient[i - 1] = addmod(f[i], mulmod(root, quotient[i], ORDER), ORDER);
        }
    }

    function from(int256[] memory vector) internal pure returns (uint256[] memory f) {
        f = new uint256[](vector.length);
        for (uint256 i; i < vector.length; ++i) f[i] = PlainField.from(vector[i]);
    }

    /// @notice S with V(X) V(1/X) = c + X S(X) + S(1/X) / X.
    function mirrorOf(uint256[] memory v) internal pure returns (uint256[] memory s) {
        s = new uint256[](v.length);
        for (uint256 k = 1; k < v.length; ++k) {
            for (uint256 i; i + k < v.length; ++i) s[k - 1] = addmod(s[k - 1], mulmod(v[i], v[i + k], ORDER), ORDER);
        }
    }
}

/// @title PlainProver: proofs for rows of a few entries
/// @notice Commits by a tau that everybody knows: tests only. It uses tau for nothing else: all quotients are divided as polynomials,
/// so that what it cannot prove, nobody can who does not know tau.
library PlainProver {
    using Polynomials for uint256[];

    uint256 internal constant TAU = 0x21573c9f50f0ebbad558f22088892255eaa2b7f8851e8dcb8504d24287ee4993;

    /// @notice What is proven from: polynomials of the rows and of the step, weights, and the claimed c of each x.
    struct Secret {
        uint256[][] rows;
        uint256[] weights;
        uint256[] step;
        uint256 c;
    }

    /// @notice [TAU]_2 in EVM order.
    function second() internal pure returns (uint256[4] memory) {
        return [
            0x1519c574a2f8d49753ad924d5cb220f4878a268e1f56ebb4938c6102ca92774a,
            0x2f461e3bf83f7c909e16467f4950a69ecc10e3d96c80f3d66107188a4180dee4,
            0x03b39206653a4fb88b0b8d230b1447f2eb5023c7231db54ca31369a196fd9ab6,
            0x0b6b98ff2e3f868bf9a2e9ce651de7497843230e97f4dd687716ab32941ce67c
        ];
    }

    function commit(uint256[] memory f) internal view returns (Point memory) {
        return PlainCurve.base(f.at(TAU));
    }

    /// @param x coefficients that follow from the statement.
    function combined(uint256[][] memory rows, uint256[] memory x) internal pure returns (uint256[] memory v) {
        v = new uint256[](rows[0].length);
        for (uint256 a; a < rows.length; ++a) v.addScaled(rows[a], x[a]);
    }

    function prove(bytes32 state, Secret memory secret) internal view returns (RoundProof memory proof) {
        Challenges memory c = PlainArgument.challengesOf(state, secret.rows.length, proof);
        uint256[] memory v = combined(secret.rows, c.x);
        return proveWith(state, secret, v, v.mirrorOf());
    }

    /// @notice With any V and S.
    function proveWith(bytes32 state, Secret memory secret, uint256[] memory v, uint256[] memory s)
        internal
        view
        returns (RoundProof memory proof)
    {
        uint256 count = secret.rows.length;
        proof.s = commit(s);
        Challenges memory c = PlainArgument.challengesOf(state, count, proof);
        uint256 zi = PlainField.inverse(c.z);
        proof.h = PlainField.inverse(mulmod(c.z, PlainField.sub(1, mulmod(c.z, c.z, ORDER)), ORDER));
        (proof.v1, proof.v2, proof.s1) = (v.at(c.z), v.at(zi), s.at(c.z));
        c = PlainArgument.challengesOf(state, count, proof);
        uint256[] memory f = _batched(secret, c, v, s);
        uint256 s2 = PlainArgument.mirrored(proof, c.z, secret.c);
        uint256 f1 = addmod(proof.s1, mulmod(c.gamma, proof.v1, ORDER), ORDER);
        uint256 f2 = addmod(s2, mulmod(c.gamma, proof.v2, ORDER), ORDER);
        uint256[] memory w = _quotient(f, c.z, zi, f1, f2);
        proof.w = commit(w);
        c = PlainArgument.challengesOf(state, count, proof);
        f[0] = PlainField.sub(f[0], PlainArgument.lineAt(c.y, c.z, f1, f2));
        uint256 vanishing = mulmod(PlainField.sub(c.y, c.z), PlainField.sub(c.y, zi), ORDER);
        f.addScaled(w, PlainField.neg(vanishing));
        proof.wy = commit(f.divide(c.y));
    }

    /// @dev F = S + gamma V + rho (sum w_a U_a - m)
    function _batched(Secret memory secret, Challenges memory c, uint256[] memory v, uint256[] memory s)
        private
        pure
        returns (uint256[] memory f)
    {
        f = new uint256[](s.length);
        f.addScaled(s, 1);
        f.addScaled(v, c.gamma);
        for (uint256 a; a < secret.weights.length; ++a) {
            f.addScaled(secret.rows[a], mulmod(c.rho, secret.weights[a], ORDER));
        }
        f.addScaled(secret.step, PlainField.neg(c.rho));
    }

    /// @dev (F - I) / ((X - z)(X - 1/z))
    function _quotient(uint256[] memory f, uint256 z, uint256 zi, uint256 f1, uint256 f2)
        private
        pure
        returns (uint256[] memory)
    {
        uint256[] memory rest = new uint256[](f.length);
        rest.addScaled(f, 1);
        uint256 line = PlainArgument.lineAt(0, z, f1, f2);
        rest[0] = PlainField.sub(rest[0], line);
        rest[1] = PlainField.sub(rest[1], PlainField.sub(PlainArgument.lineAt(1, z, f1, f2), line));
        return rest.divide(z).divide(zi);
    }
}
