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


FEW_ROWS = 64
"""Up to so many rows, `_products_of_few` is faster than one product of the matrix with itself."""
SMALL_PRODUCT = 1_000_000
"""Multiplications of a matrix product that OpenBLAS does without copying its operands first."""
STRIP = 10
"""Rows of such a product."""


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


def _products_of_few(matrix: np.ndarray) -> np.ndarray:
    """matrix @ matrix.T, from products small enough for OpenBLAS's fast way: twice as fast with 20 rows."""
    rows, columns = matrix.shape
    total = np.zeros((rows, rows))
    step = SMALL_PRODUCT // (STRIP * rows)
    for start in range(0, columns, step):
        part = matrix[:, start : start + step]
        for row in range(0, rows, STRIP):
            total[row : row + STRIP, row:] += part[row : row + STRIP] @ part[row:].T
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
        """About 4 MiB of float64, at least 512 columns."""
        return max(512, min(1 << 16, (1 << 19) // rows))

    def products(
        self, narrow: Sequence[np.ndarray], wide: Sequence[np.ndarray], into: np.ndarray | None = None
    ) -> np.ndarray:
        """See `BlockKernel.products`; at most `MAX_EXACT_COLUMNS` columns."""
        columns = narrow[0].size
        if columns > MAX_EXACT_COLUMNS:
            raise ScoringInputInvalid(
                f"a block of {columns} columns: beyond {MAX_EXACT_COLUMNS} float64 sums are not exact"
            )
        matrix = np.empty((len(narrow) + 2 * len(wide), columns), np.float64)
        fill_limbs(narrow, wide, matrix)
        if into is not None:
            # At most 2^15 times the number of rows: exact, and int32 as long as there are at most 2^16 of them.
            into += (np.ones(len(narrow)) @ matrix[: len(narrow)]).astype(np.int64).astype(np.int32)
        # numpy computes one triangle only when both operands are one array.
        total = matrix @ matrix.T if len(matrix) > FEW_ROWS else _products_of_few(matrix)
        return total.astype(np.int64)

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
