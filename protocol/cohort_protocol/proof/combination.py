"""Random linear combinations of rows, as exact integers: V = sum_a x_a u_a.

The coefficients have 128 bits and the rows 16, 32 or 64, so that V's entries stay far below r in size and can be kept,
and correlated, as the integers they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from cohort_protocol.proof.errors import VectorOutOfRange
from cohort_protocol.proof.field import BITS, carry
from cohort_protocol.scoring.kernel import Row, RowSource, as_source
from cohort_protocol.scoring.kernel.hashing import Seals

COEFFICIENT_BITS = 128
COLUMNS = 1 << 14
"""Columns at a time: with 40 rows of limbs about 5 MiB of float64."""

_HALF = 16
_WIDTHS = {"int16": 1, "int32": 2, "int64": 4}
"""16-bit parts of an entry, by the row's type."""


def sources_of(rows: Sequence[Row]) -> list[RowSource]:
    """The rows as sources of one dimension. Raises `VectorOutOfRange`."""
    sources = [as_source(row) for row in rows]
    for source in sources:
        if np.dtype(source.dtype).name not in _WIDTHS:
            raise VectorOutOfRange(f"a vector of {source.dtype}: int16, int32 and int64 can be committed to")
        if source.dimension != sources[0].dimension:
            raise VectorOutOfRange(f"vectors of {sources[0].dimension} and of {source.dimension} entries together")
    return sources


def passes(sources: Sequence[RowSource], columns: int = COLUMNS) -> Iterator[tuple[int, list[np.ndarray]]]:
    """(start, blocks of all rows) from the first column to the last; rows that are sealed are hashed on the way.

    Raises what reading a row raises."""
    seals = Seals([sealed for source in sources for sealed in source.sealed()])
    for start in range(0, sources[0].dimension, columns):
        stop = min(start + columns, sources[0].dimension)
        blocks = [source.read(start, stop) for source in sources]
        seals.block()
        yield start, blocks
    seals.close()


def combination_limbs(sources: Sequence[RowSource]) -> int:
    """24-bit limbs that hold a combination of these rows with its sign."""
    widest = max(_WIDTHS[np.dtype(source.dtype).name] for source in sources)
    return -(-(COEFFICIENT_BITS + _HALF * widest + 8) // BITS)


def combine_rows(rows: Sequence[Row], coefficients: Sequence[int]) -> np.ndarray:
    """sum_a coefficients[a] * rows[a] as int32[limbs, d]: limbs of 24 bits, the last one with the sign.

    rows: at most 128, of int16, int32 or int64 with entries of any size; coefficients: 0 .. 2^128 - 1. Memory: 4 bytes
    a limb and entry (36 with int64), and a block of the rows. Raises `VectorOutOfRange`, and what reading a row
    raises."""
    sources = sources_of(rows)
    if len(rows) != len(coefficients):
        raise VectorOutOfRange(f"{len(rows)} rows and {len(coefficients)} coefficients")
    widths = [_WIDTHS[np.dtype(source.dtype).name] for source in sources]
    count = combination_limbs(sources)
    matrix = _matrix(coefficients, widths, count)
    result = np.empty((count, sources[0].dimension), np.int32)
    for start, blocks in passes(sources):
        parts = np.concatenate([_parts(block, width) for block, width in zip(blocks, widths, strict=True)])
        limbs = matrix @ parts
        carry(limbs)
        result[:, start : start + limbs.shape[1]] = limbs
    return result


def integers(limbs: np.ndarray) -> list[int]:
    """The numbers of a few columns, for tests and short vectors."""
    return [sum(int(limb) << BITS * j for j, limb in enumerate(column)) for column in limbs.T]


def _matrix(coefficients: Sequence[int], widths: Sequence[int], count: int) -> np.ndarray:
    """float64[count, parts]: 24-bit limbs of coefficient * 2^(16 i) for part i of each row.

    A product with a part is below 2^40, and 512 of them below 2^49: exact."""
    factors = [value << _HALF * i for value, width in zip(coefficients, widths, strict=True) for i in range(width)]
    return np.array([[factor >> BITS * j & (1 << BITS) - 1 for factor in factors] for j in range(count)], np.float64)


def _parts(block: np.ndarray, width: int) -> np.ndarray:
    """float64[width, k]: value = sum_i part[i] 2^(16 i); the last part has the sign, the others are 0 .. 2^16 - 1."""
    if width == 1:
        return block.astype(np.float64)[None]
    values = block.astype(np.int64)
    parts = np.empty((width, len(values)))
    for i in range(width - 1):
        parts[i] = values & 0xFFFF
        values = values >> _HALF
    parts[width - 1] = values
    return parts
