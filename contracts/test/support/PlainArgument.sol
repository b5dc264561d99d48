// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRoundVerifier} from "../../src/interfaces/IRoundVerifier.sol";
import {FIELD, ORDER, Point} from "../../src/verification/proven/Bn254.sol";

/// @notice What RoundTranscript, GramForm and RoundArgument do in assembly, and nothing but that: one thing after the other, by
/// abi.encode, over arrays. Tests compare the two, and the prover of the tests takes its challenges from here.

/// @notice The counts of a round.
struct Shape {
    uint256 n;
    uint256 steps;
    uint256 trainable;
    uint256 values;
}

/// @notice What the prover sends.
struct RoundProof {
    Point s;
    uint256 v1;
    uint256 v2;
    uint256 s1;
    uint256 h;
    Point w;
    Point wy;
}

/// @notice All challenges of a proof.
struct Challenges {
    uint256[] x;
    uint256 z;
    uint256 gamma;
    uint256 rho;
    uint256 y;
}

/// @title PlainGram: the packed upper triangle of a Gram matrix
library PlainGram {
    /// @notice Bytes of the entry (a, b).
    function sizeOf(uint256 a, uint256 b, uint256 n) internal pure returns (uint256) {
        return a >= n ? 11 : b >= n ? 9 : 7;
    }

    /// @notice Entries (a, b), a <= b, row by row.
    function pack(int256[] memory entries, uint256 n, uint256 p) internal pure returns (bytes memory gram) {
        gram = new bytes((7 * n * (n + 1) + 11 * p * (p + 1)) / 2 + 9 * n * p);
        uint256 entry;
        uint256 at;
        for (uint256 a; a < n + p; ++a) {
            for (uint256 b = a; b < n + p; ++b) {
                uint256 value = uint256(entries[entry++]);
                for (uint256 size = sizeOf(a, b, n); size != 0; --size) gram[at++] = bytes1(uint8(value >> 8 * (size - 1)));
            }
        }
    }

    /// @notice sum_ab x_a x_b G_ab mod r, both triangles.
    function formOf(int256[] memory entries, uint256[] memory x) internal pure returns (uint256 sum) {
        uint256 at;
        for (uint256 a; a < x.length; ++a) {
            for (uint256 b = a; b < x.length; ++b) {
                uint256 term = mulmod(mulmod(x[a], x[b], ORDER), PlainField.from(entries[at++]), ORDER);
                sum = addmod(sum, term, ORDER);
                if (a != b) sum = addmod(sum, term, ORDER);
            }
        }
    }
}

/// @title PlainField: integers mod r
library PlainField {
    function from(int256 value) internal pure returns (uint256) {
        return value >= 0 ? uint256(value) % ORDER : (ORDER - uint256(-value) % ORDER) % ORDER;
    }

    function neg(uint256 a) internal pure returns (uint256) {
        return (ORDER - a) % ORDER;
    }

    function sub(uint256 a, uint256 b) internal pure returns (uint256) {
        return addmod(a, neg(b), ORDER);
    }

    /// @notice a^(r - 2), by squaring; 0 for 0.
    function inverse(uint256 a) internal pure returns (uint256 result) {
        result = 1;
        for (uint256 e = ORDER - 2; e != 0; e >>= 1) {
            if (e & 1 == 1) result = mulmod(result, a, ORDER);
            a = mulmod(a, a, ORDER);
        }
    }
}

/// @title PlainCurve: the precompiles of EIP-196 and EIP-197
library PlainCurve {
    function mul(Point memory point, uint256 scalar) internal view returns (Point memory product) {
        (bool done, bytes memory answer) = address(7).staticcall(abi.encode(point, scalar));
        require(done, "no point");
        return abi.decode(answer, (Point));
    }

    function add(Point memory a, Point memory b) internal view returns (Point memory sum) {
        (bool done, bytes memory answer) = address(6).staticcall(abi.encode(a, b));
        require(done, "no point");
        return abi.decode(answer, (Point));
    }

    function neg(Point memory a) internal pure returns (Point memory) {
        return Point(a.x, a.y == 0 ? 0 : FIELD - a.y);
    }

    /// @notice scalar times the generator.
    function base(uint256 scalar) internal view returns (Point memory) {
        return mul(Point(1, 2), scalar);
    }

    function compress(Point memory a) internal pure returns (bytes32) {
        return bytes32(a.y % 2 == 1 ? a.x + (1 << 255) : a.x);
    }

    /// @param tau [tau]_2 in EVM order.
    function pairs(Point memory a, Point memory b, uint256[4] memory tau) internal view returns (bool) {
        uint256[4] memory one = [
            0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2,
            0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed,
            0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b,
            0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa
        ];
        (bool done, bytes memory answer) = address(8).staticcall(abi.encode(a, one, b, tau));
        require(done, "no point");
        return abi.decode(answer, (bool));
    }
}

