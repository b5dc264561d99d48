"""Points of BN254 (alt_bn128 of EIP-196 and EIP-197): their encodings, and the few operations that are not bulk.

G1: y^2 = x^3 + 3 over F_p, of prime order r. Canonical encoding ("compressed", 32 bytes): x big-endian with bit 255 set
iff y is odd; the point at infinity is 32 zero bytes (3 is no square mod p, so that no point has x = 0). In EVM calldata
and in the transcript a point is x || y, 64 bytes big-endian, (0, 0) for infinity, as the precompiles have it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cohort_protocol.proof.errors import PointMalformed
from cohort_protocol.proof.library import (
    FIELD,
    G1_BYTES,
    G2_BYTES,
    GT_BYTES,
    ORDER,
    from_montgomery,
    library,
    to_montgomery,
)

__all__ = [
    "FIELD",
    "G2_GENERATOR",
    "GENERATOR",
    "INFINITY",
    "ORDER",
    "Point",
    "Twist",
    "add",
    "check_twist",
    "combine",
    "compress",
    "decompress",
    "multiply",
    "multiply_twist",
    "negate",
    "pairing_is_one",
]

_ODD = 1 << 255

Twist = tuple[int, int, int, int]
"""A point of G2 in the EVM's order (EIP-197): imaginary and real part of x, then of y. Not infinity."""

G2_GENERATOR: Twist = (
    11559732032986387107991004021392285783925812861821192530917403151452391805634,
    10857046999023057135944570762232829481370756359578518086990519993285655852781,
    4082367875863433681332203403145435568316851327593401208105741076214120093531,
    8495653923123431417604973247489272438418190587263600148770280649306958101930,
)
"""[1]_2 of EIP-197."""


@dataclass(frozen=True)
class Point:
    """A point of G1, affine: 0 <= x, y < p; (0, 0) is the point at infinity.

    Raises `PointMalformed` for anything that is not on the curve."""

    x: int
    y: int

    def __post_init__(self) -> None:
        if not (0 <= self.x < FIELD and 0 <= self.y < FIELD):
            raise PointMalformed(f"a coordinate is not below the field's modulus: ({self.x}, {self.y})")
        if (self.x or self.y) and (self.y * self.y - self.x**3 - 3) % FIELD:
            raise PointMalformed(f"({self.x}, {self.y}) is not on y^2 = x^3 + 3")

    @property
    def is_infinity(self) -> bool:
        """The neutral element, which commits to the zero vector."""
        return not self.x and not self.y

    def words(self) -> bytes:
        """x || y, 64 bytes: as in calldata and in the transcript."""
        return self.x.to_bytes(32, "big") + self.y.to_bytes(32, "big")

    @classmethod
    def from_words(cls, data: bytes) -> Self:
        """The inverse of `words`. Raises `PointMalformed`."""
        if len(data) != 64:
            raise PointMalformed(f"a point has 64 bytes, found {len(data)}")
        return cls(int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big"))

    def memory(self) -> bytes:
        """As the library has it: 96 bytes."""
        if self.is_infinity:
            return bytes(G1_BYTES)
        return b"".join(to_montgomery(value, FIELD) for value in (self.x, self.y, 1))

    @classmethod
    def from_memory(cls, data: bytes) -> Self:
        """From what the library computed, normalised or not."""
        normal = ctypes.create_string_buffer(bytes(data), G1_BYTES)
        library().G1_normalize(normal, normal)
        if not any(normal.raw[64:]):
            return cls(0, 0)
        return cls(from_montgomery(normal.raw[:32], FIELD), from_montgomery(normal.raw[32:64], FIELD))


INFINITY = Point(0, 0)
GENERATOR = Point(1, 2)
"""[1]_1 of EIP-196."""


def compress(point: Point) -> bytes:
    """The canonical encoding, 32 bytes."""
    return (point.x | (_ODD if point.y & 1 else 0)).to_bytes(32, "big")


def decompress(data: bytes) -> Point:
    """The point that these 32 bytes encode. Raises `PointMalformed` for everything that `compress` does not make."""
    if len(data) != 32:
        raise PointMalformed(f"an encoded point has 32 bytes, found {len(data)}")
    word = int.from_bytes(data, "big")
    if not word:
        return INFINITY
    x, odd = word & ~_ODD, bool(word & _ODD)
    if x >= FIELD:
        raise PointMalformed(f"0x{data.hex()}: x is not below the field's modulus")
    square = (x * x * x + 3) % FIELD
    y = pow(square, (FIELD + 1) // 4, FIELD)  # p = 3 mod 4
    if y * y % FIELD != square:
        raise PointMalformed(f"0x{data.hex()}: no point of the curve has this x")
    return Point(x, y if bool(y & 1) == odd else FIELD - y)


def negate(point: Point) -> Point:
    """-point."""
    return Point(point.x, -point.y % FIELD)


def add(*points: Point) -> Point:
    """The sum of any number of points."""
    total = ctypes.create_string_buffer(G1_BYTES)
    for point in points:
        library().G1_add(total, total, point.memory())
    return Point.from_memory(total.raw)


def multiply(point: Point, scalar: int) -> Point:
    """scalar * point; any integer."""
    result = ctypes.create_string_buffer(G1_BYTES)
    library().G1_mul(result, point.memory(), to_montgomery(scalar % ORDER, ORDER))
    return Point.from_memory(result.raw)


def combine(terms: Sequence[tuple[int, Point]]) -> Point:
    """sum of scalar * point, for a few terms; `msm` has the one for many."""
    return add(*[multiply(point, scalar) for scalar, point in terms])


def multiply_twist(point: Twist, scalar: int) -> Twist:
    """scalar * point in G2; scalar not divisible by r."""
    result = ctypes.create_string_buffer(G2_BYTES)
    library().G2_mul(result, _twist_memory(point), to_montgomery(scalar % ORDER, ORDER))
    library().G2_normalize(result, result)
    x_re, x_im, y_re, y_im = (from_montgomery(result.raw[32 * k : 32 * k + 32], FIELD) for k in range(4))
    return (x_im, x_re, y_im, y_re)


def check_twist(point: Twist) -> None:
    """Raises `PointMalformed` unless these are coordinates of a point of order r of the twisted curve.

    The twist has points of other orders, so that being on the curve is not enough."""
    if len(point) != 4 or not all(0 <= value < FIELD for value in point):
        raise PointMalformed(f"coordinates of a point of G2 are four numbers below the field's modulus: {point}")
    memory = _twist_memory(point)
    if not any(point) or not library().G2_isValid(memory) or not library().G2_isValidOrder(memory):
        raise PointMalformed(f"{point} is not a point of order r of G2")


def pairing_is_one(pairs: Sequence[tuple[Point, Twist]]) -> bool:
    """Whether the product of e(a, b) over the pairs is 1 (EIP-197)."""
    finite = [(a, b) for a, b in pairs if not a.is_infinity]
    if not finite:
        return True
    first = b"".join(a.memory() for a, _ in finite)
    second = b"".join(_twist_memory(b) for _, b in finite)
    value = ctypes.create_string_buffer(GT_BYTES)
    library().millerLoopVec(value, first, second, len(finite))
    library().finalExp(value, value)
    return bool(library().GT_isOne(value))


def _twist_memory(point: Twist) -> bytes:
    x_im, x_re, y_im, y_re = point
    return b"".join(to_montgomery(value, FIELD) for value in (x_re, x_im, y_re, y_im, 1, 0))
