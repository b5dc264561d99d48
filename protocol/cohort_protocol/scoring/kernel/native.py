"""The optional C extension (`protocol/native`): the same integers as numpy's, many times faster.

It is built when Cohort is installed, if a compiler is there; if not, the installation goes on without it and
everything runs on numpy. Loaded with ctypes, so that building it takes no Python headers and a call lets other threads
run. `native_status` says what was found; `cohort doctor` shows it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from cohort_protocol.native_extension import ExtensionUnavailable, load_extension
from cohort_protocol.scoring.errors import KernelUnavailable, ScoringInputInvalid
from cohort_protocol.scoring.kernel.block import NumpyKernel, both_halves, out_of_range

LEVELS = ("portable C", "AVX2", "AVX-512 VNNI")
"""Instruction sets, by the number that the extension knows them by; the last that runs here is chosen."""

MAX_COLUMNS = 1 << 23
"""Of a call: the most that a `Pass` takes as a block."""

_OUT_OF_MEMORY, _OUT_OF_RANGE, _OUT_OF_LIMBS = 1, 2, 3


class NativeKernel:
    """The extension at one level of instructions. Raises `KernelUnavailable` if it cannot run here."""

    def __init__(self, level: int | None = None) -> None:
        self._library = native_library()
        levels = native_levels()
        self._level = levels[-1] if level is None else level
        if self._level not in levels:
            raise KernelUnavailable(
                f"this machine runs the native kernel at {[LEVELS[i] for i in levels]}, not at level {level}"
            )
        self._exact = NumpyKernel()

    @property
    def name(self) -> str:
        """Such as "native (AVX2)"."""
        return f"native ({LEVELS[self._level]})"

    def columns(self, rows: int, in_place: bool = False) -> int:
        """Enough for a call to cost little beside its work, and not more than a third-level cache holds: at most 2^17
        columns, 8 MiB of int16."""
        return MAX_COLUMNS if in_place else max(2048, min(1 << 17, (1 << 22) // rows))

    def products(
        self, narrow: Sequence[np.ndarray], wide: Sequence[np.ndarray], into: np.ndarray | None = None
    ) -> np.ndarray:
        """See `BlockKernel.products`."""
        size = len(narrow) + 2 * len(wide)
        _check(narrow, np.int16, narrow[0].size)
        _check(wide, np.int64, narrow[0].size)
        total = np.zeros((size, size), np.int64)
        code = self._library.cohort_gram_block(
            self._level,
            row_pointers(narrow),
            len(narrow),
            row_pointers(wide),
            len(wide),
            narrow[0].size,
            total.ctypes.data,
            None if into is None else _sum_pointer(into, narrow[0].size),
        )
        if code == _OUT_OF_LIMBS:
            # Upper limbs of 2^15, which no past step has: rare enough for the slow way.
            return self._exact.products(narrow, wide, into)
        if code == _OUT_OF_RANGE:
            raise out_of_range(min(int(row.min()) for row in wide), max(int(row.max()) for row in wide))
        _raise(code)
        return both_halves(total)

    def combine(self, rows: Sequence[np.ndarray], weights: Sequence[int], into: np.ndarray) -> None:
        """See `BlockKernel.combine`."""
        if len(rows) != len(weights):
            raise ScoringInputInvalid(f"{len(weights)} weights for {len(rows)} rows")
        _check(rows, np.int16, into.size)
        factors = np.array(weights, np.int32)
        _raise(
            self._library.cohort_combine_block(
                self._level,
                row_pointers(rows),
                factors.ctypes.data,
                len(rows),
                into.size,
                _sum_pointer(into, into.size),
            )
        )

    def settle(
        self, rows: Sequence[np.ndarray], weights: Sequence[int], base: int, sums: np.ndarray, into: np.ndarray
    ) -> None:
        """See `BlockKernel.settle`."""
        if len(rows) != len(weights):
            raise ScoringInputInvalid(f"{len(weights)} weights for {len(rows)} rows")
        _check(rows, np.int16, sums.size)
        _check([into], np.int64, sums.size)
        factors = np.array(weights, np.int32)
        _raise(
            self._library.cohort_settle_block(
                self._level,
                row_pointers(rows),
                factors.ctypes.data,
                len(rows),
                base,
                sums.size,
                _sum_pointer(sums, sums.size),
                into.ctypes.data,
            )
        )


def native_levels() -> tuple[int, ...]:
    """The levels that run on this machine, slowest first. Raises `KernelUnavailable`."""
    mask = native_library().cohort_gram_levels()
    return tuple(level for level in range(len(LEVELS)) if mask >> level & 1)


def native_status() -> str:
    """What was found, for people: "native (AVX2)", or why it is numpy."""
    try:
        return NativeKernel().name
    except KernelUnavailable as error:
        return f"{NumpyKernel.name}: {error}"


@cache
def native_library() -> ctypes.CDLL:
    try:
        return load_extension(Path(__file__).parent, "_gram", _declare)
    except ExtensionUnavailable as error:
        raise KernelUnavailable(str(error)) from error


def _declare(library: ctypes.CDLL) -> None:
    library.cohort_gram_levels.restype = ctypes.c_int
    rows, size, pointer = ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_void_p
    library.cohort_gram_block.argtypes = [ctypes.c_int, rows, size, rows, size, size, pointer, pointer]
    library.cohort_combine_block.argtypes = [ctypes.c_int, rows, pointer, size, size, pointer]
    number = ctypes.c_int32
    library.cohort_settle_block.argtypes = [ctypes.c_int, rows, pointer, size, number, size, pointer, pointer]
    library.cohort_keccak_absorb.argtypes = [ctypes.c_int, pointer, rows, size, size]
    library.cohort_keccak_absorb.restype = None


def row_pointers(rows: Sequence[np.ndarray]) -> ctypes.Array[ctypes.c_void_p]:
    """Where the rows lie, for a call of the extension."""
    return (ctypes.c_void_p * max(1, len(rows)))(*[row.ctypes.data for row in rows])


def _sum_pointer(into: np.ndarray, columns: int) -> int:
    _check([into], np.int32, columns)
    return into.ctypes.data


def _check(rows: Sequence[np.ndarray], dtype: type, columns: int) -> None:
    """The extension reads raw memory, so nothing may be other than it says."""
    for row in rows:
        if row.dtype != dtype or row.shape != (columns,) or not row.flags.c_contiguous:
            raise ScoringInputInvalid(
                f"a block row is {row.dtype}{list(row.shape)}, it must be contiguous {np.dtype(dtype)}[{columns}]"
            )


def _raise(code: int) -> None:
    if code == _OUT_OF_MEMORY:
        raise KernelUnavailable("the native kernel found no memory for its tiles: use smaller blocks")
    if code:
        raise KernelUnavailable(f"the native kernel refused its input (code {code}): run `pip install -e .` again")
