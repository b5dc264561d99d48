"""Exact order statistics of every coordinate, streamed over blocks of columns.

Rows of int16 are ordered by a sorting network (Batcher, AFIPS 1968): minima and maxima of whole rows, so that a block
costs the same for any data and no floats or comparisons of Python are involved. Steps are int64, |m| <= 2^31; nothing
overflows for n < 2^13 rows. Results do not depend on the block size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache

import numpy as np

from cohort_protocol.scoring.gram import TOTAL_WEIGHT
from cohort_protocol.scoring.kernel import Row, RowSource, as_source

BLOCK = 1 << 14
"""Columns per pass: a block of 20 rows stays in a core's cache."""

BlockRule = Callable[[list[np.ndarray]], np.ndarray]
"""n ordered rows int16[k] (the smallest first) -> the step int64[k] in units of 2^-16 of an entry."""


@cache
def sorting_network(n: int) -> tuple[tuple[int, int], ...]:
    """Comparators (low, high) of Batcher's odd-even merge sort for n inputs, in order; O(n log^2 n) of them."""
    comparators = []
    size = 1 << max(0, n - 1).bit_length()
    span = 1
    while span < size:
        gap = span
        while gap >= 1:
            for start in range(gap % span, size - gap, 2 * gap):
                for low in range(start, min(start + gap, n - gap)):
                    if low // (2 * span) == (low + gap) // (2 * span):
                        comparators.append((low, low + gap))
            gap //= 2
        span *= 2
    return tuple(comparators)


def ordered_blocks(sources: Sequence[RowSource], block: int) -> Iterator[tuple[int, list[np.ndarray]]]:
    """(first column, n rows int16[k] in ascending order in every column), block by block."""
    dimension, network = sources[0].dimension, sorting_network(len(sources))
    for start in range(0, dimension, block):
        rows = [np.array(source.read(start, min(start + block, dimension))) for source in sources]
        spare = np.empty_like(rows[0])
        for low, high in network:
            np.minimum(rows[low], rows[high], out=spare)
            np.maximum(rows[low], rows[high], out=rows[high])
            rows[low], spare = spare, rows[low]
        yield start, rows


def stream(updates: Sequence[Row], rule: BlockRule, block: int = BLOCK) -> np.ndarray:
    """The step of a coordinate-wise rule: int64[d]. updates: n >= 1 arrays or sources int16[d], read once."""
    sources = [as_source(update) for update in updates]
    step = np.empty(sources[0].dimension, np.int64)
    for start, rows in ordered_blocks(sources, block):
        step[start : start + block] = rule(rows)
    return step


def trimmed_mean(trim: int) -> BlockRule:
    """Mean without the `trim` smallest and `trim` largest values; 2 trim < n. Rounded down."""

    def rule(rows: list[np.ndarray]) -> np.ndarray:
        kept = rows[trim : len(rows) - trim]
        return np.sum(kept, axis=0, dtype=np.int64) * TOTAL_WEIGHT // len(kept)

    return rule


def median(rows: list[np.ndarray]) -> np.ndarray:
    """The middle value, or the mean of the two; exact."""
    return doubled_median(rows) * (TOTAL_WEIGHT // 2)


def doubled_median(rows: list[np.ndarray]) -> np.ndarray:
    """Twice the median: int64[k]."""
    n = len(rows)
    return rows[(n - 1) // 2].astype(np.int64) + rows[n // 2]


def mean_around_median(count: int) -> BlockRule:
    """Mean of the `count` values nearest to the median, as in the second stage of Bulyan; rounded down.

    In order, the nearest values are a window: the one with the smallest sum of distances. Where values on both sides
    tie for the last place several windows are nearest; the first and the last of them are averaged, for always
    taking the lower one would drift."""

    def rule(rows: list[np.ndarray]) -> np.ndarray:
        # Distances are doubled as the median is. Sums of n < 2^13 of them stay below 2^31.
        centre = doubled_median(rows).astype(np.int32)
        far = [np.abs(2 * row.astype(np.int32) - centre) for row in rows]
        total = np.sum(rows[:count], axis=0, dtype=np.int32)
        cost = np.sum(far[:count], axis=0, dtype=np.int32)
        least, first, last = cost.copy(), total.copy(), total.copy()
        for start in range(1, len(rows) - count + 1):
            total = total + rows[start + count - 1] - rows[start - 1]
            cost += far[start + count - 1] - far[start - 1]
            np.copyto(first, total, where=cost < least)
            np.copyto(last, total, where=cost <= least)
            np.minimum(cost, least, out=least)
        return (first.astype(np.int64) + last) * TOTAL_WEIGHT // (2 * count)

    return rule


def products_with_step(updates: Sequence[Row], step: np.ndarray, block: int = BLOCK) -> tuple[list[int], int]:
    """(<u_a, m> of every update, |m|^2), exact. step: int64[d] with |m| <= 2^31.

    m is split into limbs of 16 bits, so that every partial sum over a block of at most 2^22 columns is an integer
    below 2^53 in float64, where BLAS is exact (see `scoring.gram`)."""
    sources = [as_source(update) for update in updates]
    products, square = [0] * len(sources), 0
    for start in range(0, step.size, block):
        part = step[start : start + block]
        low = ((part + 0x8000) & 0xFFFF) - 0x8000
        limbs = np.stack([(part - low) >> 16, low]).astype(np.float64)
        rows = np.stack([source.read(start, start + part.size) for source in sources]).astype(np.float64)
        for index, (high_sum, low_sum) in enumerate((rows @ limbs.T).astype(np.int64).tolist()):
            products[index] += (high_sum << 16) + low_sum
        (hh, hl), (_, ll) = (limbs @ limbs.T).astype(np.int64).tolist()
        square += (hh << 32) + (hl << 17) + ll
    return products, square
