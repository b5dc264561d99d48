"""Flag Aggregator: the mean of the rows, projected on the subspace that most of them agree on.

Almasi, Mishra, Vamanan, Ravi, "Flag Aggregator: scalable distributed training under failures and augmented
losses using convex optimization", ICLR 2024; its iteration is FlagIRLS (Mankovich, King, Peterson, Kirby, "The flag
median and FlagIRLS", CVPR 2022). Minimise over orthonormal Y of rank m the sum of sqrt(1 - |Y^T u_a|^2 / |u_a|^2): in
every iteration Y spans the top m eigenvectors of sum_a w_a u_a u_a^T / |u_a|^2, then w_a = 1 / sqrt(1 - explained_a).
The step is Y Y^T (mean of the rows). Without their pairwise terms (lambda = 0).

In the span of the rows, with C the matrix of cosines, W the weights and B = sqrt(W) C sqrt(W): if P projects on the
top m eigenvectors of B, explained_a = (P B)_aa / w_a, and the step has the coefficients
c_a = (sqrt(w_a) / |u_a|) (1/n) sum_b P_ab |u_b| / sqrt(w_b).

P comes from trace-correcting purification (Niklasson, Physical Review B 66, 155115, 2002): X = B / trace B, then
X <- X^2 or 2X - X^2, whichever brings trace X nearer to m. Both map 0 .. 1 to itself and keep the order of
eigenvalues, so that the m largest go to 1 and the others to 0. Nothing but products of matrices is used, hence
permuting the rows permutes the result exactly, which no eigenvalue routine on floats or in a fixed order of rotations
could promise. Directions that tie for the last place share it; those with less than 2^-30 of the trace do not count,
so that with many copies the subspace is smaller than m.

Fixed point: entries in units of 2^-60, products summed exactly and rounded down once per entry. With a relative gap
of 1/100 between the m-th and the next eigenvalue, coefficients agree with float64 eigenvectors to 1e-6 (tested).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np

from cohort_protocol.scoring.catalogue.rule import CatalogueRule, bounded, paid_along
from cohort_protocol.scoring.fixed_point import BASIS, NORM_BITS, norm
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import RowOutcome

BITS = 60
UNIT = 1 << BITS
PURIFICATIONS = 60
IDEMPOTENT = UNIT >> 30
"""Trace (X - X^2) at which X counts as a projector: no eigenvalue is further than this from 0 or 1."""
LEAST_RESIDUAL = UNIT >> 20
"""Residuals below 2^-20 count as that: no row weighs more than 2^20 times another."""


@dataclass(frozen=True)
class FlagParameters:
    """Size of the subspace and number of iterations."""

    iterations: int = bounded(5, 1, 50)
    rank_bps: int = bounded(5_000, 1, 10_000)
    """m = floor(this * (n + 1)) rounded up, in basis points of n + 1: the paper's ceil((n + 1) / 2) by default."""


class FlagAggregatorPolicy(CatalogueRule):
    """The mean projected on the flag median of the rows. Coefficients below 0 count as 0, for the model of
    a project never moves against an update. Rows are paid by their cosine with the step."""

    name = "flag-aggregator"
    kind = FlagParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """`iterations` of FlagIRLS."""
        n, p = len(rows), self.parameters
        rank = min(n, -(-p.rank_bps * (n + 1) // BASIS))
        coefficients = flag_coefficients(gram, rows, rank, p.iterations)
        return paid_along(gram, rows, [max(0, value) for value in coefficients], UNIT)


def flag_coefficients(gram: Gram, rows: Sequence[int], rank: int, iterations: int) -> list[int]:
    """c_a of the step, of any sign, in units of 2^-60. rows: none of zeros; 1 <= rank <= len(rows)."""
    n = len(rows)
    cosines = np.array([[_cosine(gram[a][b], gram[a][a], gram[b][b]) for b in rows] for a in rows], dtype=object)
    roots = [UNIT] * n
    for _ in range(iterations):
        weighted = _weighted(cosines, roots)
        projector = top_projector(weighted, rank)
        explained = _product(projector, weighted).diagonal()
        residuals = [
            max(LEAST_RESIDUAL, isqrt(max(0, UNIT * UNIT - (int(part) << 3 * BITS) // (root * root))))
            for part, root in zip(explained, roots, strict=True)
        ]
        # Weights relative to the largest, which is 1: w_a = least residual / residual_a, and their square roots.
        least = min(residuals)
        roots = [isqrt((least << 2 * BITS) // residual) for residual in residuals]
    projector = top_projector(_weighted(cosines, roots), rank)
    norms = [norm(gram[a][a]) for a in rows]
    lengths = [(value << 2 * BITS - NORM_BITS) // root for value, root in zip(norms, roots, strict=True)]
    sums = [sum(int(p) * length for p, length in zip(line, lengths, strict=True)) for line in projector]
    return [value // (n * length) for value, length in zip(sums, lengths, strict=True)]


def top_projector(matrix: np.ndarray, rank: int) -> np.ndarray:
    """The projector on the `rank` largest eigenvectors of a positive semidefinite matrix. In and out: n x n Python
    integers (dtype object) in units of 2^-60; the trace of the matrix is positive."""
    n = len(matrix)
    if rank == n:
        return np.array([[UNIT if a == b else 0 for b in range(n)] for a in range(n)], dtype=object)
    current = (matrix << BITS) // int(matrix.trace())
    target = rank << BITS
    for _ in range(PURIFICATIONS):
        square = _product(current, current)
        lower, trace = int(square.trace()), int(current.trace())
        # Stopping here keeps what rounding left of the other directions (2^-55) from being raised as well.
        if trace - lower <= IDEMPOTENT:
            return current
        current = square if abs(lower - target) < abs(2 * trace - lower - target) else 2 * current - square
    return current


def _weighted(cosines: np.ndarray, roots: Sequence[int]) -> np.ndarray:
    """sqrt(w_a) C_ab sqrt(w_b), rounded down once."""
    column = np.array(roots, dtype=object)
    return cosines * column[:, None] * column[None, :] >> 2 * BITS


def _product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Exact products and sums of Python integers, rounded down once per entry."""
    return first.dot(second) >> BITS


def _cosine(product: int, square_a: int, square_b: int) -> int:
    """In units of 2^-60, towards zero."""
    size = isqrt((product * product << 2 * BITS) // (square_a * square_b))
    return size if product >= 0 else -size
