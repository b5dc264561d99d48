"""Rows at unit length and projections, against fractions and floating point."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from cohort_protocol.scoring.units import (
    NOTHING,
    UNIT,
    coordinates,
    cosine_of,
    remainders,
    shared,
    towards_zero,
    unit_gram,
)
from hypothesis import given, settings
from hypothesis import strategies as st

entry = st.one_of(st.integers(-9, 9), st.sampled_from([-32768, 32767, 0]))


def rows_of(count, low=1):
    return st.integers(1, 6).flatmap(
        lambda d: st.lists(st.lists(entry, min_size=d, max_size=d), min_size=low, max_size=count)
    )


def project_out(units, basis):
    rest = [row[basis:] for row in units[basis:]]
    return remainders(rest, coordinates(units, basis))


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
            assert abs(units[i][j] / UNIT - exact) < 2**-30
            assert units[i][j] == units[j][i]
            assert i == j or abs(units[i][j]) < UNIT
        assert units[i][i] == (UNIT if any(a) else 0)


@settings(max_examples=200, deadline=None)
@given(rows_of(7, low=2), st.data())
def test_projections_against_floating_point(rows, data):
    basis = data.draw(st.integers(0, len(rows) - 1))
    left = project_out(unit_gram(gram(rows), range(len(rows))), basis)
    vectors = [np.array(row, float) / (np.linalg.norm(row) or 1) for row in rows]
    kept, edge = [], False
    for vector in vectors[:basis]:
        rest = vector - sum(((vector @ q) * q for q in kept), np.zeros(len(vector)))
        # A row on the edge of what counts as spanned may fall on either side.
        edge |= 2**-22 < rest @ rest < 2**-18
        if rest @ rest > 2**-20:
            kept.append(rest / np.linalg.norm(rest))
    rest = [v - sum(((v @ q) * q for q in kept), np.zeros(len(v))) for v in vectors[basis:]]
    for i, a in enumerate(rest):
        for j, b in enumerate(rest):
            gone = min(a @ a, b @ b) < 2**-20
            edge |= any(abs(x @ x - 2**-20) < 2**-26 for x in (a, b))
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
    """d = 2^24: extreme int16 updates and public rows of 32 bits, and what a Gram matrix on chain could say at most."""
    update, across, wide = 2**55, 2**71, 2**87
    assert wide << 64 <= 2**151
    assert wide << 40 + 64 < 2**255
    for first, second, product in ((update, update, update), (wide, wide, wide), (update, wide, across)):
        units = unit_gram([[first, sign * product], [sign * product, second]], [0, 1])
        assert UNIT - (UNIT >> 30) <= abs(units[0][1]) < UNIT
    assert cosine_of(sign * 2**50, 2**50, 2**50) == sign * 2**30
    assert (2**50) ** 2 << 60 < 2**256


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([0.0009, 0.00098, 0.001, 0.003, 1]))
def test_coordinates_stay_in_range_whatever_the_rows(basis, seed, new):
    """Each public row the one before it, and about as little that is new as makes it count: errors grow the most."""
    random = np.random.default_rng(seed)
    rows = [np.rint(2e9 * random.uniform(-1, 1, 12))]
    for _ in range(1, basis):
        rest = random.standard_normal(12)
        rest *= new * np.linalg.norm(rows[-1]) / np.linalg.norm(rest)
        rows.append(np.clip(np.rint(rows[-1] + rest), -(2**31), 2**31 - 1))
    rows += [rows[-1] // 2**17, rows[0] // 2**18, np.rint(3 * random.standard_normal(12)), np.eye(12)[3]]
    known = coordinates(unit_gram(gram([[int(x) for x in row] for row in rows]), range(len(rows))), basis)
    assert max(abs(q) for row in known for q in row) <= 2**30
    assert all(shared(row, row) <= 6 * UNIT for row in known)


def test_the_lanes_of_a_contract_hold_sums_of_products():
    """The top lane, signed, and what the others together would borrow or carry: three products of 40 bits in lanes of
    85, four of 30 bits in lanes of 64."""
    q = UNIT
    assert 3 * q * q < 2**84
    assert (2 * q * q << 86) + 4 * q * q < 2**169
    q = 2**30
    assert 4 * q * q < 2**63
    assert (3 * q * q << 128) + (2 * q * q << 64) + q * q < 2**191
