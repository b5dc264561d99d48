"""Rows at unit length: what the default policy computes with, small enough for 256-bit arithmetic.

W_ij = <r_i, r_j> / (|r_i| |r_j|) in units of 2^-40, towards zero, and 2^40 on the diagonal of a row that is not zero.
Lengths are rounded up, with 32 fraction bits, so that |W| < 2^40 (Cauchy and Schwarz), and wrong by at most 2^-32 of at
least 1. Ranges for d <= 2^24: squares below 2^87, lengths below 2^76, products below 2^87 and 2^(87 + 104) = 2^191
with the fraction of both lengths. All of this is for Gram matrices, of rows that exist; of others it says nothing.

What is common is taken out by coordinates: q_ak is the inner product of a with the k-th of at most six orthonormal
rows that public rows give one after the other (Cholesky), in units of 2^-40, clamped to -1 .. 1, so that sums of six
products stay below 2^83 however much dividing by little magnifies what rounding did. Once they are known, 30 bits of
their fraction are kept, rounded down: four such numbers and the sums of their products fit a word of 256 bits, and
what they say of a pair is wrong by 2^-28 at most. Public rows of which less than
2^-20 of the square is left lie in the span of those before them, up to rounding, and give none; updates of which as
little is left are nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from cohort_protocol.scoring.fixed_point import ONE_BITS
from cohort_protocol.scoring.gram import Gram

UNIT_BITS = 40
UNIT = 1 << UNIT_BITS
LENGTH_BITS = 32
"""Fraction bits of lengths."""
NOTHING = UNIT >> 20
"""A square below this part of the unit is nothing but rounding."""
COORDINATE_BITS = 30
"""Fraction bits of coordinates."""
MOST_BASIS = 6
"""Public rows that are taken out: at most five past steps, and u0."""


def towards_zero(numerator: int, denominator: int) -> int:
    """numerator / denominator without its fraction, denominator > 0: division as the EVM's signed one has it."""
    size = abs(numerator) // denominator
    return size if numerator >= 0 else -size


def length(square: int) -> int:
    """sqrt(square) in units of 2^-32, the next whole number above it; 0 of 0."""
    return isqrt(square << 2 * LENGTH_BITS) + 1 if square else 0


def unit_gram(gram: Gram | Sequence[Sequence[int]], rows: Sequence[int]) -> list[list[int]]:
    """W of the given rows, in their order. Zero rows give zeros."""
    lengths = [length(gram[row][row]) for row in rows]
    return [
        [
            _entry(gram[i][j], lengths[a] * lengths[b]) if a != b else (UNIT if lengths[a] else 0)
            for b, j in enumerate(rows)
        ]
        for a, i in enumerate(rows)
    ]


def _entry(product: int, lengths: int) -> int:
    return towards_zero(product << UNIT_BITS + 2 * LENGTH_BITS, lengths) if lengths else 0


def shared(first: Sequence[int], second: Sequence[int]) -> int:
    """sum_k q_ak q_bk in units of 2^-40, rounded down. Coordinates in units of 2^-30."""
    return _product(first, second) >> 2 * COORDINATE_BITS - UNIT_BITS


def _product(first: Sequence[int], second: Sequence[int]) -> int:
    return sum(a * b for a, b in zip(first, second, strict=True))


def coordinates(units: Sequence[Sequence[int]], basis: int) -> list[list[int]]:
    """q of the rows after the first `basis` <= 6, one list per row, in units of 2^-30, rounded down.

    units: W with the basis first. Columns of rows that lie in the span of those before them are zero."""
    found = [[0] * basis for _ in units]
    for k in range(basis):
        left = units[k][k] - (_product(found[k], found[k]) >> UNIT_BITS)
        if left < NOTHING:
            continue
        size = isqrt(left << UNIT_BITS)
        for i in range(k + 1, len(units)):
            rest = units[i][k] - (_product(found[i], found[k]) >> UNIT_BITS)
            found[i][k] = max(-UNIT, min(UNIT, towards_zero(rest << UNIT_BITS, size)))
    return [[q >> UNIT_BITS - COORDINATE_BITS for q in row] for row in found[basis:]]


def remainders(units: Sequence[Sequence[int]], known: Sequence[Sequence[int]]) -> list[list[int]]:
    """Inner products of rows without what their coordinates say, in units of 2^-40; zeros for rows of which nothing is
    left. units: W of the rows; known: their coordinates."""
    matrix = [[w - shared(known[a], known[b]) for b, w in enumerate(row)] for a, row in enumerate(units)]
    there = [matrix[a][a] >= NOTHING for a in range(len(units))]
    return [[value if there[a] and there[b] else 0 for b, value in enumerate(row)] for a, row in enumerate(matrix)]


def cosine_of(product: int, first: int, second: int) -> int:
    """product / sqrt(first * second) in units of 2^-30, towards zero, within -1 .. 1; 0 if a square is not positive.

    product, first, second: in one unit, at most 2^50, so that the numerator stays below 2^(100 + 60)."""
    if first <= 0 or second <= 0:
        return 0
    size = min(1 << ONE_BITS, isqrt((product * product << 2 * ONE_BITS) // (first * second)))
    return size if product >= 0 else -size
