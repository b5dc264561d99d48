"""Rounds in one process, and the cheats in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.learning.architecture import parse_architecture
from cohort_protocol.learning.data import digits_data_spec, digits_splits, dirichlet_partition
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.plugin import load_train_function
from cohort_protocol.learning.simulation import (
    Federation,
    Participant,
    run_fedavg,
    run_local_only,
    run_policy,
)
from cohort_protocol.learning.training import LocalTask, local_update, train
from cohort_protocol.learning.vector import flatten
from cohort_protocol.scoring import Reason, policy_by_name
from cohort_protocol.spec import HyperParameters
from cohort_protocol.update import dequantise, floats_from_model

ATTACKS = Path(__file__).parents[2] / "attacks"
EXPONENT = -14


def attack(name):
    return load_train_function(f"{ATTACKS / name}.py:train")


@pytest.fixture(scope="module")
def splits():
    return digits_splits(0)


@pytest.fixture(scope="module")
def architecture():
    return parse_architecture("digits-cnn", {}, digits_data_spec())


def federation(architecture, splits, rounds):
    return Federation(architecture, EXPONENT, rounds, splits.test, HyperParameters(), seed=0)


def participants(splits, count, cheats=()):
    functions = dict(cheats)
    return [
        Participant(f"trainer-{index}", splits.train.take(part), index, functions.get(index, train))
        for index, part in enumerate(dirichlet_partition(splits.train.labels, count, 0.5, 20, 0))
    ]


def local_task(architecture, splits, previous_step=None, number=1, seed=3):
    some = splits.train.take(np.arange(120))
    weights = floats_from_model(federation(architecture, splits, 1).first_model(), EXPONENT)
    return LocalTask(
        build_module(architecture, weights), some.inputs, some.labels, HyperParameters(), number, seed, previous_step
    )


def test_a_sign_flip_is_the_honest_update_turned_round(architecture, splits):
    given = local_task(architecture, splits)
    honest, flipped = local_update(train, given, EXPONENT), local_update(attack("sign_flip"), given, EXPONENT)
    assert np.abs(honest).max() > 100
    assert np.abs(honest.astype(int) + flipped).max() <= 1


def test_noise_has_about_the_length_of_honest_updates_and_no_direction(architecture, splits):
    honest = dequantise(local_update(train, local_task(architecture, splits), EXPONENT), EXPONENT)
    first = dequantise(local_update(attack("noise"), local_task(architecture, splits), EXPONENT), EXPONENT)
    assert 0.3 < np.linalg.norm(first) / np.linalg.norm(honest) < 3
    assert abs(first @ honest) < 0.03 * np.linalg.norm(first) * np.linalg.norm(honest)
    later = local_task(architecture, splits, previous_step=honest, number=2, seed=4)
    second = dequantise(local_update(attack("noise"), later, EXPONENT), EXPONENT)
    assert np.linalg.norm(second) == pytest.approx(np.linalg.norm(honest) / 0.6, rel=0.01)
    assert abs(second @ first) < 0.03 * np.linalg.norm(first) * np.linalg.norm(second)


def test_a_replay_is_the_last_step(architecture, splits):
    step = np.linspace(-0.5, 0.5, architecture.dimension, dtype=np.float32)
    given = local_task(architecture, splits, previous_step=step, number=2)
    replayed = dequantise(local_update(attack("replay_step"), given, EXPONENT), EXPONENT)
    assert np.abs(replayed - step).max() <= 2.0**-14
    assert local_update(attack("replay_step"), local_task(architecture, splits), EXPONENT).any()


@pytest.mark.parametrize("name", ["sign_flip", "noise", "replay_step"])
def test_cheats_keep_the_contract(architecture, splits, name):
    given = local_task(architecture, splits)
    before = flatten(given.model)
    assert local_update(attack(name), given, EXPONENT).shape == before.shape
    assert np.array_equal(flatten(given.model), before)


def test_federated_averaging_of_one_is_local_training(architecture, splits):
    alone = participants(splits, 1)
    one = federation(architecture, splits, 1)
    run = run_fedavg(one, alone)
    task = LocalTask(
        build_module(architecture, floats_from_model(one.first_model(), EXPONENT)),
        alone[0].dataset.inputs,
        alone[0].dataset.labels,
        HyperParameters(),
        1,
        0,
        None,
    )
    assert run.model.shape == (architecture.dimension,)
    moved = floats_from_model(run.model, EXPONENT) - flatten(task.model)
    assert 0.1 < np.linalg.norm(moved) < 10
    assert run.rounds[0].outcome is None
    assert run_local_only(one, alone)[0].accuracies == run.accuracies


def test_a_run_repeats_itself_and_reports_every_round(architecture, splits):
    two = federation(architecture, splits, 2)
    everybody = participants(splits, 3)
    seen = []
    first = run_policy(two, everybody, policy_by_name("peer"), lambda number, each: seen.append((number, each)))
    second = run_policy(two, everybody, policy_by_name("peer"))
    assert np.array_equal(first.model, second.model)
    assert [number for number, _ in seen] == [1, 2]
    assert tuple(each for _, each in seen) == first.rounds
    assert first.accuracies == second.accuracies


def test_weights_of_federated_averaging_follow_the_number_of_examples(architecture, splits):
    """Two trainers, one with three times the examples: the model moves 3/4 and 1/4 of the way of each alone."""
    one = federation(architecture, splits, 1)
    shards = [splits.train.take(np.arange(0, 90)), splits.train.take(np.arange(90, 120))]
    both = [Participant(f"trainer-{index}", shard, index) for index, shard in enumerate(shards)]
    start = one.first_model()
    alone = [run_fedavg(one, [participant]).model - start for participant in both]
    together = run_fedavg(one, both).model - start
    assert np.array_equal(4 * together, 3 * alone[0] + alone[1])


def test_three_rounds_with_cheats(architecture, splits):
    """The market of the demo in small: the flip is flagged in every round, and the others earn."""
    cheats = {2: attack("sign_flip"), 5: attack("noise"), 6: attack("replay_step")}
    run = run_policy(
        federation(architecture, splits, 3), participants(splits, 9, cheats.items()), policy_by_name("peer")
    )
    honest = [index for index in range(9) if index not in cheats]
    earned = np.sum([each.outcome.scores for each in run.rounds], axis=0)
    assert all(each.outcome.reasons[2] is Reason.OPPOSES_OTHERS for each in run.rounds)
    assert sum(earned[list(cheats)]) < 0.01 * sum(earned)
    assert min(earned[honest]) > 0.02 * sum(earned)
    assert run.accuracies[-1] > 0.5
