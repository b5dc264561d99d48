"""The logit-average game: equal to the game of coalition models where models are linear, exact integers everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring import ScoringInputInvalid
from cohort_protocol.scoring.catalogue.logit_average import (
    LogitAverage,
    Measure,
    logit_average_shapley,
    total_cross_entropy,
)
from cohort_protocol.scoring.catalogue.shapley import exact_shapley
from hypothesis import given, settings
from hypothesis import strategies as st

UNIT = 1 << 24


def cross_entropy(logits, labels):
    """Sum over the batch, in floats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).sum())


def linear_softmax(seed, n, batch=30, features=5, classes=4):
    """(inputs, labels, model, updates) of a linear softmax classifier."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(batch, features))
    truth = random.normal(size=(features, classes))
    labels = (inputs @ truth).argmax(axis=1).astype(np.int64)
    model = random.normal(size=(features, classes)) * 0.3
    updates = 0.4 * truth + random.normal(size=(n, features, classes)) * np.linspace(0.1, 1.5, n)[:, None, None]
    return inputs, labels, model, updates


def game_of(inputs, labels, model, updates, measure=Measure.LOSS):
    logits = [np.rint(inputs @ weights * UNIT).astype(np.int64) for weights in (model, *(model + updates))]
    return LogitAverage(logits[0], np.stack(logits[1:]), labels, measure)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6))
def test_equals_exact_shapley_of_coalition_models_when_logits_are_linear(seed, n):
    inputs, labels, model, updates = linear_softmax(seed, n)

    def of_models(coalition):
        weights = model + (updates[sorted(coalition)].mean(axis=0) if coalition else 0)
        return -round(cross_entropy(inputs @ weights, labels) * UNIT)

    exact = exact_shapley(of_models, n)
    found = logit_average_shapley(game_of(inputs, labels, model, updates))
    assert max(abs(a - b) for a, b in zip(exact, found, strict=True)) < len(labels) * UNIT >> 18


def test_accuracy_counts_right_answers():
    inputs, labels, model, updates = linear_softmax(1, 5)
    game = game_of(inputs, labels, model, updates, Measure.ACCURACY)
    for members in (frozenset(), frozenset({2}), frozenset({0, 1, 4})):
        weights = model + (updates[sorted(members)].mean(axis=0) if members else 0)
        assert game(members) == ((inputs @ weights).argmax(axis=1) == labels).sum()
    assert sum(logit_average_shapley(game)) == game(frozenset(range(5))) - game(frozenset())


def test_a_softmax_is_not_linear_in_general():
    """Of a model with a square in it the two games differ: the average is an approximation."""
    inputs, labels, model, updates = linear_softmax(2, 4)

    def logits(weights):
        return (inputs @ weights) ** 2

    game = LogitAverage(
        np.rint(logits(model) * UNIT).astype(np.int64),
        np.stack([np.rint(logits(model + update) * UNIT).astype(np.int64) for update in updates]),
        labels,
    )
    exact = -cross_entropy(logits(model + updates.mean(axis=0)), labels)
    assert abs(game(frozenset(range(4))) / UNIT - exact) > 0.1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 300), st.sampled_from([0.01, 1, 30, 300]))
def test_cross_entropy_against_floats(seed, batch, classes, scale):
    random = np.random.default_rng(seed)
    logits = np.rint(random.normal(size=(batch, classes)) * scale * UNIT).clip(-(2**34), 2**34).astype(np.int64)
    labels = random.integers(0, classes, batch)
    found = total_cross_entropy(logits, labels) / UNIT
    assert abs(found - cross_entropy(logits / UNIT, labels)) < batch * 2**-20


def test_extreme_logits():
    logits = np.array([[2**34, -(2**34)], [-(2**34), 2**34]], np.int64)
    assert total_cross_entropy(logits, np.array([0, 1])) == 0
    assert total_cross_entropy(logits, np.array([1, 0])) == 2 * 2**35


GOOD = {
    "base": np.zeros((3, 2), np.int64),
    "members": np.zeros((4, 3, 2), np.int64),
    "labels": np.zeros(3, np.int64),
}


@pytest.mark.parametrize(
    "changed",
    [
        {"base": np.zeros((3, 3), np.int64)},
        {"members": np.zeros((4, 2, 2), np.int64)},
        {"labels": np.zeros(4, np.int64)},
        {"base": np.zeros((0, 2), np.int64), "members": np.zeros((4, 0, 2), np.int64), "labels": np.zeros(0, np.int64)},
        {"base": np.zeros((3, 2))},
        {"members": np.full((4, 3, 2), 2**34 + 1, np.int64)},
        {"labels": np.full(3, 2, np.int64)},
        {"labels": np.full(3, -1, np.int64)},
    ],
)
def test_what_is_no_game_is_refused(changed):
    with pytest.raises(ScoringInputInvalid):
        LogitAverage(**{**GOOD, **changed})
    assert LogitAverage(**GOOD)(frozenset({1})) < 0