/// @title PlainArgument: transcript and check
library PlainArgument {
    /// @notice The state that all challenges follow from.
    function stateOf(
        IRoundVerifier.Statement memory s,
        address verifier,
        Shape memory shape,
        Claim memory claim,
        bytes memory gram
    ) internal view returns (bytes32) {
        bytes memory head = abi.encode(keccak256("Cohort round proof 1"), block.chainid, verifier);
        head = bytes.concat(head, abi.encode(s.market, s.project, s.round, s.dimension, shape));
        head = bytes.concat(head, abi.encode(s.admittedHash, s.validation, s.publicRows, s.policyHash, s.outcomesHash));
        head = bytes.concat(head, abi.encode(s.previousModel, s.nextModel));
        bytes memory said = bytes.concat(keccak256(head), abi.encode(claim.step));
        for (uint256 a; a < claim.rows.length; ++a) said = bytes.concat(said, abi.encode(claim.rows[a]));
        return keccak256(bytes.concat(said, gram, abi.encodePacked(claim.weights)));
    }

    function challengesOf(bytes32 state, uint256 rows, RoundProof memory proof)
        internal
        pure
        returns (Challenges memory c)
    {
        c.x = new uint256[](rows);
        for (uint256 a; a < rows; ++a) c.x[a] = uint256(keccak256(abi.encode(state, a))) % (1 << 128);
        state = keccak256(abi.encode(state, proof.s));
        c.z = uint256(state) % ORDER;
        state = keccak256(abi.encode(state, proof.v1, proof.v2, proof.s1));
        (c.gamma, c.rho) = (uint256(state) / (1 << 128), uint256(state) % (1 << 128));
        c.y = uint256(keccak256(abi.encode(state, proof.w))) % ORDER;
    }

    /// @notice S(1/z) = z (v1 v2 - c - z s1).
    function mirrored(RoundProof memory proof, uint256 z, uint256 c) internal pure returns (uint256) {
        uint256 rest = PlainField.sub(mulmod(proof.v1, proof.v2, ORDER), c);
        return mulmod(z, PlainField.sub(rest, mulmod(z, proof.s1, ORDER)), ORDER);
    }

    /// @notice I(at), the line through (z, f1) and (1/z, f2).
    function lineAt(uint256 at, uint256 z, uint256 f1, uint256 f2) internal pure returns (uint256) {
        uint256 run = PlainField.inverse(PlainField.sub(PlainField.inverse(z), z));
        uint256 slope = mulmod(PlainField.sub(f2, f1), run, ORDER);
        return addmod(f1, mulmod(slope, PlainField.sub(at, z), ORDER), ORDER);
    }

    /// @notice What a proof is about.
    struct Claim {
        bytes32 state;
        Point step;
        Point[] rows;
        int256[] gram;
        uint256[] weights;
    }

    /// @notice Whether the proof holds, apart from the form of its parts.
    function holds(Claim memory claim, RoundProof memory proof, uint256[4] memory tau) internal view returns (bool) {
        Challenges memory c = challengesOf(claim.state, claim.rows.length, proof);
        uint256 inverse = mulmod(c.z, PlainField.sub(1, mulmod(c.z, c.z, ORDER)), ORDER);
        if (proof.h != PlainField.inverse(inverse) || proof.h == 0) return false;
        Point memory sum = _weighted(claim.rows, claim.weights, c);
        sum = PlainCurve.add(sum, proof.s);
        sum = PlainCurve.add(sum, PlainCurve.neg(PlainCurve.mul(claim.step, c.rho)));
        sum = PlainCurve.add(sum, PlainCurve.neg(PlainCurve.base(_line(claim, proof, c))));
        uint256 zi = PlainField.inverse(c.z);
        uint256 vanishing = mulmod(PlainField.sub(c.y, c.z), PlainField.sub(c.y, zi), ORDER);
        sum = PlainCurve.add(sum, PlainCurve.neg(PlainCurve.mul(proof.w, vanishing)));
        sum = PlainCurve.add(sum, PlainCurve.mul(proof.wy, c.y));
        return PlainCurve.pairs(sum, PlainCurve.neg(proof.wy), tau);
    }

    /// @dev I(y)
    function _line(Claim memory claim, RoundProof memory proof, Challenges memory c) private pure returns (uint256) {
        uint256 s2 = mirrored(proof, c.z, PlainGram.formOf(claim.gram, c.x));
        uint256 f1 = addmod(proof.s1, mulmod(c.gamma, proof.v1, ORDER), ORDER);
        uint256 f2 = addmod(s2, mulmod(c.gamma, proof.v2, ORDER), ORDER);
        return lineAt(c.y, c.z, f1, f2);
    }

    function _weighted(Point[] memory rows, uint256[] memory weights, Challenges memory c)
        private
        view
        returns (Point memory sum)
    {
        for (uint256 a; a < rows.length; ++a) {
            uint256 weight = a < weights.length ? weights[a] : 0;
            uint256 scalar = addmod(mulmod(c.gamma, c.x[a], ORDER), mulmod(c.rho, weight, ORDER), ORDER);
            sum = PlainCurve.add(sum, PlainCurve.mul(rows[a], scalar));
        }
    }
}
