"""From evidence to a contribution: each piece against its formula, and the ranges that a twin relies on."""

from __future__ import annotations

from fractions import Fraction

import pytest
from cohort_protocol.scoring.belief import (
    HIGHEST,
    MOST_COSINE,
    Shape,
    agreements,
    capped,
    company,
    company_cosines,
    company_rank,
    ramp_gate,
    relative,
    soft_floor,
    standings,
)
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.players import form_players, mean_products, player_coordinates
from cohort_protocol.scoring.units import UNIT, unit_gram
from hypothesis import given
from hypothesis import strategies as st

SHAPE = Shape(
    belief_bps=9_000,
    doubt_bps=20_000,
    value_cap_bps=50_000,
    peer_cap_bps=15_000,
    width_bps=15_000,
    suspect_width_bps=10_000,
)


@given(st.lists(st.integers(-(2**120), 2**120), min_size=1, max_size=32))
def test_relative_values_are_floors_of_the_quotient(values):
    size = Fraction(sum(map(abs, values)), len(values))
    for found, value in zip(relative(values, values), values, strict=True):
        exact = int(value * ONE / size) if size else 0
        assert found == max(-HIGHEST, min(HIGHEST, exact))


@given(st.integers(-4 * ONE, 4 * ONE), st.integers(1, 3 * ONE))
def test_the_soft_floor_is_continuous_and_never_negative(value, width):
    found = soft_floor(value, width)
    if value <= -width:
        assert found == 0
    elif value >= width:
        assert found == value
    else:
        assert found == (value + width) ** 2 // (4 * width)
    assert soft_floor(value + 1, width) >= found >= 0
    assert abs(soft_floor(width, width) - soft_floor(width - 1, width)) <= 2


def test_a_ramp_is_shut_below_from_and_open_from_full():
    gate = ramp_gate([0, 30, 35, 40, 60, 100, 200, 100, 100, 100, 100], 3_500, 6_000)
    assert gate.full_from == 60
    assert gate.factors[:3] == (0, 0, 0)
    assert gate.factors[3] == ONE // 5
    assert set(gate.factors[4:]) == {ONE}
    assert ramp_gate([0, 0, 5], 3_500, 6_000).factors == (0, 0, ONE)


