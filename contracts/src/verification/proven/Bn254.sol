// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @dev p, the modulus of coordinates (EIP-196).
uint256 constant FIELD = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;
/// @dev r, the order of G1, G2 and the target group (EIP-197): the modulus of scalars.
uint256 constant ORDER = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

/// @notice A point of G1 by its affine coordinates; (0, 0) stands for infinity, as in EIP-196.
struct Point {
    uint256 x;
    uint256 y;
}

/// @title Bn254: the curve y^2 = x^3 + 3 over F_p, and what EIP-196 and EIP-197 compute on it
/// @notice A precompile that is given a malformed point takes all gas it was given. So every point that comes from outside
/// is checked here first; what is given to a precompile afterwards can only fail for want of gas.
///
/// G1 has the prime order r (cofactor 1): being on the curve is being in the group.
library Bn254 {
    /// @dev In a compressed point, the parity of y stands above x, which has 254 bits.
    uint256 internal constant PARITY = 1 << 255;

    /// @dev Generator of G2 (EIP-197); coordinates in F_p^2 with the imaginary part first.
    uint256 internal constant G2_X_IM = 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 internal constant G2_X_RE = 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 internal constant G2_Y_IM = 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b;
    uint256 internal constant G2_Y_RE = 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa;

    /// @dev Gas that is enough for pairing one pair, which takes 79,000 (EIP-1108).
    uint256 private constant ONE_PAIR = 100_000;

    /// @notice Not a point of G1: a coordinate is p or more, or the curve's equation does not hold.
    error PointInvalid(uint256 x, uint256 y);
    /// @notice A scalar has exactly one form, below r.
    error ScalarTooLarge(uint256 found);
    /// @notice A precompile gave no answer: gas has run out, or the chain has none at this address.
    error PrecompileFailed(uint256 precompile);

    /// @notice Whether (x, y) is a point of G1, infinity included, in the one form that it has.
    function isPoint(uint256 x, uint256 y) internal pure returns (bool valid) {
        assembly ("memory-safe") {
            let p := FIELD
            // x < p and y < p and (y^2 = x^3 + 3 or x = y = 0)
            valid :=
                and(
                    and(lt(x, p), lt(y, p)),
                    or(eq(mulmod(y, y, p), addmod(mulmod(mulmod(x, x, p), x, p), 3, p)), iszero(or(x, y)))
                )
        }
    }

    function check(Point memory point) internal pure {
        if (!isPoint(point.x, point.y)) revert PointInvalid(point.x, point.y);
    }

    /// @notice The one word that stands for a point: x, with the parity of y in bit 255; infinity is zero. No point has x = 0,
    /// because 3 is not a square mod p. Of y and p - y exactly one is odd, so a word stands for one point.
    function compress(Point memory point) internal pure returns (bytes32) {
        return bytes32(point.x | (point.y & 1) << 255);
    }

    /// @notice The point that `word` stands for, if `y` is its other coordinate.
    function decompress(bytes32 word, uint256 y) internal pure returns (Point memory point) {
        point = Point(uint256(word) & ~PARITY, y);
        check(point);
        if (compress(point) != word) revert PointInvalid(point.x, y);
    }

    function add(Point memory a, Point memory b) internal view returns (Point memory sum) {
        bool done;
        assembly ("memory-safe") {
            let free := mload(0x40) // nothing of this is kept
            mcopy(free, a, 64)
            mcopy(add(free, 64), b, 64)
            done := staticcall(gas(), 6, free, 128, sum, 64)
        }
        if (!done) revert PrecompileFailed(6);
    }

    /// @notice Whether `point` (EVM order) can be [tau]_2: in G2, not infinity and not the generator. Who deploys a verifier asks
    /// once. EIP-197 checks curve and subgroup, so that pairing it with infinity is enough; the answer also shows that this chain
    /// has the precompile.
    function isSecond(uint256[4] memory point) internal view returns (bool) {
        if (point[0] | point[1] | point[2] | point[3] == 0) return false;
        bytes32 generator = keccak256(abi.encode(G2_X_IM, G2_X_RE, G2_Y_IM, G2_Y_RE));
        if (keccak256(abi.encode(point)) == generator) return false;
        (bool done, bytes memory answer) =
            address(8).staticcall{gas: ONE_PAIR}(abi.encode(uint256(0), uint256(0), point));
        return done && answer.length == 32 && abi.decode(answer, (uint256)) == 1;
    }
}
