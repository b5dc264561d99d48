"""Sums s_1 P_1 + s_2 P_2 + ... over many points of G1, in chunks, on several threads (the libraries run without
Python's lock): by `msm_native` where it was built and runs, by the curve library elsewhere."""

from __future__ import annotations

import ctypes
import os
import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from types import TracebackType
from typing import Self

import numpy as np

from cohort_protocol.proof.curve import INFINITY, Point, add, multiply
from cohort_protocol.proof.field import montgomery_multiplier, pack, scale
from cohort_protocol.proof.library import FIELD, G1_BYTES, MONTGOMERY, MOST_POINTS, ORDER, library, to_montgomery
from cohort_protocol.proof.msm_native import native_msm, sum_of_multiples, sum_of_products

POINT_BYTES = 64
"""x, y in Montgomery form, as an SRS has them."""
SCALAR_BYTES = 32
CHUNK = 1 << 15
"""Points of one call of the library for integers. Full scalars take `library.MOST_POINTS`, 5% faster."""
SPAN = 1 << 19
"""Points with small integers that are sorted by them at a time; points of one call of the extension."""
LEAST_CHUNK = 1 << 11
"""Shorter sums are not cut: the library's tables pay for themselves beyond."""

_MOST_THREADS = 16
_TABLE = 1 << 15
"""Entries of at most this size have their scalars looked up: all of int16."""
_FEW = 4
"""So many points for each size of an integer make it worth sorting them."""
_GATHERED = 1 << 13
"""Points that are brought together at a time: they fit a second-level cache."""

_ONE = np.frombuffer(to_montgomery(1, FIELD), np.uint8)
_FIELD_WORDS = [np.uint64(FIELD >> 64 * k & (1 << 64) - 1) for k in range(4)]


def usable_threads() -> int:
    """Cores that this process may use, at most 16."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(_MOST_THREADS, count))


class Multiplier:
    """Threads for sums over points. Use as a context manager.

    threads: None for as many as this process has cores."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or usable_threads()
        self.pool = ThreadPoolExecutor(self.threads, thread_name_prefix="msm")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pool.shutdown(wait=True, cancel_futures=True)

    def scalars(self, count: int) -> ScalarSum:
        """A new sum of `count` points with scalars modulo r."""
        return ScalarSum(self.pool, self._chunk(count, SPAN if native_msm() else MOST_POINTS))

    def integers(self, count: int) -> IntegerSum:
        """A new sum of `count` points with small integers."""
        return IntegerSum(self.pool, self._chunk(count, SPAN))

    def _chunk(self, count: int, most: int) -> int:
        """So many points at a time that all threads have some."""
        return max(LEAST_CHUNK, min(most, -(-count // self.threads)))


class _Sum:
    def __init__(self, pool: ThreadPoolExecutor, chunk: int) -> None:
        self._pool, self._chunk = pool, chunk
        self._parts: list[Future[Point]] = []

    def _submit(self, call: Callable[..., Point], points: np.ndarray, factors: np.ndarray) -> None:
        for start in range(0, len(points), self._chunk):
            part = slice(start, start + self._chunk)
            self._parts.append(self._pool.submit(call, points[part], factors[part]))

    def result(self) -> Point:
        """The sum of all that was added, when it is there."""
        return add(INFINITY, *[part.result() for part in self._parts])


class ScalarSum(_Sum):
    """sum s_i P_i with 0 <= s_i < r."""

    def __init__(self, pool: ThreadPoolExecutor, chunk: int) -> None:
        super().__init__(pool, chunk)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, points: np.ndarray, scalars: np.ndarray) -> None:
        """points: uint8[k, 64]; scalars: uint8[k, 32], little-endian. Neither may change until the result is there."""
        self._waiting.append((points, scalars))
        if sum(len(points) for points, _ in self._waiting) >= self._chunk:
            self._start()

    def result(self) -> Point:
        """See `_Sum.result`."""
        if self._waiting:
            self._start()
        return super().result()

    def _start(self) -> None:
        """Few points wait for more: long sums are cheaper."""
        points, scalars = zip(*self._waiting, strict=True)
        self._waiting = []
        if len(points) == 1:
            self._submit(_scalar_chunk, points[0], scalars[0])
        else:
            self._submit(_scalar_chunk, np.concatenate(points), np.concatenate(scalars))


class IntegerSum(_Sum):
    """sum u_i P_i for integers that are small: the cost grows with their size, int16 costs a fifteenth of full
    scalars."""

    def add(self, points: np.ndarray, values: np.ndarray) -> None:
        """points: uint8[k, 64]; values: int16, int32 or int64[k]. Neither may change until the result is there."""
        self._submit(_integer_chunk, points, values)


def multi_multiply(points: np.ndarray, scalars: np.ndarray, threads: int | None = 1) -> Point:
    """sum scalars[i] * points[i]. points: uint8[k, 64]; scalars: uint8[k, 32], little-endian, below r."""
    with Multiplier(threads) as multiplier:
        total = multiplier.scalars(len(points))
        total.add(points, scalars)
        return total.result()


def random_scalars(count: int) -> np.ndarray:
    """uint8[count, 32]: unpredictable 128-bit numbers."""
    scalars = np.zeros((count, SCALAR_BYTES), np.uint8)
    scalars[:, :16] = np.frombuffer(secrets.token_bytes(16 * count), np.uint8).reshape(count, 16)
    return scalars


def _scalar_chunk(points: np.ndarray, scalars: np.ndarray) -> Point:
    found = sum_of_products(points, scalars)
    if found is not None:
        return _point(found)
    pieces = [slice(start, start + MOST_POINTS) for start in range(0, len(points), MOST_POINTS)]
    sums = [_multiply(_memory(points[piece]), np.ascontiguousarray(scalars[piece])) for piece in pieces]
    # The library reads scalars in Montgomery form: it has multiplied by s_i / 2^256.
    return multiply(add(INFINITY, *sums), MONTGOMERY % ORDER)


def _point(found: np.ndarray) -> Point:
    """The point whose coordinates these 64 bytes are, in Montgomery form."""
    return Point.from_memory(found.tobytes() + to_montgomery(1, FIELD)) if found.any() else INFINITY


def _integer_chunk(points: np.ndarray, values: np.ndarray) -> Point:
    # |-2^63| is 2^63 as uint64.
    sizes = np.abs(values.astype(np.int64)).view(np.uint64)
    found = sum_of_multiples(points, sizes, values < 0)
    if found is not None:
        return _point(found)
    if int(sizes.max(initial=0)) <= _TABLE:
        counts = np.bincount(sizes.view(np.int64))
        if np.count_nonzero(counts[1:]) * _FEW <= len(values):
            return _sum_by_size(points, values, sizes.astype(np.uint16), int(counts[0]))
    pieces = [slice(start, start + CHUNK) for start in range(0, len(values), CHUNK)]
    return add(*[_integer_piece(points[piece], values[piece] < 0, sizes[piece]) for piece in pieces])


def _sum_by_size(points: np.ndarray, values: np.ndarray, sizes: np.ndarray, zeros: int) -> Point:
    """Points with integers of the same size are added up first, one addition each; the sums are multiplied.

    The library's own multiplication takes twice as long as an addition before it adds anything (it splits each scalar
    for the curve's endomorphism). It adds up points when it evaluates a polynomial with these coefficients at 1."""
    order = np.argsort(sizes, kind="stable")[zeros:]
    evaluate, one = library().G1EvaluatePolynomial, to_montgomery(1, ORDER)
    sums, factors = [], []
    for start in range(0, len(order), _GATHERED):
        rows = order[start : start + _GATHERED]
        memory = _memory(points[rows])
        _negate(memory, np.flatnonzero(values[rows] < 0))
        ordered = sizes[rows]
        starts = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1])
        ends = np.append(starts[1:], len(rows))
        found = np.empty((len(starts), G1_BYTES), np.uint8)
        for at, first, last in zip(_addresses(found), starts.tolist(), ends.tolist(), strict=True):
            evaluate(at, memory.ctypes.data + G1_BYTES * first, last - first, one)
        sums.append(found)
        factors.append(ordered[starts])
    return _multiply_pieces(np.concatenate(sums), np.concatenate(factors)) if sums else INFINITY


