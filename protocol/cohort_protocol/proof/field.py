"""Arithmetic modulo r on whole vectors, exact, with nothing but numpy.

A vector of k numbers is float64[11, k]: number = sum_j limb[j] 2^(24 j). Limbs are integers; outside of `carry` they
are at most a little larger than 2^24 in size and may be negative, and the number is known modulo r only. Multiplying a
vector by one constant is then one matrix product: the matrix holds the limbs of the constant times 2^(24 j), reduced,
so that every sum has at most 15 products of two 24-bit numbers, less than 2^52, and float64 computes it without
rounding, in any order, with or without fused multiply-add.
"""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np

from cohort_protocol.proof.library import ORDER, library, to_montgomery

BITS, LIMBS = 24, 11
BASE = float(1 << BITS)
SCALAR_BYTES = 32

_WORD = (1 << 64) - 1


def int_limbs(value: int, count: int = LIMBS) -> np.ndarray:
    """float64[count]: the limbs of 0 <= value < 2^(24 count)."""
    return np.array([value >> BITS * j & (1 << BITS) - 1 for j in range(count)], np.float64)


_ORDER_LIMBS = int_limbs(ORDER)[:, None]
_ORDER_WORDS = [np.uint64(ORDER >> 64 * k & _WORD) for k in range(4)]
_TOP = 2.0 ** (BITS * 8) / ORDER
"""What the ninth limb counts, in units of r; the next ones count 2^24 and 2^48 times that."""


def multiplier(factor: int, limbs: int = LIMBS) -> np.ndarray:
    """float64[12, limbs]: the matrix with which `scale` multiplies by `factor`, at most 15 limbs.

    Row 11 gives the product in units of r, precise to 2^-20 at least: how often r is to be subtracted."""
    columns = [(factor << BITS * j) % ORDER for j in range(limbs)]
    rows = np.stack([int_limbs(value) for value in columns], axis=1)
    return np.concatenate([rows, np.array([[value / ORDER for value in columns]])])


def scale(matrix: np.ndarray, values: np.ndarray, plus: np.ndarray | None = None) -> np.ndarray:
    """factor * values + plus, modulo r. matrix: `multiplier(factor)`; values: float64[limbs, k]; plus: float64, as many
    limbs or fewer.

    The result lies between `plus` and `plus` + r (give or take 2^-20 r), and its limbs within 2^24 + 64."""
    product = matrix @ values
    quotient = np.floor(product[LIMBS])
    result = product[:LIMBS]
    result -= _ORDER_LIMBS * quotient
    if plus is not None:
        result[: len(plus)] += plus
    # Two rounds for all limbs at once: limbs below 2^53 become carries below 2^29, then below 2^6.
    for _ in range(2):
        carries = np.floor(result[:-1] * (1 / BASE))
        result[:-1] -= carries * BASE
        result[1:] += carries
    return result


def carry(limbs: np.ndarray) -> None:
    """In place: every limb but the last becomes 0 .. 2^24 - 1; the last one has the sign."""
    for j in range(len(limbs) - 1):
        carries = np.floor(limbs[j] * (1 / BASE))
        limbs[j] -= carries * BASE
        limbs[j + 1] += carries


def pack(values: np.ndarray) -> np.ndarray:
    """uint8[k, 32]: the numbers modulo r, 0 .. r - 1, little-endian.

    values: float64[11, k], at most 2^20 r in size, not changed."""
    limbs = values.copy()
    carry(limbs)
    quotient = np.floor((limbs[10] * BASE * BASE + limbs[9] * BASE + limbs[8]) * _TOP)
    if quotient.any():
        limbs -= _ORDER_LIMBS * quotient
        carry(limbs)
    # The quotient is off by one where a number lies within 2^-20 r of a multiple of r.
    negative = np.flatnonzero(limbs[10] < 0)
    if negative.size:
        limbs[:, negative] += _ORDER_LIMBS
        carry(limbs)
    words = _words(limbs)
    above = np.flatnonzero(~below(words, ORDER))
    if above.size:
        words[above] = _subtract_order(words[above])
    return words.view(np.uint8).reshape(-1, SCALAR_BYTES)


def unpack(scalars: np.ndarray) -> np.ndarray:
    """float64[11, k] from uint8[k, 32]."""
    words = np.ascontiguousarray(scalars).view("<u8").reshape(-1, 4)
    limbs = np.empty((LIMBS, len(words)))
    mask = np.uint64((1 << BITS) - 1)
    for j in range(LIMBS):
        word, shift = divmod(BITS * j, 64)
        limb = words[:, word] >> np.uint64(shift)
        if shift > 64 - BITS and word < 3:
            limb = limb | words[:, word + 1] << np.uint64(64 - shift)
        limbs[j] = limb & mask
    return limbs


def below(words: np.ndarray, modulus: int) -> np.ndarray:
    """bool[...]: whether numbers uint64[..., 4], least word first, are below the modulus."""
    less = np.zeros(words.shape[:-1], bool)
    for k in range(4):
        limb = np.uint64(modulus >> 64 * k & _WORD)
        less = (words[..., k] < limb) | ((words[..., k] == limb) & less)
    return less


def evaluate(scalars: np.ndarray, point: int) -> int:
    """sum_i scalars[i] point^i modulo r. scalars: uint8[k, 32], below r."""
    if not len(scalars):
        return 0
    result = ctypes.create_string_buffer(SCALAR_BYTES)
    memory = np.ascontiguousarray(scalars)
    # Taken for Montgomery forms, the coefficients are 2^256 times too small, and so is the result: read as a plain
    # number it is right.
    library().FrEvaluatePolynomial(result, memory.ctypes.data, len(memory), to_montgomery(point, ORDER))
    return int.from_bytes(result.raw, "little")


@cache
def montgomery_multiplier(limbs: int) -> np.ndarray:
    """Multiplies by 2^256: makes the form that the library takes for the number itself."""
    return multiplier((1 << 256) % ORDER, limbs)


def _words(limbs: np.ndarray) -> np.ndarray:
    """uint64[k, 4] of limbs 0 .. 2^24 - 1."""
    words = np.zeros((limbs.shape[1], 4), "<u8")
    for j in range(LIMBS):
        word, shift = divmod(BITS * j, 64)
        limb = limbs[j].astype(np.uint64)
        words[:, word] |= limb << np.uint64(shift)
        if shift > 64 - BITS and word < 3:
            words[:, word + 1] |= limb >> np.uint64(64 - shift)
    return words


def _subtract_order(words: np.ndarray) -> np.ndarray:
    result = np.empty_like(words)
    borrow = np.zeros(len(words), np.uint64)
    for k in range(4):
        part = words[:, k] - _ORDER_WORDS[k]
        result[:, k] = part - borrow
        borrow = ((words[:, k] < _ORDER_WORDS[k]) | ((words[:, k] == _ORDER_WORDS[k]) & (borrow > 0))).astype(np.uint64)
    return result
