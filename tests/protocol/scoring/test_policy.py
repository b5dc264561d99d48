"""The registry of policies, their parameters and the plain reference."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.canonical import canonical_hash
from cohort_protocol.errors import CohortError
from cohort_protocol.scoring import (
    ONE,
    PolicyParametersInvalid,
    PublicRows,
    Reason,
    ScoringInputInvalid,
    UnknownPolicy,
    evaluate_round,
    known_policies,
    policy_by_name,
)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownPolicy, match="peer") as unknown:
        policy_by_name("Peer")
    assert isinstance(unknown.value, CohortError)
    assert all(name in str(unknown.value) for name in known_policies())


@pytest.mark.parametrize("name", known_policies())
def test_the_hash_is_of_the_description_and_rebuilds_the_policy(name):
    policy = policy_by_name(name)
    described = policy.description()
    assert described["name"] == policy.name == name
    assert policy.policy_hash() == canonical_hash(described)
    assert policy_by_name(described["name"], described["params"]) == policy
    assert policy.suggested_score_floor(8) > 0


def test_policies_differ_in_their_hash():
    assert len({policy_by_name(name).policy_hash() for name in known_policies()}) == len(known_policies())


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("peer", {"clip": 1}),
        ("peer", {"clip_bps": "20000"}),
        ("peer", {"clip_bps": 20000.0}),
        ("peer", {"past_steps": True}),
        ("peer", {"past_steps": 6}),
        ("peer", {"min_cosine_bps": -10_001}),
        ("peer", {"min_norm_bps": 0}),
        ("fedavg", {"clip_bps": 20_000}),
        # Each in its range, but together they have no ramp: a round would divide by zero, or earn less than nothing.
        ("default", {"kin_full_bps": 4_500}),
        ("default", {"kin_full_bps": 1_000}),
        ("default", {"novelty_from_bps": 9_000}),
        ("default", {"company_from_bps": 3_000, "company_full_bps": 2_000}),
        # One of the two would be ignored.
        ("default", {"evidence": 3}),
        ("default", {"classes": 4}),
        ("default", {"evidence": 2, "classes": 4}),
    ],
)
def test_parameters_out_of_range_or_unknown_are_refused(name, params):
    with pytest.raises(PolicyParametersInvalid):
        policy_by_name(name, params)


def test_a_parameter_changes_the_policy_and_its_hash():
    policy = policy_by_name("peer", {"past_steps": 3})
    assert policy.needs == PublicRows(past_steps=3)
    assert policy.policy_hash() != policy_by_name("peer").policy_hash()


def test_fedavg_counts_everybody_the_same():
    updates = [np.array(row, np.int16) for row in ([1, 2], [-1, -2], [0, 0])]
    result = evaluate_round(updates, [], policy_by_name("fedavg"))
    assert result.outcome.scores == (ONE, ONE, ONE)
    assert result.outcome.weights == (21845, 21845, 21845)
    assert set(result.outcome.reasons) == {Reason.ACCEPTED}
    assert result.step.tolist() == [0, 0]


@pytest.mark.parametrize("name", known_policies())
def test_what_is_no_gram_matrix_is_refused(name):
    with pytest.raises(ScoringInputInvalid):
        policy_by_name(name).evaluate(((1, 0), (0, 1)), 1, PublicRows())


def test_reasons_are_stable_numbers_with_a_word():
    assert [(int(reason), reason.word, reason.hostile) for reason in Reason] == [
        (0, "accepted", False),
        (1, "too-small", False),
        (2, "opposes-others", True),
        (16, "outlier", True),
    ]
