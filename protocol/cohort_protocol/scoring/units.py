"""Rows at unit length: what the default policy computes with, small enough for 256-bit arithmetic.

W_ij = <r_i, r_j> / (|r_i| |r_j|) in units of 2^-60, towards zero, from norms with f fraction bits; exactly 2^60 on the
diagonal of a row that is not zero. A norm is wrong by less than 2^-f of at least 1. Updates: entries below 2^54
(d <= 2^24), f = 40, 2^(60 + 80) times them below 2^194. Players and public rows (`players`): entries below 2^124 and
norms from 2^15 on, f = 20, below 2^224, W exact to 2^-34 of itself.

A projection is one step of elimination per public row: T_ij - T_ik T_kj / T_kk, towards zero, entries at most 2^61, so
that every product is below 2^122. Rows of which less than 2^-20 of the square is left lie in the span of those before
them, up to rounding: skipped as pivots, nothing as updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from cohort_protocol.scoring.fixed_point import ONE_BITS
from cohort_protocol.scoring.gram import Gram

UNIT_BITS = 60
UNIT = 1 << UNIT_BITS
NOTHING = UNIT >> 20
"""A square below this part of the unit is nothing but rounding."""


def towards_zero(numerator: int, denominator: int) -> int:
    """numerator / denominator without its fraction, denominator > 0: division as the EVM's signed one has it."""
    size = abs(numerator) // denominator
    return size if numerator >= 0 else -size


def unit_gram(gram: Gram | Sequence[Sequence[int]], rows: Sequence[int], fraction: int = 40) -> list[list[int]]:
    """W of the given rows, in their order. Zero rows give zeros. fraction: f, bits of the norms."""
    norms = [isqrt(gram[row][row] << 2 * fraction) for row in rows]
    shift = UNIT_BITS + 2 * fraction
    return [
        [
            _entry(gram[i][j], norms[a] * norms[b], shift) if a != b else (UNIT if norms[a] else 0)
            for b, j in enumerate(rows)
        ]
        for a, i in enumerate(rows)
    ]


def _entry(product: int, norms: int, shift: int) -> int:
    if norms == 0:
        return 0
    value = towards_zero(product << shift, norms) if product >= 0 else -((-product << shift) // norms)
    return max(-UNIT, min(UNIT, value))


def project_out(units: Sequence[Sequence[int]], basis: int) -> list[list[int]]:
    """Inner products of the rows after the first `basis` without their projections on those, in units of 2^-60.

    units: W with the basis first. Returns a square matrix of the remaining rows; a row of which nothing is left is
    zero throughout."""
    matrix = [list(row) for row in units]
    size = len(matrix)
    for k in range(basis):
        pivot = matrix[k][k]
        if pivot < NOTHING:
            continue
        for i in range(k + 1, size):
            for j in range(i, size):
                matrix[i][j] -= towards_zero(matrix[k][i] * matrix[k][j], pivot)
    left = range(basis, size)
    there = {row: matrix[row][row] >= NOTHING for row in left}
    return [[(matrix[min(i, j)][max(i, j)] if there[i] and there[j] else 0) for j in left] for i in left]


def cosine_of(product: int, first: int, second: int) -> int:
    """product / sqrt(first * second) in units of 2^-30, towards zero, within -1 .. 1; 0 if a square is not positive.

    product, first, second: in one unit, at most 2^70, so that the numerator stays below 2^(140 + 60)."""
    if first <= 0 or second <= 0:
        return 0
    size = min(1 << ONE_BITS, isqrt((product * product << 2 * ONE_BITS) // (first * second)))
    return size if product >= 0 else -size
