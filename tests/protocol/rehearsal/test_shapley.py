"""Exact Shapley values against the definition, and their axioms."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from cohort_protocol.rehearsal.errors import RehearsalInvalid
from cohort_protocol.rehearsal.shapley import coalition_models, memberships, shapley_values
from hypothesis import given, settings
from hypothesis import strategies as st


def by_orders(utilities: np.ndarray, n: int) -> np.ndarray:
    """The definition: the mean over all orders of arrival of what each player adds."""
    values = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        coalition = 0
        for player in order:
            joined = coalition | 1 << player
            values[player] += utilities[joined] - utilities[coalition]
            coalition = joined
    return values / len(orders)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_they_are_the_mean_over_all_orders_of_arrival(n: int, seed: int) -> None:
    utilities = np.random.default_rng(seed).standard_normal(1 << n)
    assert shapley_values(utilities) == pytest.approx(by_orders(utilities, n))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_they_share_out_what_everybody_gains_together(n: int, seed: int) -> None:
    utilities = np.random.default_rng(seed).standard_normal((1 << n, 3))
    found = shapley_values(utilities)
    assert found.shape == (n, 3)
    assert found.sum(0) == pytest.approx(utilities[-1] - utilities[0])


def test_who_adds_nothing_gets_nothing_and_twins_get_the_same() -> None:
    inside = memberships(4)
    # Players 0 and 1 are exchangeable, player 3 never matters.
    utilities = inside[:, 0] + inside[:, 1] + 2.0 * (inside[:, 0] & inside[:, 2]) + 2.0 * (inside[:, 1] & inside[:, 2])
    found = shapley_values(utilities)
    assert found[3] == pytest.approx(0)
    assert found[0] == pytest.approx(found[1])
    assert found[2] == pytest.approx(2.0)


def test_coalition_models_are_means_of_their_members() -> None:
    model = np.array([1.0, 2.0], np.float32)
    updates = np.array([[1, 0], [0, 4], [3, 3]], np.float32)
    models = coalition_models(model, updates)
    assert models.shape == (8, 2)
    assert models[0] == pytest.approx(model)
    assert models[0b011] == pytest.approx([1.5, 4.0])
    assert models[0b111] == pytest.approx([1 + 4 / 3, 2 + 7 / 3])


def test_too_many_players_and_odd_tables_are_refused() -> None:
    with pytest.raises(RehearsalInvalid, match="1 to 14"):
        memberships(15)
    with pytest.raises(RehearsalInvalid, match="power of two"):
        shapley_values(np.zeros(6))
