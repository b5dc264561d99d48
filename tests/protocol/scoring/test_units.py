"""Rows at unit length and projections, against fractions and floating point."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from cohort_protocol.scoring.units import NOTHING, UNIT, cosine_of, project_out, towards_zero, unit_gram
from hypothesis import given, settings
from hypothesis import strategies as st

entry = st.one_of(st.integers(-9, 9), st.sampled_from([-32768, 32767, 0]))


def rows_of(count, low=1):
    return st.integers(1, 6).flatmap(
        lambda d: st.lists(st.lists(entry, min_size=d, max_size=d), min_size=low, max_size=count)
    )


def gram(rows):
    return [[sum(x * y for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**4))
def test_division_as_the_evm_has_it(numerator, denominator):
    assert towards_zero(numerator, denominator) == int(Fraction(numerator, denominator))


@settings(max_examples=200)
@given(rows_of(5))
def test_units_are_cosines(rows):
    units = unit_gram(gram(rows), range(len(rows)))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            size = sqrt(sum(x * x for x in a)) * sqrt(sum(x * x for x in b))
            exact = sum(x * y for x, y in zip(a, b, strict=True)) / size if size else 0
            assert abs(units[i][j] / UNIT - exact) < 2**-36
            assert units[i][j] == units[j][i]
        assert units[i][i] == (UNIT if any(a) else 0)


@settings(max_examples=200, deadline=None)
@given(rows_of(7, low=2), st.data())
def test_projections_against_floating_point(rows, data):
    basis = data.draw(st.integers(0, len(rows) - 1))
    left = project_out(unit_gram(gram(rows), range(len(rows))), basis)
    vectors = [np.array(row, float) / (np.linalg.norm(row) or 1) for row in rows]
    kept = []
    for vector in vectors[:basis]:
        rest = vector - sum(((vector @ q) * q for q in kept), np.zeros(len(vector)))
        if rest @ rest > 2**-20:
            kept.append(rest / np.linalg.norm(rest))
    rest = [v - sum(((v @ q) * q for q in kept), np.zeros(len(v))) for v in vectors[basis:]]
    for i, a in enumerate(rest):
        for j, b in enumerate(rest):
            gone = min(a @ a, b @ b) < 2**-20
            # A row on the edge of what counts as nothing may fall on either side.
            edge = any(abs(x @ x - 2**-20) < 2**-21 for x in (a, b)) or any(
                2**-22 < float(np.linalg.norm(v - sum(((v @ q) * q for q in kept[:k]), np.zeros(len(v))))) ** 2 < 2**-18
                for k, v in enumerate(vectors[:basis])
            )
            assert edge or abs(left[i][j] / UNIT - (0 if gone else a @ b)) < 1e-6


def test_a_replay_leaves_nothing_whatever_its_length():
    step = [3, -5, 7, 11]
    rows = [step, [x * 977 for x in step], [x * 30000 for x in step], [1, 2, 3, 4]]
    left = project_out(unit_gram(gram(rows), range(4)), 1)
    assert left[:2] == [[0, 0, 0], [0, 0, 0]]
    assert left[2][2] > NOTHING


def test_a_combination_of_steps_leaves_nothing():
    first, second = [1000, 3, -40, 7, 0], [990, 10, -45, 0, 9]
    both = [2 * x - 3 * y for x, y in zip(first, second, strict=True)]
    left = project_out(unit_gram(gram([first, second, both, [1, 1, 1, 1, 1]]), range(4)), 2)
    assert left[0] == [0, 0]


@pytest.mark.parametrize("sign", [1, -1])
def test_the_stated_ranges_stay_in_256_bits(sign):
    """d = 2^24: extreme int16 updates and public rows of 32 bits, and players of 32 extreme rows."""
    update, wide, player = 2**54, 2**116, 2**124
    for first, second, product, fraction in (
        (update, update, update, 40),
        (wide, wide, wide, 20),
        (player, player, player, 20),
        (player, wide, 2**120, 20),
    ):
        assert max(first, second) << 2 * fraction < 2**256
        assert product << 60 + 2 * fraction < 2**255
        units = unit_gram([[first, sign * product], [sign * product, second]], [0, 1], fraction)
        assert abs(abs(units[0][1]) - UNIT) <= UNIT >> 34
    assert UNIT * UNIT < 2**122
    assert cosine_of(sign * 2**70, 2**70, 2**70) == sign * 2**30
    assert (2**70) ** 2 << 60 < 2**256
