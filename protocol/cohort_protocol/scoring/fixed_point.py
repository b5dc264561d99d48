"""Fixed point with one rounding rule: everything is rounded towards zero.

A value is an integer in units of 1/ONE. Every function rounds once, from the exact rational or square root, so
that scaling its inputs together changes nothing. Ranges, for a twin in 256-bit arithmetic with at most 2^5 rows
of at most 2^24 entries: an entry of the Gram matrix of int16 rows is at most 2^54, a norm at most 2^43 (16 fraction
bits). A row brought to the median length has at most that length, up to rounding, so that the sum of 2^5 of them in
units of 1/ONE has products below 2^90 with a row and a square below 2^126; `cosine` stays below 2^(2*90+60) = 2^240.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

ONE_BITS = 30
ONE = 1 << ONE_BITS
"""1.0; also the score of an average contribution."""

BASIS = 10_000
"""Parameters of policies are in basis points."""

NORM_BITS = 16
"""Fraction bits of a norm: keeps the rounding of small norms far below the thresholds."""


def ratio(numerator: int, denominator: int) -> int:
    """floor(ONE * numerator / denominator), for numerator >= 0 and denominator > 0."""
    return numerator * ONE // denominator


def multiply(first: int, second: int) -> int:
    """floor(first * second / ONE), for values >= 0 in units of 1/ONE."""
    return first * second >> ONE_BITS


def cosine(product: int, square_a: int, square_b: int) -> int:
    """<a, b> / sqrt(|a|^2 |b|^2) in units of 1/ONE, towards zero; 0 if a or b is zero.

    product: <a, b>; square_a, square_b: |a|^2 and |b|^2. The result lies in -ONE .. ONE (Cauchy-Schwarz)."""
    squares = square_a * square_b
    if squares == 0:
        return 0
    size = isqrt((product * product << 2 * ONE_BITS) // squares)
    return size if product >= 0 else -size


def squared_cosine(product: int, square_a: int, square_b: int) -> int:
    """<a, b>^2 / (|a|^2 |b|^2) in units of 1/ONE; 0 if a or b is zero."""
    squares = square_a * square_b
    return ratio(product * product, squares) if squares else 0


def norm(square: int) -> int:
    """sqrt(square) in units of 2^-NORM_BITS."""
    return isqrt(square << 2 * NORM_BITS)


def median(values: Sequence[int]) -> int:
    """The middle of the sorted values; the floor of the mean of the middle two if their number is even.

    values: at least one, each >= 0 or of any sign."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2
