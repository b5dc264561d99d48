"""The closed forms against Shapley's definition: every coalition of up to seven players, in fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations
from math import factorial

import pytest
from cohort_protocol.scoring.closed_forms import (
    class_values,
    coefficients,
    curved_values,
    linear_values,
    quadratic_values,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def shapley(n, utility):
    """Shapley's sum over all coalitions. utility: tuple of players -> Fraction, 0 for nobody."""
    values = []
    for a in range(n):
        others = [b for b in range(n) if b != a]
        values.append(
            sum(
                Fraction(factorial(size) * factorial(n - size - 1), factorial(n))
                * (utility((*group, a)) - utility(group))
                for size in range(n)
                for group in combinations(others, size)
            )
        )
    return values


def linear(slopes):
    return lambda group: Fraction(sum(slopes[a] for a in group), max(1, len(group)))


def quadratic(matrix):
    return lambda group: Fraction(sum(matrix[a][b] for a in group for b in group), max(1, len(group)) ** 2)


def near(found, exact, size):
    """Within a few units and the rounding of the coefficients."""
    return all(abs(value - truth) <= 4 + 8 * Fraction(size, 2**40) for value, truth in zip(found, exact, strict=True))


entry = st.integers(-(2**60), 2**60)


@settings(max_examples=60, deadline=None)
@given(st.lists(entry, min_size=1, max_size=7))
def test_linear(slopes):
    assert near(linear_values(slopes), shapley(len(slopes), linear(slopes)), max(map(abs, slopes)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(entry, min_size=n, max_size=n), min_size=n, max_size=n)))
def test_quadratic(rows):
    n = len(rows)
    matrix = [[rows[min(i, j)][max(i, j)] for j in range(n)] for i in range(n)]
    largest = max(abs(value) for row in matrix for value in row)
    assert near(quadratic_values(matrix), shapley(n, quadratic(matrix)), n * n * largest)


def curved(slopes, parts):
    """The definition in fractions: bent utilities enumerated, shrunk as the text says."""
    n = len(slopes)
    slope, bend = Fraction(sum(slopes), n), Fraction(sum(map(sum, parts)), n)
    straight = shapley(n, linear(slopes))
    if n < 3 or slope <= 0 or bend <= slope / 1000:
        return straight
    result = straight
    for part in parts:
        own = Fraction(sum(part), n)
        if own * 1000 > slope:
            bent = shapley(n, quadratic([[Fraction(a * b) / own for b in part] for a in part]))
            result = [x - min(Fraction(1), slope / bend) * y / 2 for x, y in zip(result, bent, strict=True)]
    return result


small = st.integers(-(10**9), 10**9)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6).flatmap(lambda n: st.tuples(*[st.lists(small, min_size=n, max_size=n)] * 3)))
def test_curved_and_per_class(lists):
    slopes, first, second = lists
    tolerance = 2**-20 * max(1, *(abs(float(x)) for x in curved(slopes, [first]) + curved(slopes, [first, second])))
    for found, exact in (
        (curved_values(slopes, first), curved(slopes, [first])),
        (class_values(slopes, [first, second]), curved(slopes, [first, second])),
    ):
        assert all(abs(value - truth) <= 8 + tolerance for value, truth in zip(found, exact, strict=True))


def test_of_one_class_is_the_curved_form():
    slopes, bends = [9000, 3000, -4000, 12000], [7000, 2000, 1000, 6000]
    assert class_values(slopes, [bends]) == curved_values(slopes, bends)


@given(st.lists(entry, min_size=2, max_size=8), st.randoms())
def test_permuting_permutes(slopes, random):
    order = list(range(len(slopes)))
    random.shuffle(order)
    bends = [value // 3 for value in slopes]
    straight, shuffled = (
        curved_values(slopes, bends),
        curved_values([slopes[i] for i in order], [bends[i] for i in order]),
    )
    assert shuffled == [straight[i] for i in order]


@pytest.mark.parametrize("n", [1, 2, 3, 20, 32])
def test_the_stated_ranges_stay_in_256_bits(n):
    """Every product of the formulas at the largest inputs that the text allows."""
    h, a, b, c1, c2 = coefficients(n)
    assert max(h, a, b, c1, c2) < 2**46
    assert (2**100 << 40) + h * 2 * 2**100 < 2**255
    assert (a + b + c1) * 2**200 + c2 * 2**200 < 2**255
    largest_bend = 2**90
    bent = quadratic_values([[largest_bend**2] * n for _ in range(n)])
    assert max(map(abs, bent)) * n < 2**255
    # min(1, slope / bend) multiplies a value of the unit of s by the sum of the slopes.
    assert max(map(abs, bent)) * n // largest_bend * (n * largest_bend) < 2**255
    assert curved_values([largest_bend] * n, [largest_bend] * n)
