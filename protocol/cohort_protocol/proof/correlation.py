"""All autocorrelations r_k = sum_i v_i v_(i+k) of a vector of large integers, exact, by floating-point FFT.

Entries are cut into balanced digits of `bits` bits; the digits' correlations are products of their spectra, and
integers below 2^53 that are rounded to the nearest. The rounding is right if every error is below 1/2. With balanced
12-bit digits (at most 2^11 in size) and 14 of them, an entry sums at most 14 d products below 2^22, and the error of an
FFT of size N is about 2^-53 sqrt(log2 N) times the product of the vectors' norms: 2^-4 at d = 2^24 (Schatzman 1996,
"Accuracy of the discrete Fourier transform and the fast Fourier transform"). That is no bound for every vector. So what
an FFT gives is looked at: a value that is further than `FARTHEST` from an integer has the whole repeated with shorter
digits, and the prover checks the identity that it proves, at a random point.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cohort_protocol.proof.errors import WitnessInvalid
from cohort_protocol.proof.field import BITS, LIMBS, multiplier, pack, scale

DIGIT_BITS = (12, 8, 6)
"""Tried in this order; each divides the 24 bits of a limb."""
FARTHEST = 0.25

_FREQUENCIES = 1 << 13
"""Frequencies at a time, so that the digits' spectra there fit the caches."""
_COLUMNS = 1 << 14


def autocorrelation(limbs: np.ndarray, threads: int = 1) -> np.ndarray:
    """uint8[d - 1, 32]: r_1 .. r_(d-1) modulo r, little-endian.

    limbs: int32[at most 10, d], limbs of 24 bits, the last one with the sign. Memory: 16 bytes a digit and entry, 224
    with seven limbs. Raises `WitnessInvalid` if no digit size gives a clear result."""
    if limbs.shape[1] == 1:
        return np.empty((0, 32), np.uint8)
    for bits in DIGIT_BITS:
        result = _correlate(limbs, bits, threads)
        if result is not None:
            return result
    raise WitnessInvalid("the autocorrelation of the rows cannot be computed exactly: the vector is too long")


def _correlate(limbs: np.ndarray, bits: int, threads: int) -> np.ndarray | None:
    d = limbs.shape[1]
    digits = _digits(limbs, bits)
    size = _transform_size(2 * d)
    half = size // 2 + 1
    # Real and imaginary parts in separate rows: the products overwrite them, two to a digit.
    planes = np.empty((2 * len(digits), half))

    def forward(k: int) -> None:
        spectrum = np.fft.rfft(digits[k], size)
        planes[2 * k], planes[2 * k + 1] = spectrum.real, spectrum.imag

    def inverse(s: int) -> np.ndarray | None:
        values = np.fft.irfft(planes[s], size)[1:d]
        rounded = np.rint(values)
        values -= rounded
        if values.max() > FARTHEST or values.min() < -FARTHEST:
            return None
        return rounded.astype(np.int64)

    found = _Limbs(bits, 2 * len(digits), d - 1)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(forward, range(len(digits))))
        list(pool.map(lambda start: _multiply(planes, start), range(0, half, _FREQUENCIES)))
        count = 2 * len(digits) - 1
        for first in range(0, count, threads):
            for sums in pool.map(inverse, range(first, min(first + threads, count))):
                if sums is None:
                    return None
                found.add(sums)
    return _reduce(found.whole())


class _Limbs:
    """Sums of digits, least digit first, as limbs of 24 bits.

    A sum has at most 18 pairs of digits for each of d <= 2^24 entries: below 2^51 with 12 bits. What is added up for
    one limb is below 2^63."""

    def __init__(self, bits: int, digits: int, size: int) -> None:
        self._limbs = np.zeros((-(-(bits * digits + 51) // BITS), size), np.int32)
        self._bits, self._next = bits, 0
        self._filled = np.zeros(size, np.int64)

    def add(self, sums: np.ndarray) -> None:
        """The next digit's sums: int64[size], used up."""
        limb, shift = divmod(self._bits * self._next, BITS)
        if shift:
            sums <<= shift
        self._filled += sums
        self._next += 1
        if shift + self._bits == BITS:
            self._close(limb)

    def whole(self) -> np.ndarray:
        """int32[limbs, size]; the last limb has the sign."""
        for limb in range(self._bits * self._next // BITS, len(self._limbs) - 1):
            self._close(limb)
        self._limbs[-1] = self._filled
        return self._limbs

    def _close(self, limb: int) -> None:
        np.bitwise_and(self._filled, (1 << BITS) - 1, out=self._limbs[limb], casting="unsafe")
        self._filled >>= BITS


def _digits(limbs: np.ndarray, bits: int) -> np.ndarray:
    """int16[digits, d]: balanced digits, -2^(bits-1) .. 2^(bits-1), of the integers."""
    each, half, mask = BITS // bits, 1 << bits - 1, (1 << bits) - 1
    digits = np.empty((each * len(limbs), limbs.shape[1]), np.int16)
    carried = np.zeros(limbs.shape[1], np.int32)
    for j, limb in enumerate(limbs):
        rest = limb + carried
        for k in range(each):
            last = j == len(limbs) - 1 and k == each - 1
            digit = rest if last else ((rest + half) & mask) - half
            digits[each * j + k] = digit
            rest = (rest - digit) >> bits
        carried = rest
    return digits


def _transform_size(least: int) -> int:
    """The smallest 2^a 3^b 5^c that is even and not below `least`: what the FFT is fast for."""
    best = 1 << (least - 1).bit_length()
    for five in (1, 5, 25, 125):
        for three in (1, 3, 9, 27):
            odd = three * five
            size = odd << max(1, (-(-least // odd) - 1).bit_length())
            best = min(best, size) if size >= least else best
    return best


def _multiply(planes: np.ndarray, start: int) -> None:
    """Replaces the digits' spectra at some frequencies by those of the correlations of all pairs of digits j + k = s:
    sum A_j conj(A_k), which is real, since (j, k) and (k, j) are conjugates. Row s is for s; one row is left over."""
    block = planes[:, start : start + _FREQUENCIES]
    real, imaginary = block[0::2].copy(), block[1::2].copy()
    digits = len(real)
    for s in range(2 * digits - 1):
        first = max(0, s - digits + 1)
        middle = (s + 1) // 2
        total = np.zeros(block.shape[1])
        for j in range(first, middle):
            total += real[j] * real[s - j]
            total += imaginary[j] * imaginary[s - j]
        total *= 2
        if s % 2 == 0:
            total += real[s // 2] ** 2 + imaginary[s // 2] ** 2
        block[s] = total


def _reduce(limbs: np.ndarray) -> np.ndarray:
    """uint8[k, 32]: the numbers modulo r. limbs: int32[at most 22, k], the last one with the sign."""
    low, high = multiplier(1, 11), multiplier(1 << BITS * 11, 11)
    result = np.empty((limbs.shape[1], 32), np.uint8)
    for start in range(0, limbs.shape[1], _COLUMNS):
        part = limbs[:, start : start + _COLUMNS].astype(np.float64)
        upper = scale(high[:, : len(part) - LIMBS], part[LIMBS:])
        result[start : start + _COLUMNS] = pack(scale(low, part[:LIMBS], plus=upper))
    return result
