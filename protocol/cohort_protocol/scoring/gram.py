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
from cohort_protocol.scoring.kernel import (
    BlockKernel,
    Gram,
    Pass,
    Row,
    default_kernel,
    gram_shard,
    settled_total,
    weighted_total,
)

__all__ = ["TOTAL_WEIGHT", "Gram", "PlainSum", "check_gram", "check_weights", "gram_matrix", "weighted_sum"]

TOTAL_WEIGHT = 1 << 16
"""Weights of a round are parts of this."""


class PlainSum:
    """The plain sum of a round's updates, which `gram_matrix` makes on the way and `weighted_sum` uses up.

    int32[d] in the upper half of the memory that becomes the weighted sum int64[d]: of all that scoring holds, these
    are the only arrays as long as the model."""

    def __init__(self, dimension: int) -> None:
        self.memory = np.zeros(dimension, np.int64)
        self.values = self.memory.view(np.int32)[dimension:]

    def widened(self, block: int = 1 << 16) -> np.ndarray:
        """The values as int64[d], in the same memory."""
        for start in range(0, self.values.size, block):
            # Forwards, what is written ends at byte 8 (start + k) at most; what is still to be read begins at byte
            # 4 d + 4 (start + k), which is not before it.
            part = self.values[start : start + block].astype(np.int64)
            self.memory[start : start + block] = part
        return self.memory


def gram_matrix(
    updates: Sequence[Row],
    past_steps: Sequence[Row] = (),
    block: int | None = None,
    *,
    threads: int = 1,
    kernel: BlockKernel | None = None,
    total: PlainSum | None = None,
) -> Gram:
    """All inner products <r_i, r_j> of the rows `updates` + `past_steps`, as Python integers.

    updates: n >= 1 rows int16[d], arrays or sources; past_steps: p >= 0 rows int64[d] with -2^31 <= x < 2^31.
    block: columns at a time (None: what suits the kernel); threads; kernel (None: the fastest that is here): the
    result depends on none of them. total: a new one, to be filled for `weighted_sum`.
    Raises `ScoringInputInvalid`, and what reading a source raises."""
    into = None if total is None else total.values
    return gram_shard(_pass(block, threads, kernel), updates, past_steps, total=into).gram


def weighted_sum(
    updates: Sequence[Row],
    weights: Sequence[int],
    block: int | None = None,
    *,
    threads: int = 1,
    kernel: BlockKernel | None = None,
    total: PlainSum | None = None,
) -> np.ndarray:
    """m = sum_a weights[a] * updates[a], exact.

    updates: n >= 1 rows int16[d]; weights: n integers >= 0 that sum to at most 2^16 (hence -2^31 <= m < 2^31).
    total: as `gram_matrix` filled it, used up; with it only rows whose weight is not the commonest one are read.
    Returns int64[d]. Raises as `gram_matrix`."""
    check_weights(weights, len(updates))
    if total is None:
        return weighted_total(_pass(block, threads, kernel), updates, weights).astype(np.int64)
    how = _pass(block, threads, kernel)
    if threads == 1:
        return settled_total(how, updates, weights, total.values, total.memory)
    weighted_total(how, updates, weights, total.values)
    return total.widened()


def check_weights(weights: Sequence[int], count: int) -> None:
    """Raises `ScoringInputInvalid` unless these are the weights of `count` updates."""
    whole = all(isinstance(weight, int | np.integer) and not isinstance(weight, bool) for weight in weights)
    if not whole or len(weights) != count or any(weight < 0 for weight in weights) or sum(weights) > TOTAL_WEIGHT:
        raise ScoringInputInvalid(
            f"{len(weights)} weights {list(weights)[:8]} for {count} updates: one whole number each is needed, "
            f"none negative, their sum at most {TOTAL_WEIGHT}"
        )


def _pass(block: int | None, threads: int, kernel: BlockKernel | None) -> Pass:
    return Pass(kernel or default_kernel(), threads, block)


def check_gram(gram: Gram, n: int, p: int) -> None:
    """Raises `ScoringInputInvalid` unless `gram` is square, of n >= 1 updates and p >= 0 past steps, symmetric,
    of Python integers, and with no negative diagonal."""
    size = n + p
    if n < 1 or p < 0 or len(gram) != size or any(len(row) != size for row in gram):
        raise ScoringInputInvalid(f"a Gram matrix with {len(gram)} rows for {n} updates and {p} past steps")
    if kinds := {type(entry) for row in gram for entry in row} - {int}:
        # numpy's integers wrap around without a word where products leave 64 bits.
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise ScoringInputInvalid(f"a Gram matrix of {names}: it must be of Python integers (`.tolist()` of an array)")
    for i, row in enumerate(gram):
        if row[i] < 0 or any(row[j] != gram[j][i] for j in range(i)):
            raise ScoringInputInvalid(f"row {i} of the Gram matrix is not that of inner products")
