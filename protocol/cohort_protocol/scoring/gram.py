"""The exact Gram matrix of a round's rows and the exact weighted sum of its updates.

The only model-sized work of scoring: one pass over the rows in blocks of columns, in constant extra memory.

Exactness. Both run on float64 BLAS because it is the fastest integer arithmetic at hand, on operands that make it
exact: every entry of a block is an integer of magnitude at most 2^15 (an int16, or a limb of a wide row), so that
each product is at most 2^30 and each partial sum over `block` columns, in whatever order and with or without fused
multiply-add, is an integer of magnitude at most 2^30 * block <= 2^53. Integers up to 2^53 are float64 values, hence
no operation rounds. Blocks are added as int64: |sum| <= 2^30 * d <= 2^58 for d <= 2^28.

Wide rows (past global steps, |x| <= 2^31 since weights sum to at most 2^16) are split into balanced limbs,
x = 2^16 h + l with -2^15 <= l < 2^15 and -2^15 <= h <= 2^15, and recombined as Python integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cohort_protocol.scoring.errors import ScoringInputInvalid

Gram = tuple[tuple[int, ...], ...]
"""Symmetric; row and column order: the updates as given, then the past steps as given."""

MAX_BLOCK = 1 << 23
MAX_DIMENSION = 1 << 28
DEFAULT_BLOCK = 1 << 16
TOTAL_WEIGHT = 1 << 16
"""Weights of a round are parts of this."""


def gram_matrix(
    updates: Sequence[np.ndarray], past_steps: Sequence[np.ndarray] = (), block: int = DEFAULT_BLOCK
) -> Gram:
    """All inner products <r_i, r_j> of the rows `updates` + `past_steps`, as Python integers.

    updates: n >= 1 arrays int16[d]; past_steps: p >= 0 arrays int64[d] with -2^31 <= x < 2^31.
    block: columns per pass; the result does not depend on it. Raises `ScoringInputInvalid`."""
    dimension = _check_rows(updates, past_steps, block)
    n, p = len(updates), len(past_steps)
    total = np.zeros((n + 2 * p, n + 2 * p), np.int64)
    columns = np.empty((n + 2 * p, min(block, dimension)), np.float64)
    for start in range(0, dimension, block):
        end = min(start + block, dimension)
        part = columns[:, : end - start]
        for row, update in enumerate(updates):
            part[row] = update[start:end]
        for row, step in enumerate(past_steps):
            high, low = _limbs(step[start:end])
            part[n + row], part[n + p + row] = high, low
        total += (part @ part.T).astype(np.int64)
    return _recombine(total.tolist(), n, p)


def weighted_sum(updates: Sequence[np.ndarray], weights: Sequence[int], block: int = DEFAULT_BLOCK) -> np.ndarray:
    """m = sum_a weights[a] * updates[a], exact.

    updates: n >= 1 arrays int16[d]; weights: n integers >= 0 that sum to at most 2^16 (hence |m| <= 2^31, far
    inside float64). Returns int64[d]. Raises `ScoringInputInvalid`."""
    dimension = _check_rows(updates, (), block)
    if len(weights) != len(updates) or min(weights) < 0 or sum(weights) > TOTAL_WEIGHT:
        raise ScoringInputInvalid(
            f"{len(weights)} weights {list(weights)[:8]} for {len(updates)} updates: one each is needed, none "
            f"negative, their sum at most {TOTAL_WEIGHT}"
        )
    result = np.zeros(dimension, np.int64)
    for start in range(0, dimension, block):
        part = result[start : start + block]
        for weight, update in zip(weights, updates, strict=True):
            if weight:
                part += update[start : start + block].astype(np.int64) * weight
    return result


def _limbs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64[k] -> (h, l), both int64[k], with values = 2^16 h + l and l in -2^15 .. 2^15 - 1."""
    low = ((values + 0x8000) & 0xFFFF) - 0x8000
    return (values - low) >> 16, low


def _recombine(total: list[list[int]], n: int, p: int) -> Gram:
    """The Gram matrix of n narrow rows and p wide ones from that of n narrow rows, p high and p low limbs."""

    def product(i: int, j: int) -> int:
        parts = 0
        for row, shift_i in _pieces(i, n, p):
            for column, shift_j in _pieces(j, n, p):
                parts += total[row][column] << (shift_i + shift_j)
        return parts

    return tuple(tuple(product(i, j) for j in range(n + p)) for i in range(n + p))


def _pieces(row: int, n: int, p: int) -> tuple[tuple[int, int], ...]:
    """(index among the limb rows, shift in bits) of the pieces of a row."""
    return ((row, 0),) if row < n else ((row, 16), (row + p, 0))


def _check_rows(updates: Sequence[np.ndarray], past_steps: Sequence[np.ndarray], block: int) -> int:
    """The common dimension. Raises `ScoringInputInvalid`."""
    if not 1 <= block <= MAX_BLOCK:
        raise ScoringInputInvalid(f"block {block} is outside 1 .. {MAX_BLOCK}, beyond which sums are not exact")
    if not updates:
        raise ScoringInputInvalid("a round without updates has nothing to evaluate")
    dimension = updates[0].size
    if not 1 <= dimension <= MAX_DIMENSION:
        raise ScoringInputInvalid(f"dimension {dimension} is outside 1 .. {MAX_DIMENSION}")
    for kind, rows, dtype in (("update", updates, np.int16), ("past step", past_steps, np.int64)):
        for index, row in enumerate(rows):
            if row.dtype != dtype or row.shape != (dimension,):
                raise ScoringInputInvalid(
                    f"{kind} {index} is {row.dtype}{list(row.shape)}, it must be {np.dtype(dtype)}[{dimension}]"
                )
    for index, step in enumerate(past_steps):
        if int(step.min()) < -(2**31) or int(step.max()) >= 2**31:
            raise ScoringInputInvalid(
                f"past step {index} leaves 32 bits ({step.min()} .. {step.max()}): no round of this protocol makes it"
            )
    return dimension


def check_gram(gram: Gram, n: int, p: int) -> None:
    """Raises `ScoringInputInvalid` unless `gram` is square, of n >= 1 updates and p >= 0 past steps, symmetric and
    with no negative diagonal."""
    size = n + p
    if n < 1 or p < 0 or len(gram) != size or any(len(row) != size for row in gram):
        raise ScoringInputInvalid(f"a Gram matrix with {len(gram)} rows for {n} updates and {p} past steps")
    for i, row in enumerate(gram):
        if row[i] < 0 or any(row[j] != gram[j][i] for j in range(i)):
            raise ScoringInputInvalid(f"row {i} of the Gram matrix is not that of inner products")
