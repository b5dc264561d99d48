"""Fixed point against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from cohort_protocol.scoring.fixed_point import ONE, cosine, median, multiply, norm, ratio, squared_cosine
from hypothesis import given, settings
from hypothesis import strategies as st

natural = st.integers(0, 2**90)
positive = st.integers(1, 2**90)


@settings(deadline=None)
@given(natural, positive)
def test_ratio_is_the_floor(numerator, denominator):
    assert ratio(numerator, denominator) == int(Fraction(numerator, denominator) * ONE)


@settings(deadline=None)
@given(st.integers(0, 8 * ONE), st.integers(0, 8 * ONE))
def test_multiply_is_the_floor(a, b):
    assert multiply(a, b) == int(Fraction(a, ONE) * Fraction(b, ONE) * ONE)


vector = st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=6)


@settings(deadline=None)
@given(vector, vector)
def test_cosine_is_the_exact_value_towards_zero(a, b):
    size = min(len(a), len(b))
    a, b = a[:size], b[:size]
    product = sum(x * y for x, y in zip(a, b, strict=True))
    aa, bb = sum(x * x for x in a), sum(y * y for y in b)
    result = cosine(product, aa, bb)
    assert -ONE <= result <= ONE
    if aa * bb == 0:
        assert result == 0
        assert squared_cosine(product, aa, bb) == 0
        return
    # |result| <= ONE |cos| < |result| + 1, squared to stay with rationals.
    exact = Fraction(product * product, aa * bb) * ONE * ONE
    assert result * result <= exact < (abs(result) + 1) ** 2
    assert result * product >= 0
    assert squared_cosine(product, aa, bb) == int(Fraction(product * product, aa * bb) * ONE)


@settings(deadline=None)
@given(vector, st.integers(1, 2**12), st.integers(1, 2**12))
def test_cosine_does_not_depend_on_scale(a, first, second):
    b = [x + 1 for x in a]
    product = sum(x * y for x, y in zip(a, b, strict=True))
    aa, bb = sum(x * x for x in a), sum(y * y for y in b)
    scaled = cosine(product * first * second, aa * first**2, bb * second**2)
    assert scaled == cosine(product, aa, bb)


@settings(deadline=None)
@given(natural)
def test_norm_has_16_fraction_bits(square):
    value = norm(square)
    assert value * value <= square << 32 < (value + 1) ** 2
    assert value >> 16 == isqrt(square)


def test_median_of_odd_and_even_counts():
    assert median([5]) == 5
    assert median([9, 1, 5]) == 5
    assert median([1, 4]) == 2
    assert median([-1, -4]) == -3
    assert median([7, 1, 3, 4]) == 3


@settings(deadline=None)
@given(st.lists(st.integers(-100, 100), min_size=1, max_size=9), st.randoms())
def test_median_does_not_depend_on_order(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert median(shuffled) == median(values)
    ordered = sorted(values)
    half = len(ordered) // 2
    exact = Fraction(ordered[half] + ordered[-half - 1], 2)
    assert median(values) == exact.__floor__()
