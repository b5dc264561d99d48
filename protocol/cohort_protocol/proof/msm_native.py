"""The optional C extension for sums over points (`protocol/prover/msm.c`): the same points as the curve library's, some
times as fast, on processors with AVX-512 IFMA.

It is built when Cohort is installed, if a compiler is there. Loaded with ctypes, so that building it takes no Python
headers and a call lets other threads run.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from cohort_protocol.native_extension import ExtensionUnavailable, load_extension

LEAST_POINTS = 1 << 8
"""Shorter sums are not worth the preparation."""

_WORDS_OF_POINT, _WORDS_OF_SUM = 8, 15
_DONE, _NO_MEMORY = 0, 1
_LENGTH = 254
"""Bits of scalars."""
_MOST_DIGIT = 1 << 17
"""Smaller integers are one digit."""
_BUCKET = 3.5
"""What a bucket costs, in additions of points."""

_left_out = False


@contextmanager
def without_extension() -> Iterator[None]:
    """Everything is computed by the curve library meanwhile, in all threads: for tests and measurements."""
    global _left_out
    _left_out, before = True, _left_out
    try:
        yield
    finally:
        _left_out = before


def native_msm() -> ctypes.CDLL | None:
    """The extension; None where it was not built or cannot run."""
    found = _load()
    return found if isinstance(found, ctypes.CDLL) and not _left_out else None


def native_msm_status() -> str:
    """What was found, for people: "native (AVX-512 IFMA)", or why it is the curve library."""
    found = _load()
    return "native (AVX-512 IFMA)" if isinstance(found, ctypes.CDLL) else f"curve library: {found}"


@cache
def _load() -> ctypes.CDLL | str:
    """The extension, or why there is none."""
    try:
        library = load_extension(Path(__file__).parent, "_msm", _declare)
    except ExtensionUnavailable as error:
        return str(error)
    if not library.cohort_msm_runs_here():
        return "this processor has no AVX-512 IFMA; results are the same, only slower"
    return library


def _declare(library: ctypes.CDLL) -> None:
    pointer, size, number, width = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_uint32
    library.cohort_msm_runs_here.restype = ctypes.c_int
    for name, arguments, answer in (
        ("points", [pointer, pointer, size], None),
        ("digits", [pointer, size, number, number, number, pointer], None),
        ("window", [pointer, pointer, size, width, pointer], ctypes.c_int),
        ("join", [pointer, number, number, pointer], None),
    ):
        function = getattr(library, f"cohort_msm_{name}")
        function.argtypes, function.restype = arguments, answer


def sum_of_products(points: np.ndarray, scalars: np.ndarray) -> np.ndarray | None:
    """uint8[64]: sum s_i P_i, coordinates in Montgomery form as in the input, zeros for infinity. None where it has to
    be computed in another way.

    points: uint8[k, 64]; scalars: uint8[k, 32], little-endian, below r. Memory: about 120 bytes a point."""
    library, count = native_msm(), len(points)
    if library is None or count < LEAST_POINTS:
        return None
    bits, windows = _windows(count, _LENGTH)
    prepared, factors = _prepared(library, points), np.ascontiguousarray(scalars)
    sums, digits = np.empty((windows, _WORDS_OF_SUM), np.uint64), np.empty(count, np.int32)
    for window in range(windows):
        library.cohort_msm_digits(factors.ctypes.data, count, bits, window, windows, digits.ctypes.data)
        if not _add_window(library, prepared, digits, 1 << bits - 1, sums[window]):
            return None
    return _joined(library, sums, bits)


def sum_of_multiples(points: np.ndarray, sizes: np.ndarray, negative: np.ndarray) -> np.ndarray | None:
    """As `sum_of_products`, for integers: their sizes uint64[k] and signs bool[k]. Costs by the largest's length."""
    library, count = native_msm(), len(points)
    if library is None or count < LEAST_POINTS:
        return None
    largest = int(sizes.max())
    bits, windows = (0, 1) if largest < _MOST_DIGIT else _windows(count, largest.bit_length())
    prepared, signs = _prepared(library, points), np.where(negative, np.int32(-1), np.int32(1))
    scalars = np.zeros((count, 4), np.uint64)
    scalars[:, 0] = sizes
    sums, digits = np.empty((windows, _WORDS_OF_SUM), np.uint64), np.empty(count, np.int32)
    for window in range(windows):
        if bits:
            library.cohort_msm_digits(scalars.ctypes.data, count, bits, window, windows, digits.ctypes.data)
            digits *= signs
        else:
            np.multiply(sizes, signs, out=digits, casting="unsafe")
        most = 1 << bits - 1 if bits else largest
        if not _add_window(library, prepared, digits, most, sums[window]):
            return None
    return _joined(library, sums, bits)


def _prepared(library: ctypes.CDLL, points: np.ndarray) -> np.ndarray:
    """In the form that the extension computes with."""
    given, prepared = np.ascontiguousarray(points), np.empty((len(points), _WORDS_OF_POINT), np.uint64)
    library.cohort_msm_points(given.ctypes.data, prepared.ctypes.data, len(points))
    return prepared


def _add_window(library: ctypes.CDLL, points: np.ndarray, digits: np.ndarray, most: int, total: np.ndarray) -> bool:
    """sum digits_i P_i into `total`. False for a coincidence: two sums on the way are the same point, which takes a
    known relation of the points. Raises `MemoryError`."""
    result = library.cohort_msm_window(points.ctypes.data, digits.ctypes.data, len(points), most, total.ctypes.data)
    if result == _NO_MEMORY:
        raise MemoryError(f"a sum of {len(points)} points")
    return result == _DONE


def _joined(library: ctypes.CDLL, sums: np.ndarray, bits: int) -> np.ndarray:
    """sum_w 2^(bits w) sums_w."""
    point = np.empty(_WORDS_OF_POINT, np.uint64)
    library.cohort_msm_join(sums.ctypes.data, len(sums), bits, point.ctypes.data)
    return point.view(np.uint8)


def _windows(count: int, length: int) -> tuple[int, int]:
    """Bits of a window and windows for scalars of `length` bits that make the sum of so many points cheapest."""

    def cost(bits: int) -> float:
        return -(-(length + 1) // bits) * (count + _BUCKET * (1 << bits - 1))

    bits = min(range(6, 19), key=cost)
    return bits, -(-(length + 1) // bits)
