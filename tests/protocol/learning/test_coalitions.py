"""Games of trainers on real models: coalition models, logit averages, and the scores over them."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.learning.coalitions import coalition_utility, logit_average
from cohort_protocol.learning.data import digits_data_spec, digits_splits, dirichlet_partition
from cohort_protocol.learning.evaluation import evaluate_model
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.simulation import Federation
from cohort_protocol.learning.training import LocalTask, local_update, train
from cohort_protocol.scoring import ScoringInputInvalid, weighted_sum
from cohort_protocol.scoring.catalogue.logit_average import Measure, logit_average_shapley
from cohort_protocol.scoring.catalogue.shapley import exact_shapley, gtg_shapley, leave_one_out
from cohort_protocol.spec import HyperParameters
from cohort_protocol.update import apply_step, floats_from_model

EXPONENT, N = -14, 4
HYPER = HyperParameters(local_epochs=1, augment_shift=0)


def round_of(hidden):
    """(architecture, model, updates, batch) of the first round on digits: three honest trainers and one who flips."""
    splits = digits_splits(0)
    architecture = parse_architecture("mlp", {"hidden": hidden}, digits_data_spec())
    model = Federation(architecture, EXPONENT, 1, splits.test).first_model()
    updates = []
    for index, part in enumerate(dirichlet_partition(splits.train.labels, N, 0.5, 20, 0)):
        some = splits.train.take(part)
        task = LocalTask(
            build_module(architecture, floats_from_model(model, EXPONENT)),
            some.inputs,
            some.labels,
            HYPER,
            1,
            index,
            None,
        )
        updates.append(local_update(train, task, EXPONENT))
    updates[-1] = -updates[-1]
    return architecture, model, updates, splits.validation


@pytest.fixture(scope="module")
def deep():
    return round_of([16])


@pytest.fixture(scope="module")
def linear():
    return round_of([])


@pytest.mark.parametrize("members", [(), (1,), (0, 2), (0, 1, 2, 3)])
def test_a_coalition_is_worth_what_its_model_does_on_the_batch(deep, members):
    architecture, model, updates, batch = deep
    step = weighted_sum(
        updates, [65_536 // len(members) if row in members else 0 for row in range(N)] if members else [0] * N
    )
    expected = evaluate_model(architecture, apply_step(model, step), EXPONENT, batch)
    loss = coalition_utility(architecture, EXPONENT, model, updates, batch)(frozenset(members))
    assert abs(-loss / 2**24 / len(batch) - expected.loss) < 1e-5
    right = coalition_utility(architecture, EXPONENT, model, updates, batch, Measure.ACCURACY)(frozenset(members))
    assert abs(right - expected.accuracy * len(batch)) <= 1


def test_the_logit_average_is_exact_for_a_linear_model(linear):
    architecture, model, updates, batch = linear
    exact = exact_shapley(coalition_utility(architecture, EXPONENT, model, updates, batch), N)
    average = logit_average_shapley(logit_average(architecture, EXPONENT, model, updates, batch))
    assert max(abs(a - b) for a, b in zip(exact, average, strict=True)) < len(batch) * 2**4
    assert min(abs(value) for value in exact) > len(batch) * 2**10, "values are far above the rounding"


def test_the_scores_agree_on_who_cheats(deep):
    architecture, model, updates, batch = deep
    utility = coalition_utility(architecture, EXPONENT, model, updates, batch)
    exact = exact_shapley(utility, N)
    assert sum(exact) == utility(frozenset(range(N))) - utility(frozenset())
    guided = gtg_shapley(utility, N, 1)
    average = logit_average_shapley(logit_average(architecture, EXPONENT, model, updates, batch))
    for values in (exact, guided.values, average, leave_one_out(utility, N)):
        assert min(range(N), key=lambda row: values[row]) == N - 1
    assert sum(abs(a - b) for a, b in zip(exact, guided.values, strict=True)) < sum(map(abs, exact)) / 5
    assert sum(abs(a - b) for a, b in zip(exact, average, strict=True)) < sum(map(abs, exact)) / 3


def test_the_same_round_gives_the_same_digits(deep):
    architecture, model, updates, batch = deep
    first, second = (logit_average(architecture, EXPONENT, model, updates, batch) for _ in range(2))
    assert np.array_equal(first.members, second.members)
    assert np.array_equal(first.base, second.base)


def test_a_model_that_diverged_is_no_game(deep):
    architecture, _, updates, batch = deep
    wild = np.full(architecture.dimension, 2**61, np.int64)
    with pytest.raises(ScoringInputInvalid, match="diverged"):
        logit_average(architecture, EXPONENT, wild, updates, batch)
    with pytest.raises(ScoringInputInvalid, match="diverged"):
        coalition_utility(architecture, EXPONENT, wild, updates, batch)(frozenset())
