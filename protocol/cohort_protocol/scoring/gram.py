"""The exact Gram matrix of a round's rows and the exact weighted sum of its updates.

The only model-sized work of scoring. `scoring.kernel` does it: in blocks of columns, in memory that does not grow with
the number of rows, with the same bytes for any block size, number of threads and implementation.

Wide rows (past global steps and other public rows, -2^31 <= x < 2^31: weights sum to at most 2^16) are split into
balanced limbs, x = 2^16 h + l with -2^15 <= l < 2^15 and -2^15 <= h <= 2^15, and recombined as Python integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.kernel import BlockKernel, Gram, Pass, Row, default_kernel, gram_shard, weighted_total

__all__ = ["TOTAL_WEIGHT", "Gram", "check_gram", "check_weights", "gram_matrix", "weighted_sum"]

TOTAL_WEIGHT = 1 << 16
"""Weights of a round are parts of this."""


def gram_matrix(
    updates: Sequence[Row],
    past_steps: Sequence[Row] = (),
    block: int | None = None,
    *,
    threads: int = 1,
    kernel: BlockKernel | None = None,
    total: np.ndarray | None = None,
) -> Gram:
    """All inner products <r_i, r_j> of the rows `updates` + `past_steps`, as Python integers.

    updates: n >= 1 rows int16[d], arrays or sources; past_steps: p >= 0 rows int64[d] with -2^31 <= x < 2^31.
    block: columns at a time (None: what suits the kernel); threads; kernel (None: the fastest that is here): the
    result depends on none of them. total: int32[d] of zeros that becomes the plain sum of the updates, for
    `weighted_sum`. Raises `ScoringInputInvalid`, and what reading a source raises."""
    return gram_shard(_pass(block, threads, kernel), updates, past_steps, total=total).gram


def weighted_sum(
    updates: Sequence[Row],
    weights: Sequence[int],
    block: int | None = None,
    *,
    threads: int = 1,
    kernel: BlockKernel | None = None,
    total: np.ndarray | None = None,
) -> np.ndarray:
    """m = sum_a weights[a] * updates[a], exact.

    updates: n >= 1 rows int16[d]; weights: n integers >= 0 that sum to at most 2^16 (hence -2^31 <= m < 2^31).
    total: the plain sum of the updates from `gram_matrix`, used up; with it only rows whose weight is not the commonest
    one are read. Returns int64[d]. Raises as `gram_matrix`."""
    check_weights(weights, len(updates))
    return weighted_total(_pass(block, threads, kernel), updates, weights, total).astype(np.int64)


def check_weights(weights: Sequence[int], count: int) -> None:
    """Raises `ScoringInputInvalid` unless these are the weights of `count` updates."""
    if len(weights) != count or (weights and min(weights) < 0) or sum(weights) > TOTAL_WEIGHT:
        raise ScoringInputInvalid(
            f"{len(weights)} weights {list(weights)[:8]} for {count} updates: one each is needed, none "
            f"negative, their sum at most {TOTAL_WEIGHT}"
        )


def _pass(block: int | None, threads: int, kernel: BlockKernel | None) -> Pass:
    return Pass(kernel or default_kernel(), threads, block)


def check_gram(gram: Gram, n: int, p: int) -> None:
    """Raises `ScoringInputInvalid` unless `gram` is square, of n >= 1 updates and p >= 0 past steps, symmetric and
    with no negative diagonal."""
    size = n + p
    if n < 1 or p < 0 or len(gram) != size or any(len(row) != size for row in gram):
        raise ScoringInputInvalid(f"a Gram matrix with {len(gram)} rows for {n} updates and {p} past steps")
    for i, row in enumerate(gram):
        if row[i] < 0 or any(row[j] != gram[j][i] for j in range(i)):
            raise ScoringInputInvalid(f"row {i} of the Gram matrix is not that of inner products")
