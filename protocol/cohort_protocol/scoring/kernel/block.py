"""What a kernel computes of one block of columns, and the implementation that needs only numpy.

Kernels are interchangeable: all of them compute integers, so that they give the same bytes. One test suite runs on
every one (`tests/protocol/scoring/kernel`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from cohort_protocol.scoring.errors import ScoringInputInvalid

MAX_EXACT_COLUMNS = 1 << 23
"""Products of two 16-bit limbs are at most 2^30, so that this many add up to 2^53 at most: exact in float64."""

LIMB = 16
"""Bits of the lower limb of a wide row."""


class BlockKernel(Protocol):
    """Inner products and weighted sums of a block. Safe to call from many threads at once."""

    @property
    def name(self) -> str:
        """For reports, such as "numpy (float64 blocks)"."""

    def columns(self, rows: int, in_place: bool = False) -> int:
        """The block it works best on, with that many rows of limbs. in_place: a block costs no memory, since rows are
        views of arrays."""

    def products(
        self, narrow: Sequence[np.ndarray], wide: Sequence[np.ndarray], into: np.ndarray | None = None
    ) -> np.ndarray:
        """All inner products of the rows of limbs: narrow rows, upper limbs of the wide ones, their lower limbs.

        narrow: n >= 1 arrays int16[k]; wide: p arrays int64[k] with -2^31 <= x < 2^31; contiguous.
        into: int32[k], to which the sum of the narrow rows is added modulo 2^32.
        Returns int64[n + 2p, n + 2p], symmetric. Raises `ScoringInputInvalid` for a wide value out of range."""

    def combine(self, rows: Sequence[np.ndarray], weights: Sequence[int], into: np.ndarray) -> None:
        """into += sum_a weights[a] * rows[a], modulo 2^32.

        rows: arrays int16[k], contiguous; weights: integers of at most 2^31 in size; into: int32[k]."""

    def settle(
        self, rows: Sequence[np.ndarray], weights: Sequence[int], base: int, sums: np.ndarray, into: np.ndarray
    ) -> None:
        """into = base * sums + sum_a weights[a] * rows[a], modulo 2^32 as signed numbers.

        rows, weights: as `combine` takes them; base: an integer of at most 2^31 in size; sums: int32[k]; into:
        int64[k], which may overlap `sums` if it begins at least 4 k bytes earlier."""


FEW_ROWS = 30
"""Up to so many rows of limbs, `_products_of_few` is faster than one product of the matrix with itself."""
STRIP, STRIP_COLUMNS = 10, 1 << 13
"""Rows and columns of a strip. OpenBLAS multiplies two of them without copying them first, since these are less than
10^6 multiplications."""


def limbs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64[k] -> (h, l), both int64[k], with values = 2^16 h + l, l in -2^15 .. 2^15 - 1 and h in -2^15 .. 2^15.

    Raises `ScoringInputInvalid` for values outside -2^31 .. 2^31 - 1."""
    if values.size and (int(values.min()) < -(2**31) or int(values.max()) >= 2**31):
        raise out_of_range(int(values.min()), int(values.max()))
    low = ((values + 0x8000) & 0xFFFF) - 0x8000
    return (values - low) >> LIMB, low


def out_of_range(smallest: int, largest: int) -> ScoringInputInvalid:
    """The error of a wide row that leaves 32 bits."""
    return ScoringInputInvalid(
        f"a past step or public row leaves 32 bits ({smallest} .. {largest}): no round of this protocol makes it"
    )


def both_halves(total: np.ndarray) -> np.ndarray:
    """The symmetric matrix of which `total` has the upper triangle."""
    return np.triu(total) + np.triu(total, 1).T


def fill_limbs(narrow: Sequence[np.ndarray], wide: Sequence[np.ndarray], matrix: np.ndarray) -> None:
    """The rows of limbs, in the order of `BlockKernel.products`, into matrix[n + 2p, k] of any dtype that holds
    -2^15 .. 2^15."""
    n, p = len(narrow), len(wide)
    for row, values in enumerate(narrow):
        matrix[row] = values
    for row, values in enumerate(wide):
        matrix[n + row], matrix[n + p + row] = limbs(values)


