"""The curve, the polynomials and the argument a second time: Python's integers, a few lines each, nothing shared."""

from __future__ import annotations

from hashlib import sha256

import numpy as np

P = 0x30644E72E131A029B85045B68181585D97816A916871CA8D3C208C16D87CFD47
R = 0x30644E72E131A029B85045B68181585D2833E84879B9709143E1F593F0000001


def tau_of(seed: str) -> int:
    """The secret of an insecure string."""
    return int.from_bytes(sha256(b"Cohort insecure srs" + seed.encode()).digest(), "big") % R


def plus(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Sum of two points, (0, 0) for infinity."""
    if a == (0, 0) or b == (0, 0):
        return b if a == (0, 0) else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return (0, 0)
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def times(scalar: int, point: tuple[int, int] = (1, 2)) -> tuple[int, int]:
    """scalar * point; of the generator if no point is given."""
    scalar, total = scalar % R, (0, 0)
    while scalar:
        if scalar & 1:
            total = plus(total, point)
        point, scalar = plus(point, point), scalar >> 1
    return total


def at(polynomial: list[int], x: int) -> int:
    """The polynomial's value."""
    total = 0
    for coefficient in reversed(polynomial):
        total = (total * x + coefficient) % R
    return total


def product(a: list[int], b: list[int]) -> list[int]:
    """Of two polynomials that are not empty."""
    result = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            result[i + j] = (result[i + j] + x * y) % R
    return result


def quotient(a: list[int], b: list[int], exact: bool = True) -> list[int]:
    """a / b for a divisor with leading coefficient 1; asserts that nothing remains, if it is to be exact."""
    rest, result = [value % R for value in a], []
    while len(rest) >= len(b):
        lead = rest[-1]
        result.append(lead)
        for k, value in enumerate(reversed(b)):
            rest[-1 - k] = (rest[-1 - k] - lead * value) % R
        rest.pop()
    assert not exact or not any(rest)
    return result[::-1]


def scalars(values: list[int]) -> np.ndarray:
    """uint8[k, 32], little-endian."""
    return np.frombuffer(b"".join(value.to_bytes(32, "little") for value in values), np.uint8).reshape(-1, 32)


def numbers(data: np.ndarray) -> list[int]:
    """The inverse of `scalars`."""
    return [int.from_bytes(row.tobytes(), "little") for row in data]
