"""What kernels are held against: sums of products of Python integers, written to be read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def gram(rows: Sequence[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    values = [row.tolist() for row in rows]
    return tuple(tuple(sum(x * y for x, y in zip(a, b, strict=True)) for b in values) for a in values)


def weighted(rows: Sequence[np.ndarray], weights: Sequence[int]) -> list[int]:
    return [sum(w * int(row[i]) for w, row in zip(weights, rows, strict=True)) for i in range(rows[0].size)]


def gram_of_many(rows: Sequence[np.ndarray]) -> tuple[tuple[int, ...], ...]:
    """The same for long rows of at most 2^31: numpy's integers, 16 columns of 2^58 at a time, added in Python."""
    size = len(rows)
    total = [[0] * size for _ in range(size)]
    wide = [row.astype(object) if row.dtype == np.int64 else row.astype(np.int64) for row in rows]
    for i in range(size):
        for j in range(i + 1):
            total[i][j] = total[j][i] = int((wide[i] * wide[j]).sum())
    return tuple(map(tuple, total))
