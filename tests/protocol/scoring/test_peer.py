"""The peer policy: against the slow twin, its invariances, and attacks with a known answer."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from cohort_protocol.scoring import ONE, PublicRows, Reason, evaluate_round, gram_matrix, policy_by_name
from cohort_protocol.scoring.peer import PeerParameters, PeerPolicy
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.scoring import plain

entry = st.one_of(st.integers(-9, 9), st.sampled_from([-32768, 32767, 0, 0]))


@st.composite
def rounds(draw):
    """Few columns and few values: duplicates, opposites, zero rows and dependent steps are common."""
    dimension = draw(st.integers(1, 6))
    vector = st.lists(entry, min_size=dimension, max_size=dimension)
    updates = draw(st.lists(vector, min_size=1, max_size=6))
    wide = st.lists(st.integers(-(2**31), 2**31 - 1) | entry, min_size=dimension, max_size=dimension)
    steps = draw(st.lists(wide, max_size=6))
    return updates, steps


def evaluated(updates, steps, policy=None):
    policy = policy or PeerPolicy()
    return evaluate_round([np.array(u, np.int16) for u in updates], [np.array(s, np.int64) for s in steps], policy)


def numbers(outcome):
    return (
        [int(reason) for reason in outcome.reasons],
        [row.clip for row in outcome.rows],
        list(outcome.scores),
        list(outcome.weights),
    )


@settings(max_examples=400, deadline=None)
@given(rounds())
def test_equals_the_slow_twin(both):
    updates, steps = both
    assert numbers(evaluated(updates, steps).outcome) == plain.judge(updates, steps, PeerParameters())


@settings(max_examples=100, deadline=None)
@given(
    rounds(),
    st.builds(
        PeerParameters,
        clip_bps=st.integers(10_000, 50_000),
        min_norm_bps=st.integers(1, 10_000),
        min_cosine_bps=st.integers(-10_000, 10_000),
        gate_bps=st.integers(10_000, 50_000),
        trust_bps=st.integers(10_000, 50_000),
        full_step_bps=st.integers(0, 10_000),
        agreement_floor_bps=st.integers(1, 10_000),
        past_steps=st.integers(0, 5),
    ),
)
def test_equals_the_slow_twin_for_any_parameters(both, parameters):
    updates, steps = both
    outcome = evaluated(updates, steps, PeerPolicy(parameters)).outcome
    assert numbers(outcome) == plain.judge(updates, steps, parameters)


@settings(max_examples=200, deadline=None)
@given(rounds(), st.randoms())
def test_permuting_the_updates_permutes_the_rows_exactly(both, random):
    updates, steps = both
    order = list(range(len(updates)))
    random.shuffle(order)
    straight = evaluated(updates, steps)
    shuffled = evaluated([updates[i] for i in order], steps)
    assert shuffled.outcome.rows == tuple(straight.outcome.rows[i] for i in order)
    assert np.array_equal(shuffled.step, straight.step)


@settings(max_examples=200, deadline=None)
@given(rounds())
def test_what_always_holds(both):
    updates, steps = both
    result = evaluated(updates, steps)
    outcome = result.outcome
    assert 0 <= sum(outcome.weights) <= 65536
    for row, update in zip(outcome.rows, updates, strict=True):
        assert 0 <= row.score <= len(updates) * ONE < 2**64
        assert 0 <= row.clip <= ONE
        if not any(update):
            assert row.reason is Reason.TOO_SMALL
        if not row.accepted:
            assert row.score == row.weight == 0
        if row.score == 0:
            assert row.weight == 0
    assert result.step.tolist() == [
        sum(w * u[i] for w, u in zip(outcome.weights, updates, strict=True)) for i in range(len(updates[0]))
    ]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 50))
def test_scaling_every_update_changes_nothing_but_rounding(seed, factor):
    random = np.random.default_rng(seed)
    updates = random.integers(-300, 300, (6, 40)) + random.integers(-300, 300, 40)
    steps = random.integers(-(10**6), 10**6, (3, 40))
    small = evaluated(updates, steps).outcome
    large = evaluated(updates * factor, steps).outcome
    assert large.reasons == small.reasons
    for before, after in zip(small.rows, large.rows, strict=True):
        # Only norms are rounded before they are compared: 2^-16 of an entry.
        assert abs(before.score - after.score) <= ONE >> 12
        assert abs(before.weight - after.weight) <= 64


@settings(deadline=None)
@given(rounds(), st.integers(2, 9))
def test_scaling_the_past_steps_changes_nothing_at_all(both, factor):
    updates, steps = both
    steps = [[value // 16 for value in step] for step in steps]
    scaled = [[value * factor for value in step] for step in steps]
    assert evaluated(updates, scaled).outcome == evaluated(updates, steps).outcome


def crowd(seed=0, count=6, dimension=3000):
    random = np.random.default_rng(seed)
    direction = 50 * random.standard_normal(dimension)
    honest = [np.rint(direction + 80 * random.standard_normal(dimension)) for _ in range(count)]
    steps = [np.rint(65536 * 30 * random.standard_normal(dimension)) for _ in range(5)]
    return honest, steps, random


def shares(updates, steps):
    scores = evaluated(updates, steps).outcome.scores
    return [score / sum(scores) for score in scores]


def test_honest_rows_share_about_equally_and_move_the_model_in_full():
    honest, steps, _ = crowd()
    outcome = evaluated(honest, steps).outcome
    assert set(outcome.reasons) == {Reason.ACCEPTED}
    assert sum(outcome.weights) >= 65536 - len(honest)
    assert max(shares(honest, steps)) < 1.1 / len(honest)


def test_cheats_earn_next_to_nothing():
    honest, steps, random = crowd()
    noise = np.rint(94 * random.standard_normal(len(honest[0])))
    replay = np.rint(3 * steps[0] / 65536)
    old_replay = np.rint((steps[1] + steps[3]) / 65536)
    replay_and_noise = replay + np.rint(noise / 2)
    flip = -honest[0]
    parts = shares([*honest, noise, replay, old_replay, replay_and_noise, flip], steps)
    assert sum(parts[6:]) < 0.001
    assert min(parts[:6]) > 0.8 / 6


def test_a_replayed_direction_pays_without_the_gates_and_not_with_them():
    """The step points where honest updates point: only novelty tells them apart."""
    honest, steps, _ = crowd()
    trend = sum(honest) / len(honest)
    steps = [np.rint(65536 * trend), *steps]
    replay = np.rint(trend)
    gated = evaluated([*honest, replay], steps).outcome
    blind = evaluated([*honest, replay], steps, PeerPolicy(PeerParameters(past_steps=0))).outcome
    assert blind.scores[-1] > ONE
    assert gated.scores[-1] < ONE // 1000
    assert min(gated.scores[:-1]) > ONE // 2


def test_a_round_of_noise_is_paid_like_dust():
    random = np.random.default_rng(1)
    updates = [np.rint(100 * random.standard_normal(38_282)) for _ in range(8)]
    policy = PeerPolicy()
    scores = evaluated(updates, []).outcome.scores
    assert sum(scores) < policy.suggested_score_floor(8) // 2


def test_a_lone_update_scores_one_and_is_taken_in_full():
    outcome = evaluated([[3, -4, 5]], []).outcome
    assert outcome.scores == (ONE,)
    assert outcome.weights == (65536,)


def test_a_lone_survivor_scores_one():
    outcome = evaluated([[300, -400], [0, 0], [1, 1], [0, 0]], []).outcome
    assert outcome.scores == (ONE, 0, 0, 0)
    assert outcome.reasons == (0, 1, 1, 1)


def test_all_zero_and_all_flagged_rounds_pay_nobody_and_change_nothing():
    for updates in ([[0, 0]] * 4, [[5, 0], [-5, 0]]):
        result = evaluated(updates, [])
        assert set(result.outcome.scores) == {0}
        assert not result.step.any()
        assert Reason.ACCEPTED not in result.outcome.reasons


def test_a_round_in_which_everybody_replays_pays_nobody():
    step = [65536 * value for value in (5, -7, 11)]
    outcome = evaluated([[5, -7, 11]] * 4, [step]).outcome
    assert set(outcome.scores) == {0}
    assert set(outcome.reasons) == {Reason.ACCEPTED}


def test_a_clipped_row_weighs_as_much_as_it_may():
    honest, steps, _ = crowd()
    loud = honest[0] * 10
    outcome = evaluated([loud, *honest[1:]], steps).outcome
    assert outcome.rows[0].clip == pytest.approx(0.2 * ONE, rel=0.05)
    assert outcome.weights[0] == pytest.approx(outcome.weights[1] / 5, rel=0.06)
    assert sum(outcome.weights) < 65536 * 0.9


def test_a_minority_that_agrees_with_itself_earns_nothing():
    """Company is a median over the others: two that agree among six that do not have none."""
    updates = np.zeros((6, 8), np.int64)
    updates[0, :2] = (100, 10)
    updates[1, :2] = (100, -10)
    for row in range(2, 6):
        updates[row, row] = 100
    assert set(evaluated(updates, []).outcome.scores) == {0}


def test_more_past_steps_than_the_policy_reads_are_ignored():
    honest, steps, _ = crowd()
    assert evaluated(honest, [*steps, np.rint(honest[0] * 65536)]).outcome == evaluated(honest, steps).outcome
    gram = gram_matrix(
        [row.astype(np.int16) for row in honest], [s.astype(np.int64) for s in [*steps, np.rint(honest[0] * 65536)]]
    )
    assert PeerPolicy().evaluate(gram, 6, PublicRows(past_steps=6)) == evaluated(honest, steps).outcome


def test_every_parameter_is_in_the_hash():
    plain_hash = PeerPolicy().policy_hash()
    assert policy_by_name("peer").policy_hash() == plain_hash
    assert len(plain_hash) == 32
    hashes = {plain_hash}
    for name, value in asdict(PeerParameters()).items():
        hashes.add(PeerPolicy(replace(PeerParameters(), **{name: value - 1})).policy_hash())
    assert len(hashes) == len(asdict(PeerParameters())) + 1
