"""Two relative gates against work that is not new: replayed steps, and steps plus noise.

u~ is u without its projection on the last global steps. nu_a = |u~_a|^2 / |u_a|^2 says how much of an update is new,
kappa_a = median over b of cos^2(u~_a, u~_b) how much of what is new is shared by the others. A replay has no nu,
noise has no kappa. Each gate is min(1, gain * x / median of x): relative, because an absolute factor would punish
honest work that follows the trend (protocol, section 6).

Projections are exact. With S the past steps, the inner products <u~_a, u~_b> are the Schur complement of the Gram
matrix of S in that of (S, u). Fraction-free elimination (Bareiss, Mathematics of Computation 22, 1968) gives it
times the last pivot, in integers that are minors of the Gram matrix: with p <= 5 steps of entries below 2^31 and
d <= 2^24 below 2^(5*86+54) = 2^484, so that a twin in 256-bit arithmetic verifies the coefficients as hints instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohort_protocol.scoring.fixed_point import BASIS, ONE, median, ratio, squared_cosine
from cohort_protocol.scoring.gram import Gram


@dataclass(frozen=True)
class Residuals:
    """Inner products of the updates without their projections on the past steps: products[a][b] / scale, exact."""

    products: tuple[tuple[int, ...], ...]
    scale: int


@dataclass(frozen=True)
class Gate:
    """One gate over the accepted rows, in their order; all in units of 1/ONE."""

    values: tuple[int, ...]
    full_from: int
    """The value from which the gate is open: median / gain."""
    factors: tuple[int, ...]


def residuals(gram: Gram, rows: Sequence[int], n: int, steps: int) -> Residuals:
    """Projects the updates `rows` off the first `steps` past steps.

    gram: (n + p) x (n + p), updates first, steps most recent first. Eliminates in that order; a zero pivot means that
    the step lies in the span of those before it, and is skipped."""
    order = [n + step for step in range(steps)] + list(rows)
    matrix = [[gram[i][j] for j in order] for i in order]
    scale = 1
    for k in range(steps):
        pivot = matrix[k][k]
        if pivot == 0:
            continue
        for i in range(k + 1, len(order)):
            for j in range(k + 1, len(order)):
                matrix[i][j] = (matrix[i][j] * pivot - matrix[i][k] * matrix[k][j]) // scale
        scale = pivot
    return Residuals(tuple(tuple(row[steps:]) for row in matrix[steps:]), scale)


def novelty(left: Residuals, squares: Sequence[int]) -> list[int]:
    """nu_a = |u~_a|^2 / |u_a|^2 in units of 1/ONE. squares: |u_a|^2 > 0."""
    return [ratio(left.products[a][a], left.scale * square) for a, square in enumerate(squares)]


def company(left: Residuals) -> list[int]:
    """kappa_a = median over b != a of cos^2(u~_a, u~_b) in units of 1/ONE; ONE for a lone row."""
    count = len(left.products)
    if count == 1:
        return [ONE]
    products = left.products
    return [
        median([squared_cosine(products[a][b], products[a][a], products[b][b]) for b in range(count) if b != a])
        for a in range(count)
    ]


def relative_gate(values: Sequence[int], gain_bps: int) -> Gate:
    """min(1, gain * x / median x) per value, values >= 0. With a median of 0 the limit of that: 1 for x > 0, and 0
    for x = 0, so that a majority of replays does not open the gate."""
    middle = median(values)
    if middle == 0:
        return Gate(tuple(values), 0, tuple(ONE if value else 0 for value in values))
    factors = tuple(min(ONE, gain_bps * value * ONE // (BASIS * middle)) for value in values)
    return Gate(tuple(values), middle * BASIS // gain_bps, factors)
