"""Rows from a validation batch: measured values, what is remembered, and who is kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from cohort_protocol.learning.architecture import initial_weights, parse_architecture
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.measuring import EXACT, cross_entropy, example_values
from cohort_protocol.learning.validation import (
    ValidationRound,
    _worth_dropping,
    distinct,
    examples_shown,
    joined,
    scaled_rows,
    validation_rows,
)
from cohort_protocol.scoring import PublicRows, ScoringInputInvalid, gram_matrix, policy_by_name
from cohort_protocol.scoring.default import DefaultParameters, DefaultPolicy, Evidence
from cohort_protocol.spec import DataSpec, HyperParameters
from cohort_protocol.update import model_from_floats
from torch.nn import functional

DATA = DataSpec(shape=[6], classes=3, description="Blobs.")
ARCHITECTURE = parse_architecture("mlp", {"hidden": [5]}, DATA)
EXPONENT = -12


def blobs(count: int, seed: int) -> Dataset:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    centres = 2 * np.random.default_rng(0).standard_normal((3, 6))
    return Dataset((centres[labels] + random.standard_normal((count, 6))).astype(np.float32), labels.astype(np.int64))


def make_round(updates: int = 4, seed: int = 1, revealed: int = 0) -> ValidationRound:
    """Updates along the negative gradient of each trainer's own examples, with noise; the last one climbs."""
    random = np.random.default_rng(seed)
    weights = initial_weights(ARCHITECTURE, 3)
    model = model_from_floats(weights, EXPONENT)
    given = ValidationRound(
        architecture=ARCHITECTURE,
        exponent=EXPONENT,
        model=model,
        updates=[],
        batch=blobs(64, 99),
        revealed=joined([blobs(64, 100 + k) for k in range(revealed)]) if revealed else None,
        hyper=HyperParameters(local_epochs=1),
        round=1 + revealed,
        seed=7,
    )
    policy = DefaultPolicy(DefaultParameters(evidence=int(Evidence.LINEAR)))
    rows = []
    for trainer in range(updates):
        probe = replace(given, updates=[np.ones(len(model), np.int16)], batch=blobs(40, trainer))
        slope = validation_rows(probe, policy).vectors.gradients[0].astype(float)
        direction = -slope / np.abs(slope).max() * (1 if trainer + 1 < updates else -1)
        rows.append(np.rint(700 * direction + 220 * random.standard_normal(len(model))).astype(np.int16))
    return replace(given, updates=rows)


def products(given: ValidationRound, rows) -> np.ndarray:
    return np.array([[int(np.dot(row, update.astype(np.int64))) for update in given.updates] for row in rows], float)


def test_exact_values_are_means_over_all_orders():
    random = np.random.default_rng(2)
    base, members, labels = random.standard_normal((6, 3)), random.standard_normal((4, 6, 3)), np.arange(6) % 3
    expected = np.zeros((4, 6))
    for order in permutations(range(4)):
        before = -cross_entropy(base, labels)
        for size, member in enumerate(order, 1):
            after = -cross_entropy(members[list(order[:size])].mean(0), labels)
            expected[member] += (after - before) / 24
            before = after
    assert example_values(base, members, labels) == pytest.approx(expected)


def test_sampled_values_share_out_the_same_gain():
    random = np.random.default_rng(3)
    n = EXACT + 2
    base, members, labels = random.standard_normal((5, 3)), random.standard_normal((n, 5, 3)), np.arange(5) % 3
    found = example_values(base, members, labels)
    gain = cross_entropy(base, labels) - cross_entropy(members.mean(0), labels)
    assert found.sum(0) == pytest.approx(gain)
    fewer = example_values(base, members[:EXACT], labels)
    assert np.corrcoef(found[:EXACT].mean(1), fewer.mean(1))[0, 1] > 0.95