def test_belief_falls_with_what_the_halves_differ_by():
    values = [100, -50, 150]
    sure = standings(values, [0, 0, 0], [ONE] * 3, [False] * 3, SHAPE)
    assert sure.belief == ONE * 9 // 10
    assert sure.values == (ONE, -(ONE // 2), ONE * 3 // 2)
    # doubt 2 x sum D^2 / sum x^2 = 2 x 5000 / 35000
    torn = standings(values, [50, 50, 0], [ONE] * 3, [False] * 3, SHAPE)
    assert torn.belief / ONE == pytest.approx(0.9 - 2 * 5000 / 35000, abs=1e-8)
    lost = standings(values, [200, 200, 200], [0, ONE, 9 * ONE], [False] * 3, SHAPE)
    assert lost.belief == 0
    assert lost.blended == (0, ONE, ONE * 3 // 2)


def test_values_and_peer_scores_are_capped():
    standing = standings([1, *[0] * 15], [0] * 16, [0] * 16, [False] * 16, SHAPE)
    assert standing.values[0] == 16 * ONE
    assert standing.blended[0] == 5 * (ONE * 9 // 10)


def test_a_round_of_no_value_is_left_to_the_others():
    standing = standings([0, 0], [0, 0], [ONE // 2, ONE], [False] * 2, SHAPE)
    assert standing.belief == 0
    assert standing.blended == (ONE // 2, ONE)


def test_suspects_get_less_of_the_benefit_of_the_doubt():
    standing = standings([-50, -50, 200], [0] * 3, [0] * 3, [False, True, True], SHAPE)
    z = -0.45
    assert standing.blended[0] / ONE == pytest.approx(z, abs=1e-8)
    assert standing.earned[0] / ONE == pytest.approx((z + 1.5) ** 2 / 6, abs=1e-8)
    assert standing.earned[1] / ONE == pytest.approx((z + 1) ** 2 / 4, abs=1e-8)
    assert standing.earned[2] == standing.blended[2]


@given(st.lists(st.integers(0, 2**60), min_size=1, max_size=32), st.integers(10_000, 50_000))
def test_no_score_is_above_the_cap_of_their_sum(scores, parts):
    found = capped(scores, parts, len(scores))
    assert all(value * 10_000 * len(scores) <= sum(scores) * parts for value in found)
    assert all(a <= b for a, b in zip(found, scores, strict=True))


def test_agreement_is_with_the_others_at_equal_length():
    units = [[UNIT, 0, UNIT * 3 // 5], [0, UNIT, UNIT * 4 // 5], [UNIT * 3 // 5, UNIT * 4 // 5, UNIT]]
    found = [value / ONE for value in agreements(units)]
    # (1, 0), (0, 1), (.6, .8)
    assert found == pytest.approx([0.6 / (0.6**2 + 1.8**2) ** 0.5, 0.8 / (1.6**2 + 0.8**2) ** 0.5, 1.4 / 2**0.5])
    assert agreements([[UNIT]]) == [ONE]
    assert agreements([[UNIT, -UNIT], [-UNIT, UNIT]]) == [-ONE, -ONE]


def test_players_are_sums_of_clipped_rows_and_values_their_means():
    rows = [[3, 4], [30, 40], [4, -3], [0, 0]]
    public = [7, 1]
    everything = [*rows, public]
    gram = tuple(tuple(sum(x * y for x, y in zip(a, b, strict=True)) for b in everything) for a in everything)
    players = form_players(gram, 4, 20_000, 500, 9_000)
    assert players.groups == ((0, 1), (2,))
    # Norms 5, 50, 5: the median is 5, the second row counts as 10 long.
    assert players.clips == (ONE, ONE // 5, ONE, 0)
    clipped = ONE + (ONE // 5) * 10
    assert players.gram[0] == (25 * clipped**2, 0, 25 * clipped)
    assert players.units == ((UNIT, 0), (0, UNIT))
    assert players.sizes == (pytest.approx(2 * UNIT, rel=1e-9), UNIT)
    assert mean_products(players, 2) == [25 * clipped // 2, 25 * ONE]
    assert mean_products(players, 2, 30)[1] == 25


def test_the_stated_ranges_hold_for_32_extreme_rows():
    """d = 2^24 entries of -2^15, a wide row of -2^31."""
    square, across, wide = 2**54, 2**70, 2**86
    n = 32
    gram = (*(((square,) * n + (across,)),) * n, (across,) * n + (wide,))
    players = form_players(gram, n, 20_000, 500, 9_000)
    assert players.count == 1
    assert players.gram[0] == (2**124, 2**105)
    assert mean_products(players, 1)[0] == 2**100
    assert player_coordinates(players, gram, [n])[0][0] == pytest.approx(2**30, rel=1e-8)


@given(st.lists(st.lists(st.integers(-50, 50), min_size=7, max_size=7), min_size=2, max_size=8))
def test_company_is_the_square_of_a_cosine_that_two_fifths_of_the_others_reach(rows):
    gram = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]
    found = company(company_cosines(unit_gram(gram, range(len(rows)))))
    size = [sum(x * x for x in row) ** 0.5 for row in rows]
    for a, kappa in enumerate(found):
        squares = [
            (gram[a][b] / (size[a] * size[b])) ** 2 if size[a] * size[b] else 0.0 for b in range(len(rows)) if b != a
        ]
        rank = (2 * len(rows) + 1) // 5
        assert kappa / ONE == pytest.approx(sorted(squares, reverse=True)[rank - 1], abs=2**-13)


@pytest.mark.parametrize("players", range(2, 33))
def test_two_fifths_of_the_players_are_no_company_to_each_other(players):
    rank = company_rank(players - 1)
    assert 1 <= rank <= players - 1
    assert 2 * players // 5 - 1 < rank
    # One honest player needs that many others which are like it, of the three fifths that are left.
    assert rank <= max(1, players - 2 * players // 5 - 1)


def test_the_best_company_stays_in_15_bits():
    assert company_cosines([[UNIT, UNIT], [UNIT, UNIT]]) == [[MOST_COSINE]] * 2
    assert company_cosines([[UNIT, -7 * UNIT], [-7 * UNIT, UNIT]]) == [[MOST_COSINE]] * 2
    assert company_cosines([[0, 0], [0, UNIT]]) == [[0], [0]]
    assert company([[MOST_COSINE, 0], [3, 5], [7]]) == [MOST_COSINE**2, 25, 49]
    assert company([[2, 3, 9], [2, 9, 3, 4], [7, 1, 2, 3, 4, 5, 6]]) == [81, 16, 25]
    assert company(company_cosines([[UNIT]])) == [ONE]