def _addresses(memory: np.ndarray) -> range:
    """Of the rows of uint8[k, 96]."""
    first = memory.ctypes.data
    return range(first, first + memory.nbytes, G1_BYTES)


def _multiply_pieces(memory: np.ndarray, factors: np.ndarray) -> Point:
    """memory: uint8[k, 96]; factors: uint16[k]."""
    pieces = [slice(start, start + CHUNK) for start in range(0, len(memory), CHUNK)]
    return add(*[_multiply(memory[piece], _small_scalars()[factors[piece]]) for piece in pieces])


def _integer_piece(points: np.ndarray, negative: np.ndarray, sizes: np.ndarray) -> Point:
    """Signs go to the points: r - |u| would be a scalar of full length."""
    memory = _memory(points)
    _negate(memory, np.flatnonzero(negative))
    if int(sizes.max(initial=0)) <= _TABLE:
        return _multiply(memory, _small_scalars()[sizes])
    limbs = np.stack(
        [sizes & np.uint64(0xFFFFFF), sizes >> np.uint64(24) & np.uint64(0xFFFFFF), sizes >> np.uint64(48)]
    )
    return _multiply(memory, pack(scale(montgomery_multiplier(3), limbs.astype(np.float64))))


def _multiply(memory: np.ndarray, scalars: np.ndarray) -> Point:
    """memory: uint8[k, 96]; scalars: uint8[k, 32] in Montgomery form; both contiguous."""
    result = ctypes.create_string_buffer(G1_BYTES)
    library().G1_mulVec(result, memory.ctypes.data, scalars.ctypes.data, len(memory))
    return Point.from_memory(result.raw)


def _memory(points: np.ndarray) -> np.ndarray:
    """uint8[k, 64] -> uint8[k, 96]: with z = 1, as the library takes them."""
    memory = np.empty((len(points), G1_BYTES), np.uint8)
    memory[:, :POINT_BYTES] = points
    memory[:, POINT_BYTES:] = _ONE
    return memory


def _negate(memory: np.ndarray, rows: np.ndarray) -> None:
    """y -> p - y for some rows; no point of the curve has y = 0."""
    words = memory.view("<u8")
    borrow = np.zeros(len(rows), np.uint64)
    for k in range(4):
        y = words[rows, 4 + k]
        words[rows, 4 + k] = _FIELD_WORDS[k] - y - borrow
        borrow = ((y > _FIELD_WORDS[k]) | ((y == _FIELD_WORDS[k]) & (borrow > 0))).astype(np.uint64)


@cache
def _small_scalars() -> np.ndarray:
    """uint8[2^15 + 1, 32]: the Montgomery forms of 0 .. 2^15."""
    values = np.zeros((1, _TABLE + 1))
    values[0] = np.arange(_TABLE + 1)
    return pack(scale(montgomery_multiplier(1), values))
