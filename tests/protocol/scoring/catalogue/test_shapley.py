"""Shapley values by models: the axioms, known games, and the estimators against the exact values."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import factorial
from random import Random

import pytest
from cohort_protocol.scoring import ScoringInputInvalid
from cohort_protocol.scoring.catalogue.shapley import GtgSettings, exact_shapley, gtg_shapley, leave_one_out
from hypothesis import example, given, settings
from hypothesis import strategies as st


def table_game(seed, n, size=1_000):
    """A game with random values."""
    random = Random(seed)
    values = {
        frozenset(row for row in range(n) if mask >> row & 1): random.randint(-size, size) for mask in range(1 << n)
    }
    return values.__getitem__


def saturating(strengths):
    """More members, less gain from each: the shape of accuracies."""
    return lambda coalition: int(1_000_000 * (1 - 0.5 ** sum(strengths[row] for row in coalition)))


def by_orders(utility, n):
    """The mean marginal value over all orders, which is what the value means."""
    totals = [0] * n
    for order in permutations(range(n)):
        members = frozenset()
        for row in order:
            totals[row] += utility(members | {row}) - utility(members)
            members |= {row}
    return [Fraction(total, factorial(n)) for total in totals]


games = st.tuples(st.integers(0, 2**32), st.integers(1, 6))


@settings(max_examples=60, deadline=None)
@given(games)
def test_equals_the_mean_over_all_orders(game):
    utility = table_game(*game)
    assert exact_shapley(utility, game[1]) == by_orders(utility, game[1])


@given(games)
def test_efficiency(game):
    utility, n = table_game(*game), game[1]
    assert sum(exact_shapley(utility, n)) == utility(frozenset(range(n))) - utility(frozenset())


@given(games)
def test_symmetry_and_dummy(game):
    """Rows n and n + 1 join an arbitrary game as twins, row n + 2 as one who never matters."""
    inner, n = table_game(*game), game[1]

    def utility(coalition):
        twins = len(coalition & {n, n + 1})
        return inner(coalition & frozenset(range(n))) * (1 + twins) + twins**2 * 17

    values = exact_shapley(utility, n + 3)
    assert values[n] == values[n + 1]
    assert values[n + 2] == 0


@given(games, games)
def test_additivity(first, second):
    n = min(first[1], second[1])
    a, b = table_game(first[0], n), table_game(second[0], n)
    both = exact_shapley(lambda coalition: a(coalition) + 3 * b(coalition), n)
    assert both == [x + 3 * y for x, y in zip(exact_shapley(a, n), exact_shapley(b, n), strict=True)]


def test_known_games():
    glove = exact_shapley(lambda c: int(0 in c and bool(c & {1, 2})), 3)
    assert glove == [Fraction(2, 3), Fraction(1, 6), Fraction(1, 6)]
    airport = exact_shapley(lambda c: -max((3, 5, 9)[row] for row in c) if c else 0, 3)
    assert airport == [-1, -2, -6]
    council = exact_shapley(lambda c: int({0, 1} <= c and len(c) >= 3), 5)
    assert council == [Fraction(9, 20)] * 2 + [Fraction(1, 30)] * 3


def test_each_coalition_is_evaluated_once():
    seen = []
    exact_shapley(lambda c: seen.append(c) or len(c), 7)
    assert len(seen) == len(set(seen)) == 128


@pytest.mark.parametrize("n", [0, 13])
def test_too_few_or_too_many_rows_are_refused(n):
    with pytest.raises(ScoringInputInvalid):
        exact_shapley(len, n)


def test_leave_one_out_pays_no_twin():
    assert leave_one_out(lambda c: int(bool(c & {0, 1})) * 10 + int(2 in c), 3) == [0, 0, 1]
    assert leave_one_out(lambda c: 7 * len(c), 1) == [7]


@settings(max_examples=15, deadline=None)
@example(6739, 3)
@given(st.integers(0, 2**32), st.integers(2, 7))
def test_gtg_is_efficient_and_converges_to_the_exact_values(seed, n):
    utility = table_game(seed, n)
    # Among three, estimates of ten sweeps ago are soon the same as now's by chance, which would end it.
    settings = GtgSettings(most_permutations=6_000, patience=6_000, tolerance_bps=0, between_rounds=-1)
    found = gtg_shapley(utility, n, seed, settings)
    exact = exact_shapley(utility, n)
    assert sum(found.values) == sum(exact)
    assert found.evaluations <= 2**n
    # 1,000 sweeps or so: a few standard errors of a mean of values within 2,000.
    assert max(abs(a - b) for a, b in zip(found.values, exact, strict=True)) < 150


def test_gtg_gets_closer_with_more_permutations():
    utility = table_game(3, 6)
    exact = exact_shapley(utility, 6)

    def error(permutations_, seed):
        settings = GtgSettings(most_permutations=permutations_, patience=6_000, tolerance_bps=0)
        found = gtg_shapley(utility, 6, seed, settings)
        return sum(abs(a - b) for a, b in zip(found.values, exact, strict=True))

    few, many = (sum(error(count, seed) for seed in range(10)) for count in (60, 6_000))
    assert many * 5 < few


def test_gtg_truncates_what_is_hardly_worth_a_model():
    strengths = [2, 2, 1, 1, 1, 0.5, 0.5, 0.2, 0.2, 0.1]
    utility = saturating(strengths)
    exact = exact_shapley(utility, 10)
    found = gtg_shapley(utility, 10, 1, GtgSettings(within_round=20_000))
    full = gtg_shapley(utility, 10, 1, GtgSettings())
    assert found.evaluations < full.evaluations <= 1_024
    assert found.converged
    error = sum(abs(a - b) for a, b in zip(found.values, exact, strict=True))
    assert error < sum(exact) / 8


def test_gtg_stops_a_permutation_only_where_it_may():
    def first_is_all(coalition):
        return 50 * bool(coalition)

    truncated = gtg_shapley(first_is_all, 5, 0, GtgSettings(within_round=1, most_permutations=200))
    assert truncated.evaluations == 5 + 2
    assert gtg_shapley(first_is_all, 5, 0, GtgSettings(within_round=0, most_permutations=200)).evaluations > 20
    assert truncated.values == exact_shapley(first_is_all, 5) == [10] * 5


def test_gtg_skips_a_round_in_which_nothing_happened():
    seen = []
    found = gtg_shapley(lambda c: seen.append(c) or 100 + len(c), 6, 0, GtgSettings(between_rounds=6))
    assert found.values == [0] * 6
    assert found.evaluations == len(seen) == 2


def test_gtg_is_the_same_for_the_same_seed_and_lets_everybody_lead():
    utility = table_game(5, 5)
    settings_ = GtgSettings(most_permutations=5, tolerance_bps=0)
    assert gtg_shapley(utility, 5, 7, settings_) == gtg_shapley(utility, 5, 7, settings_)
    assert gtg_shapley(utility, 5, 7, settings_).values != gtg_shapley(utility, 5, 8, settings_).values
    seen = set()
    gtg_shapley(lambda c: seen.add(c) or len(c), 5, 0, settings_)
    assert {frozenset({row}) for row in range(5)} <= seen
