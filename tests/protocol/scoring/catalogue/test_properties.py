"""What holds for every policy by name, on rounds made to be awkward: duplicates, opposites, zeros, extremes, n = 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_protocol.scoring import (
    ONE,
    NeedsFullUpdates,
    PublicRows,
    PublicVectors,
    Reason,
    evaluate_round,
    gram_matrix,
    policy_by_name,
)
from cohort_protocol.scoring.kernel import FileRow
from cohort_protocol.scoring.policy import CoordinatePolicy, known_policies
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.scoring.catalogue.rounds import evaluated, honest_rows

NAMES = known_policies()
NAMED_RULES = [name for name in NAMES if name not in ("peer", "default", "fedavg")]
entry = st.one_of(st.integers(-9, 9), st.sampled_from([-32768, 32767, 0, 0]))


@st.composite
def rounds(draw):
    """(updates, past steps, gradient): few columns and few values, so that ties and dependent rows are common."""
    dimension = draw(st.integers(1, 5))
    vector = st.lists(entry, min_size=dimension, max_size=dimension)
    updates = draw(st.lists(vector, min_size=1, max_size=7))
    wide = st.lists(st.integers(-(2**31), 2**31 - 1) | entry, min_size=dimension, max_size=dimension)
    return updates, draw(st.lists(wide, max_size=3)), np.array(draw(wide), np.int64)


def judged(name, both):
    updates, steps, gradient = both
    return evaluated(name, updates, gradient=gradient, steps=steps)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=80, deadline=None)
@given(both=rounds(), random=st.randoms(use_true_random=False))
def test_permuting_the_updates_permutes_the_rows_exactly(name, both, random):
    updates, steps, gradient = both
    order = list(range(len(updates)))
    random.shuffle(order)
    straight = judged(name, both)
    shuffled = judged(name, ([updates[i] for i in order], steps, gradient))
    # Groups name rows by their place.
    moved = [replace(row, group=tuple(sorted(order[place] for place in row.group))) for row in shuffled.outcome.rows]
    assert moved == [straight.outcome.rows[i] for i in order]
    assert np.array_equal(shuffled.step, straight.step)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=80, deadline=None)
@given(both=rounds())
def test_what_always_holds(name, both):
    updates = both[0]
    result = judged(name, both)
    assert sum(result.outcome.weights) <= 65_536
    # No step leaves the range that the protocol gives it.
    assert int(np.abs(result.step).max()) <= 2**31
    for row, update in zip(result.outcome.rows, updates, strict=True):
        assert 0 <= row.score <= len(updates) * ONE
        assert row.weight >= 0
        assert 0 <= row.clip <= ONE
        if not row.accepted:
            assert row.score == row.weight == 0
        if not any(update) and name != "fedavg":
            assert row.reason is Reason.TOO_SMALL
    for a, first in enumerate(updates):
        for b, second in enumerate(updates):
            if first == second:
                assert result.outcome.rows[a] == result.outcome.rows[b], "equal updates are paid equally"


@pytest.mark.parametrize("name", NAMES)
def test_a_lone_update_is_taken_and_paid_in_full(name):
    row = np.array([5, -3, 400], np.int16)
    result = evaluated(name, [row], gradient=-row.astype(np.int64))
    assert result.outcome.scores == (ONE,)
    assert np.abs(result.step - row * 65_536.0).max() <= 400


@pytest.mark.parametrize("name", NAMED_RULES)
def test_zeros_take_no_part(name):
    rows = honest_rows(1, 7)
    gradient = -rows.astype(np.int64).sum(axis=0)
    alone = evaluated(name, rows, gradient=gradient)
    zeros = np.zeros_like(rows[:2])
    among = evaluated(name, np.concatenate([zeros, rows]), gradient=gradient)
    assert [row.reason for row in among.outcome.rows[:2]] == [Reason.TOO_SMALL] * 2
    assert among.outcome.rows[2:] == alone.outcome.rows
    assert np.array_equal(among.step, alone.step)


@pytest.mark.parametrize("name", NAMES)
def test_a_round_of_zeros_moves_nothing(name):
    result = evaluated(name, np.zeros((4, 3), np.int16), gradient=np.array([1, 2, 3]))
    assert not result.step.any()
    if name != "fedavg":
        assert set(result.outcome.scores) == {0}


@pytest.mark.parametrize("name", NAMES)
def test_extremes_of_int16_with_32_rows(name):
    random = np.random.default_rng(3)
    rows = random.choice(np.array([-32768, 32767], np.int16), (32, 50))
    rows[:5] = 32767
    rows[5:8] = -32768
    gradient = np.full(50, -(2**31), np.int64)
    result = evaluated(name, rows, gradient=gradient, steps=[np.full(50, 2**31 - 1)])
    assert int(np.abs(result.step).max()) <= 2**31
    assert all(0 <= score < 2**64 for score in result.outcome.scores)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fedavg"])
def test_a_gram_matrix_as_large_as_any_is_no_overflow(name):
    """n = 32 rows of d = 2^24 entries at the extremes: 2^54 in every place."""
    policy = policy_by_name(name)
    if isinstance(policy, CoordinatePolicy):
        pytest.skip("reads no Gram matrix alone")
    public = policy.needs
    signs = np.where(np.arange(32 + public.count) % 5 == 4, -1, 1)
    widths = [1 << 15] * 32 + [1 << 31] * public.count
    gram = tuple(
        tuple(int(signs[a] * signs[b]) * widths[a] * widths[b] << 24 for b in range(len(signs)))
        for a in range(len(signs))
    )
    outcome = policy.evaluate(gram, 32, public)
    assert sum(outcome.weights) <= 65_536
    assert all(0 <= score <= 32 * ONE for score in outcome.scores)


@pytest.mark.parametrize("name", NAMED_RULES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), factor=st.integers(2, 20))
def test_scaling_every_update_changes_nothing_but_rounding(name, seed, factor):
    rows = honest_rows(seed, 7, size=100)
    rows = np.clip(rows, -1_600, 1_600)
    gradient = -rows.astype(np.int64).sum(axis=0)
    small = evaluated(name, rows, gradient=gradient).outcome
    large = evaluated(name, rows * np.int16(factor), gradient=gradient).outcome
    assert large.reasons == small.reasons
    for before, after in zip(small.rows, large.rows, strict=True):
        assert abs(before.score - after.score) <= ONE >> 16
        assert abs(before.weight - after.weight) <= 2


@pytest.mark.parametrize("name", ["trimmed-mean", "coordinate-median", "bulyan"])
def test_coordinate_rules_cannot_judge_by_a_gram_matrix(name):
    with pytest.raises(NeedsFullUpdates, match=name):
        policy_by_name(name).evaluate(((1,),), 1, PublicRows())


@pytest.mark.parametrize("name", ["fltrust", "dig-fl", "leave-one-out"])
def test_without_a_batch_the_peer_policy_judges(name):
    rows, steps = honest_rows(5, 6), [np.arange(60)]
    found = evaluated(name, rows, steps=steps)
    peer = evaluated("peer", rows, steps=steps)
    assert found.outcome.rows == peer.outcome.rows
    assert np.array_equal(found.step, peer.step)
    assert found.outcome.policy == name
    assert found.outcome.policy_hash == policy_by_name(name).policy_hash()
    assert found.outcome.rows != evaluated(name, rows, steps=steps, gradient=-rows[0].astype(np.int64)).outcome.rows


def test_rules_by_name_read_only_the_rows_that_they_need():
    rows = honest_rows(2, 5)
    for name in NAMED_RULES:
        needs = policy_by_name(name).needs
        result = evaluated(name, rows, gradient=-rows[0].astype(np.int64), steps=[np.arange(60)] * 7)
        assert result.public == needs
        assert result.gram == gram_matrix(
            list(rows), [np.arange(60)] * needs.past_steps + [-rows[0].astype(np.int64)] * 2 * needs.gradients
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_round_from_files_is_the_round_from_memory(name, tmp_path):
    rows = honest_rows(3, 6, dimension=40_000)
    gradient = -rows[0].astype(np.int64)
    sources = []
    for index, row in enumerate(rows):
        (tmp_path / str(index)).write_bytes(row.astype("<i2").tobytes())
        sources.append(FileRow(tmp_path / str(index), row.size))
    policy = policy_by_name(name)
    validation = PublicVectors(gradients=(gradient, gradient))
    from_memory = evaluate_round(list(rows), [], policy, validation)
    from_files = evaluate_round(sources, [], policy, validation)
    assert from_files.outcome == from_memory.outcome
    assert np.array_equal(from_files.step, from_memory.step)
