"""Projections and gates against fractions and normal equations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from cohort_protocol.scoring.fixed_point import ONE, median
from cohort_protocol.scoring.gates import company, novelty, relative_gate, residuals
from cohort_protocol.scoring.gram import gram_matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.scoring import plain

small = st.integers(-4, 4)


@st.composite
def rounds(draw):
    """Small entries and few columns, so that dependent and zero rows are common."""
    dimension = draw(st.integers(1, 7))
    vector = st.lists(small, min_size=dimension, max_size=dimension)
    updates = draw(st.lists(vector, min_size=1, max_size=4))
    steps = draw(st.lists(vector, max_size=5))
    return updates, steps


def gram_of(updates, steps):
    return gram_matrix([np.array(u, np.int16) for u in updates], [np.array(s, np.int64) for s in steps])


@settings(max_examples=400, deadline=None)
@given(rounds(), st.data())
def test_residuals_are_the_exact_projections(both, data):
    updates, steps = both
    used = data.draw(st.integers(0, len(steps)))
    rows = data.draw(st.permutations(range(len(updates)))) if len(updates) > 1 else [0]
    left = residuals(gram_of(updates, steps), rows, len(updates), used)
    basis = plain.independent(steps[:used])
    expected = [plain.residual(updates[row], basis) for row in rows]
    for a, first in enumerate(expected):
        for b, second in enumerate(expected):
            assert Fraction(left.products[a][b], left.scale) == plain.dot(first, second)


@settings(max_examples=200, deadline=None)
@given(rounds())
def test_novelty_and_company_are_floors_of_the_exact_values(both):
    updates, steps = both
    updates = [update for update in updates if any(update)]
    if not updates:
        return
    gram = gram_of(updates, steps)
    count = len(updates)
    left = residuals(gram, range(count), count, len(steps))
    basis = plain.independent(steps)
    rest = [plain.residual(update, basis) for update in updates]
    assert novelty(left, [gram[a][a] for a in range(count)]) == [
        int(plain.dot(r, r) / plain.dot(u, u) * ONE) for r, u in zip(rest, updates, strict=True)
    ]

    def shared(a, b):
        squares = plain.dot(rest[a], rest[a]) * plain.dot(rest[b], rest[b])
        return int(plain.dot(rest[a], rest[b]) ** 2 / squares * ONE) if squares else 0

    expected = [median([shared(a, b) for b in range(count) if b != a]) for a in range(count)] if count > 1 else [ONE]
    assert company(left) == expected


def test_a_replay_of_any_mix_of_past_steps_has_no_novelty():
    random = np.random.default_rng(3)
    steps = [random.integers(-1000, 1000, 50) for _ in range(5)]
    honest = random.integers(-1000, 1000, 50).astype(np.int16)
    replay = (2 * steps[0] - 3 * steps[4]).astype(np.int16)
    gram = gram_matrix([replay, honest], steps)
    values = novelty(residuals(gram, [0, 1], 2, 5), [gram[0][0], gram[1][1]])
    assert values[0] == 0
    assert values[1] > ONE // 2


def test_wide_steps_of_the_largest_size_stay_exact():
    dimension = 6
    steps = [[-(2**31) if i == k else 2**31 - 1 - i for i in range(dimension)] for k in range(5)]
    update = [32767, -32768, 32767, -32768, 32767, -32768]
    left = residuals(gram_of([update], steps), [0], 1, 5)
    rest = plain.residual(update, plain.independent(steps))
    assert Fraction(left.products[0][0], left.scale) == plain.dot(rest, rest)


def test_the_gate_is_open_from_half_the_median():
    gate = relative_gate([100, 200, 400, 49, 0], 20_000)
    assert gate.full_from == 50
    assert gate.factors == (ONE, ONE, ONE, 98 * ONE // 100, 0)


def test_a_majority_without_novelty_does_not_open_the_gate_for_itself():
    assert relative_gate([0, 0, 0, 7], 20_000).factors == (0, 0, 0, ONE)
    assert relative_gate([0, 0], 20_000).factors == (0, 0)
