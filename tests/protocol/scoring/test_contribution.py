"""Peer scores, trust and weights by hand."""

from __future__ import annotations

from cohort_protocol.scoring.contribution import (
    agreement_reference,
    contributions,
    peer_scores,
    trust,
    weights,
)
from cohort_protocol.scoring.fixed_point import ONE
from hypothesis import given, settings
from hypothesis import strategies as st


def test_an_average_agreement_scores_one():
    agreements = [ONE // 2, ONE // 4, -ONE // 3]
    reference = agreement_reference(agreements, 200)
    assert reference == ONE // 4
    assert peer_scores(agreements, reference) == [2 * ONE, ONE, 0]


def test_the_floor_holds_when_nobody_agrees():
    assert agreement_reference([ONE // 1000, -ONE // 1000], 200) == ONE // 50
    assert agreement_reference([-1, -2], 1) == ONE // 10_000


def test_contributions_multiply_every_gate():
    assert contributions([2 * ONE, ONE], [ONE, ONE // 2], [ONE // 2, ONE]) == [ONE, ONE // 2]


def test_trust_is_full_from_half_the_median_of_the_positive():
    assert trust([4 * ONE, 2 * ONE, ONE // 2, 0], 20_000) == [ONE, ONE, ONE // 2, 0]
    assert trust([0, 0], 20_000) == [0, 0]


def test_the_step_is_full_when_enough_are_trusted():
    assert weights([ONE] * 6 + [0, 0], [ONE] * 8, 7_500) == [65536 // 6] * 6 + [0, 0]
    assert weights([ONE] * 3, [ONE, ONE // 2, ONE], 7_500) == [21845, 10922, 21845]


def test_the_step_is_shorter_when_few_are_trusted():
    assert weights([ONE, ONE, 0, 0, 0, 0], [ONE] * 6, 7_500) == [14563, 14563, 0, 0, 0, 0]
    assert weights([ONE, ONE, 0, 0, 0, 0], [ONE] * 6, 0) == [32768, 32768, 0, 0, 0, 0]
    assert weights([0, 0], [ONE, ONE], 0) == [0, 0]


factor = st.integers(0, ONE)


@settings(deadline=None)
@given(st.lists(st.tuples(factor, factor), min_size=1, max_size=32), st.integers(0, 10_000))
def test_weights_never_exceed_the_whole(pairs, full_step):
    result = weights([t for t, _ in pairs], [clip for _, clip in pairs], full_step)
    assert all(weight >= 0 for weight in result)
    assert sum(result) <= 65536
