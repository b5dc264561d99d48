"""The natural logarithm of a fraction, in integers."""

from __future__ import annotations

from cohort_protocol.scoring.errors import ScoringInputInvalid

BITS = 40
LN2 = 762123384785
"""floor(ln 2 * 2^40)."""
GUARD = 24


def natural_logarithm(numerator: int, denominator: int) -> int:
    """ln(numerator / denominator) in units of 2^-40, within 2^-33 for fractions in 2^-64 .. 2^64.

    numerator, denominator: > 0. Bit by bit: a mantissa x in 1 .. 2 is squared, and the logarithm to the base 2 has a
    bit wherever the square passes 2. Rounded down at every step, so that the value is the same on every machine.
    Raises `ScoringInputInvalid`."""
    if numerator <= 0 or denominator <= 0:
        raise ScoringInputInvalid(f"the logarithm of {numerator} / {denominator} does not exist")
    precision = BITS + GUARD
    exponent = numerator.bit_length() - denominator.bit_length()
    mantissa = _scaled(numerator, denominator, precision - exponent)
    if mantissa < 1 << precision:
        exponent -= 1
        mantissa = _scaled(numerator, denominator, precision - exponent)
    result = exponent
    for _ in range(BITS):
        mantissa = mantissa * mantissa >> precision
        result <<= 1
        if mantissa >> precision + 1:
            mantissa >>= 1
            result += 1
    return result * LN2 >> BITS


def _scaled(numerator: int, denominator: int, shift: int) -> int:
    """floor(2^shift numerator / denominator)."""
    return (numerator << shift) // denominator if shift >= 0 else numerator // (denominator << -shift)
