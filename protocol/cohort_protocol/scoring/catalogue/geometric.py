"""The geometric median by Weiszfeld's iteration, and its smoothed short form RFA, in the span of the rows.

Weiszfeld, Tohoku Mathematical Journal 43, 1937. Chen, Su, Xu, "Distributed statistical machine learning in
adversarial settings", POMACS 2017 (geometric median as an aggregation rule). Pillutla, Kakade, Harchaoui, "Robust
aggregation for federated learning", IEEE Transactions on Signal Processing 70, 2022 (RFA).

Every iterate is v = sum c_a u_a with c in units of 2^-40, so that one pass over the rows (the Gram matrix K) serves all
iterations: |u_a - v|^2 = K_aa - 2 (K c)_a + c^T K c, exact in units of 2^-80. Distances and coefficients are rounded
down, to 2^-40 of an entry and of 1. Ranges, for a twin in 256-bit arithmetic with n <= 2^5 rows: K < 2^54, hence
c^T K c < 2^134, a distance < 2^68; inverse distances < 2^160, their sum times 2^40 < 2^205. Against the same iteration
in float64 a coefficient differs by less than 1e-6 (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from cohort_protocol.scoring.catalogue.rule import CatalogueRule, bounded, paid_along
from cohort_protocol.scoring.fixed_point import NORM_BITS, median, norm
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import RowOutcome

BITS = 40
UNIT = 1 << BITS
"""Coefficients are in units of 1/UNIT, distances in units of 1/UNIT of an entry."""
INVERSE = 1 << 160
MILLION = 10**6


def distances_from(gram: Gram, rows: Sequence[int], coefficients: Sequence[int]) -> list[int]:
    """|u_a - v| for each of `rows`, v = sum c_b u_b over them; rounded down to 1/UNIT."""
    products = [sum(c * gram[a][b] for c, b in zip(coefficients, rows, strict=True)) for a in rows]
    square = sum(c * value for c, value in zip(coefficients, products, strict=True))
    return [
        isqrt((gram[a][a] << 2 * BITS) - (value << BITS + 1) + square) for a, value in zip(rows, products, strict=True)
    ]


def weiszfeld(gram: Gram, rows: Sequence[int], iterations: int, smoothing_ppm: int) -> list[int]:
    """Coefficients of the geometric median of `rows`, in units of 1/UNIT, from their mean on.

    Each iteration weighs every row by the inverse of its distance, distances below `smoothing_ppm` millionths of the
    median norm (at least 1/UNIT) counting as that."""
    least = max(1, median([norm(gram[a][a]) for a in rows]) * smoothing_ppm // MILLION << BITS - NORM_BITS)
    coefficients = [UNIT // len(rows)] * len(rows)
    for _ in range(iterations):
        inverses = [INVERSE // max(least, far) for far in distances_from(gram, rows, coefficients)]
        total = sum(inverses)
        coefficients = [value * UNIT // total for value in inverses]
    return coefficients


@dataclass(frozen=True)
class GeometricMedianParameters:
    """How long and how exactly."""

    iterations: int = bounded(100, 1, 500)
    smoothing_ppm: int = bounded(1, 0, MILLION)
    """Distances below this many millionths of the median norm count as that."""


class GeometricMedianPolicy(CatalogueRule):
    """The point with the smallest sum of distances to the rows; survives any hostile minority. The weight of a row is
    in proportion to 1 / distance from the median; it is paid by its cosine with the step."""

    name = "geometric-median"
    kind = GeometricMedianParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """`iterations` of Weiszfeld's iteration."""
        p = self.parameters
        return paid_along(gram, rows, weiszfeld(gram, rows, p.iterations, p.smoothing_ppm), UNIT)


@dataclass(frozen=True)
class RfaParameters:
    """The paper's: three iterations, smoothing 1e-6."""

    iterations: int = bounded(3, 1, 100)
    smoothing_ppm: int = bounded(1, 0, MILLION)
    """Distances below this many millionths of the median norm count as that."""


class RfaPolicy(CatalogueRule):
    """Robust federated averaging: a few iterations of the smoothed Weiszfeld iteration. A far row keeps a small weight,
    so that it moves the model a little. Rows are paid by their cosine with the step."""

    name = "rfa"
    kind = RfaParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """`iterations` of the smoothed iteration."""
        p = self.parameters
        return paid_along(gram, rows, weiszfeld(gram, rows, p.iterations, p.smoothing_ppm), UNIT)