def test_value_rows_measure_what_they_say():
    given, policy = make_round(), DefaultPolicy()
    rows = validation_rows(given, policy)
    assert rows.vectors.layout == PublicRows(values=3)
    found = products(given, rows.vectors.values[:1])[0]
    assert found / np.abs(found).sum() == pytest.approx(
        np.array(rows.values) / np.abs(np.array(rows.values)).sum(), abs=1e-4
    )
    assert rows.values[-1] < 0 < min(rows.values[:-1])
    again = validation_rows(given, policy)
    assert all(np.array_equal(a, b) for a, b in zip(rows.vectors.rows(), again.vectors.rows(), strict=True))


def test_the_last_row_votes_out_who_harms():
    given = make_round()
    votes = products(given, validation_rows(given, DefaultPolicy()).vectors.values[2:])[0]
    assert (votes > 0).tolist() == [True, True, True, False]
    assert votes[:3] == pytest.approx(votes[0], rel=1e-3)


def test_memory_adds_a_part_of_what_was():
    given = make_round()
    plain = validation_rows(given, DefaultPolicy(DefaultParameters(memory_bps=0)))
    earlier = (2**28, 0, 0, -(2**29))
    with_memory = validation_rows(replace(given, earlier=earlier), DefaultPolicy(DefaultParameters(memory_bps=5_000)))
    expected = [value + memory // 2 for value, memory in zip(plain.values, earlier, strict=True)]
    assert with_memory.values == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("earlier", [(0,) * 3, (0,) * 5])
def test_a_memory_of_other_rows_is_refused(earlier):
    with pytest.raises(ScoringInputInvalid, match="remembered values for 4 updates"):
        validation_rows(replace(make_round(), earlier=earlier), DefaultPolicy())


def test_old_batches_count_no_more_than_the_fresh_one_allows():
    """Whoever trained on the revealed batches shines on them alone."""
    given = make_round(revealed=3)
    labels = np.random.default_rng(1).integers(0, 3, len(given.revealed))
    secret = replace(given, revealed=Dataset(given.revealed.inputs, labels))
    policy = DefaultPolicy(DefaultParameters(memory_bps=0))
    fresh = validation_rows(replace(given, revealed=None), policy).values
    pooled = validation_rows(given, policy).values
    misled = validation_rows(secret, policy).values
    scale = float(np.abs(fresh).mean())
    # Values that old examples confirm stay, and random labels cannot lift what the fresh batch finds harmful.
    assert pooled == pytest.approx(fresh, abs=scale)
    assert misled[-1] < 0.5 * scale
    assert fresh[-1] < 0


def test_clones_are_one_player_and_short_rows_none():
    given = make_round()
    cloned = replace(given, updates=[*given.updates, given.updates[0].copy(), given.updates[0] * 0])
    once, twice = (validation_rows(each, DefaultPolicy()) for each in (given, cloned))
    assert twice.values[:4] == pytest.approx(once.values, abs=2)
    assert twice.values[4] == twice.values[0]
    assert twice.values[5] == 0


def test_permuting_the_updates_permutes_the_values():
    given = make_round()
    order = [2, 0, 3, 1]
    straight = validation_rows(given, DefaultPolicy())
    shuffled = validation_rows(replace(given, updates=[given.updates[i] for i in order]), DefaultPolicy())
    assert shuffled.values == pytest.approx([straight.values[i] for i in order], abs=2)


def test_gradients_are_those_of_the_loss():
    given = make_round()
    policy = DefaultPolicy(DefaultParameters(evidence=int(Evidence.CURVED)))
    first, second = validation_rows(given, policy).vectors.gradients
    module = build_module(ARCHITECTURE, (given.model * 2.0 ** (EXPONENT - 16)).astype(np.float32))
    functional.cross_entropy(
        module(torch.from_numpy(given.batch.inputs)), torch.from_numpy(given.batch.labels)
    ).backward()
    exact = np.concatenate([parameter.grad.reshape(-1).numpy() for parameter in module.parameters()])
    assert np.dot(first, exact) / np.linalg.norm(first.astype(float)) / np.linalg.norm(exact) > 1 - 1e-6
    assert not np.array_equal(first, second)


def test_gradients_of_the_classes_add_up():
    given = make_round()
    policy = DefaultPolicy(DefaultParameters(evidence=int(Evidence.CLASSES), classes=3))
    pairs = validation_rows(given, policy).vectors.classes
    assert len(pairs) == 3
    together = sum(first for first, _ in pairs).astype(float)
    whole = validation_rows(given, DefaultPolicy(DefaultParameters(evidence=2))).vectors.gradients[0].astype(float)
    assert together @ whole / np.linalg.norm(together) / np.linalg.norm(whole) > 1 - 1e-6


def test_the_common_update_learns_from_what_was_revealed():
    given = make_round(revealed=2)
    rows = validation_rows(given, DefaultPolicy()).vectors
    assert rows.trainable is not None
    downhill = validation_rows(given, DefaultPolicy(DefaultParameters(evidence=2))).vectors.gradients[0]
    assert np.dot(rows.trainable.astype(float), downhill.astype(float)) < 0
    assert 2**28 <= np.abs(rows.trainable).max() <= 2**29


def test_a_rule_of_the_catalogue_gets_what_it_reads():
    given = make_round()
    policy = policy_by_name("fltrust")
    vectors = validation_rows(given, policy).vectors
    assert vectors.layout == replace(policy.needs, past_steps=0, trainable=False)


def test_rows_fill_their_range_in_one_scale():
    first, second = scaled_rows([np.array([0.5, -3.0]), np.array([1.0, 0.0])])
    assert 2**28 <= abs(first[1]) <= 2**29
    assert second[0] / first[0] == 2
    assert scaled_rows([np.zeros(3)])[0].tolist() == [0, 0, 0]
    assert scaled_rows([]) == []


def test_a_round_in_which_nobody_plays_has_rows_of_zeros():
    given = make_round()
    silent = replace(given, updates=[given.updates[0] * 0] * 2)
    rows = validation_rows(silent, DefaultPolicy())
    assert rows.values == (0, 0)
    assert all(not row.any() for row in rows.vectors.values)
    gram_matrix(silent.updates, rows.vectors.rows())


def test_diluting_harm_is_no_contribution():
    """Noise beside an update that climbs would gain by making it count less."""
    given = make_round(5)
    random = np.random.default_rng(8)
    noise = np.rint(300 * random.standard_normal(len(given.model))).astype(np.int16)
    climbing = (given.updates[4].astype(int) * 2).clip(-32768, 32767).astype(np.int16)
    policy = DefaultPolicy(DefaultParameters(memory_bps=0))
    alone = validation_rows(replace(given, updates=[*given.updates[:4], noise]), policy).values
    beside = validation_rows(replace(given, updates=[*given.updates[:4], noise, climbing]), policy).values
    assert beside[:5] == pytest.approx(alone, abs=2)
    assert beside[5] < -abs(alone[4])


def test_examples_that_are_shown_again_count_once():
    given = make_round(revealed=2)
    again = replace(given, revealed=joined([given.revealed, given.batch, given.revealed.take(np.arange(9))]))
    assert len(examples_shown(again)) == len(examples_shown(given)) == 3 * 64
    assert np.array_equal(distinct(again.revealed, given.batch).inputs, given.revealed.inputs)
    relabelled = Dataset(given.batch.inputs, (given.batch.labels + 1) % 3)
    assert len(distinct(relabelled, given.batch)) == 64
    policy = DefaultPolicy()
    known = given.updates[0].astype(np.int64)  # u0 is trained on what is revealed; any row does here
    once, twice = (validation_rows(replace(each, common=known), policy) for each in (given, again))
    assert once.values == twice.values
    assert all(np.array_equal(a, b) for a, b in zip(once.vectors.rows(), twice.vectors.rows(), strict=True))


def test_small_harm_is_dropped_if_it_is_no_chance():
    losses = np.full(400, 1.0)
    harm = np.full(400, 0.008)
    assert _worth_dropping(losses, losses - harm)
    assert not _worth_dropping(losses, losses - harm / 2)
    chance = np.where(np.arange(400) % 2 == 0, 0.2, -0.184)  # the same mean, standard error 0.0096
    assert not _worth_dropping(losses, losses - chance)
    assert not _worth_dropping(losses, losses + harm)
