"""The figures of the contribution benchmark, on numbers with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contribution import figures, pearson, ranks, shares, spearman, table
from benchmarks.contributions import ESTIMATES, POLICIES, Measured, Project


def measured(scores):
    """Two rounds of three trainers: totals 6, 3, -1."""
    result = Measured(
        loss=[[4.0, 2.0, -2.0], [2.0, 1.0, 1.0]],
        accuracy=[[0.2, 0.1, 0.0], [0.1, 0.0, 0.2]],
        halves=([[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]),
        gtg_evaluations=[8, 8],
    )
    result.scores = {name: scores for name in (*POLICIES, *ESTIMATES)}
    return result


def test_ranks_share_ties():
    assert ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [2.5, 0.0, 2.5, 1.0]


def test_correlations():
    first, second = np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 16.0])
    assert spearman(first, second) == pytest.approx(1)
    assert spearman(first, -second) == pytest.approx(-1)
    assert pearson(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert spearman(first, np.ones(3)) == 0


def test_shares_of_nothing_are_nothing():
    assert shares(np.array([[1.0, 3.0], [0.0, 0.0]])).tolist() == [[0.25, 0.75], [0.0, 0.0]]


def test_pay_by_the_truth_has_no_error_and_equal_pay_has():
    right = measured([[6.0, 3.0, 0.0], [6.0, 3.0, 0.0]])
    found = figures(right.scores["default"], right)
    assert found.spearman == pytest.approx(1)
    assert found.error == pytest.approx(0)
    assert found.lowest == pytest.approx(1)
    assert found.unpaid == pytest.approx(1 / 3)
    equal = measured([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    found = figures(equal.scores["default"], equal)
    assert found.spearman == 0
    # Shares due are 2/3, 1/3 and 0; paid 1/3 each.
    assert found.error == pytest.approx(2 / 3)
    assert found.lowest == pytest.approx(0.5)
    assert found.unpaid == 0


def test_the_table_holds_every_goal():
    one = measured([[6.0, 3.0, 0.0], [6.0, 3.0, 0.0]])
    rows = table([Project("digits-mlp", "dirichlet-0.5", 8, 1)], [one])
    goals = {row.name: row.goal for row in rows if row.goal is not None}
    assert sorted(goals.values()) == sorted([0.87, 0.35, 0.80, 0.45, 0.12, 0.65, 0.4, 0.80, 0.90, 1 / 20])