def _added_up(rows: np.ndarray) -> np.ndarray:
    """int32[k], the sum of float64[n, k]: at most 2^15 n, exact, and int32 as long as n is at most 2^16."""
    return (np.ones(len(rows)) @ rows).astype(np.int64).astype(np.int32)


def _products_of_few(narrow: Sequence[np.ndarray], wide: Sequence[np.ndarray], into: np.ndarray | None) -> np.ndarray:
    """`NumpyKernel.products` in float64, from products of small matrices: twice as fast with 20 rows."""
    size, columns = len(narrow) + 2 * len(wide), narrow[0].size
    total = np.zeros((size, size))
    # One row more, of zeros: numpy computes a matrix times itself in another, slower way.
    matrix = np.zeros((size + 1, min(columns, STRIP_COLUMNS)))
    for start in range(0, columns, STRIP_COLUMNS):
        stop = min(start + STRIP_COLUMNS, columns)
        part = matrix[:, : stop - start]
        fill_limbs([row[start:stop] for row in narrow], [row[start:stop] for row in wide], part)
        if into is not None:
            into[start:stop] += _added_up(part[: len(narrow)])
        for i in range(0, size, STRIP):
            strip = part[i : i + STRIP]
            count = min(STRIP, size - i)
            total[i : i + count, i : i + count] += (strip[:count] @ part[i : i + count + 1].T)[:, :count]
            for j in range(i + STRIP, size, STRIP):
                total[i : i + count, j : j + STRIP] += strip @ part[j : min(j + STRIP, size)].T
    return both_halves(total)


def settled_by(
    combine: Callable[[Sequence[np.ndarray], Sequence[int], np.ndarray], None],
    rows: Sequence[np.ndarray],
    weights: Sequence[int],
    base: int,
    sums: np.ndarray,
    into: np.ndarray,
) -> None:
    """`BlockKernel.settle` of a kernel that has no quicker way."""
    values = sums * np.int32(base)
    combine(rows, weights, values)
    into[:] = values


class NumpyKernel:
    """Float64 matrix products, the fastest integer arithmetic that numpy has, on operands that make them exact.

    Every entry is an integer of size at most 2^15 (an int16, or a limb), each product at most 2^30, and each partial
    sum over k <= 2^23 columns, in whatever order and with or without fused multiply-add, an integer of size at most
    2^30 k <= 2^53. Integers up to 2^53 are float64 values, hence no operation rounds."""

    name = "numpy (float64 blocks)"

    def columns(self, rows: int, in_place: bool = False) -> int:
        """About 4 MiB of float64, at least 512 columns; few rows are cut into strips anyway."""
        return 1 << 16 if rows <= FEW_ROWS else max(512, (1 << 19) // rows)

    def products(
        self, narrow: Sequence[np.ndarray], wide: Sequence[np.ndarray], into: np.ndarray | None = None
    ) -> np.ndarray:
        """See `BlockKernel.products`; at most `MAX_EXACT_COLUMNS` columns."""
        columns = narrow[0].size
        if columns > MAX_EXACT_COLUMNS:
            raise ScoringInputInvalid(
                f"a block of {columns} columns: beyond {MAX_EXACT_COLUMNS} float64 sums are not exact"
            )
        size = len(narrow) + 2 * len(wide)
        if size <= FEW_ROWS:
            return _products_of_few(narrow, wide, into).astype(np.int64)
        matrix = np.empty((size, columns), np.float64)
        fill_limbs(narrow, wide, matrix)
        if into is not None:
            into += _added_up(matrix[: len(narrow)])
        # numpy computes one triangle only when both operands are one array.
        return (matrix @ matrix.T).astype(np.int64)

    def combine(self, rows: Sequence[np.ndarray], weights: Sequence[int], into: np.ndarray) -> None:
        """See `BlockKernel.combine`. Integer arrays wrap in numpy, without a warning."""
        step = 1 << 14
        for start in range(0, into.size, step):
            part = into[start : start + step]
            for row, weight in zip(rows, weights, strict=True):
                if weight:
                    part += row[start : start + step].astype(np.int32) * np.int32(weight)

    def settle(
        self, rows: Sequence[np.ndarray], weights: Sequence[int], base: int, sums: np.ndarray, into: np.ndarray
    ) -> None:
        """See `BlockKernel.settle`."""
        settled_by(self.combine, rows, weights, base, sums, into)
