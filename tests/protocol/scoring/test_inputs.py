"""What callers may get wrong about a round is refused in words; nothing is rounded, dropped or wrapped in silence."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cohort_protocol.scoring import (
    PolicyParametersInvalid,
    PublicRows,
    PublicVectors,
    ScoringInputInvalid,
    UnknownPolicy,
    evaluate_round,
    gram_matrix,
    known_policies,
    policy_by_name,
    weighted_sum,
)
from cohort_protocol.scoring.policy import CoordinatePolicy

ROWS = [np.array(row, np.int16) for row in ([30_000, -20_000, 7], [29_000, -21_000, 5], [25_000, -30_000, 1])]
WIDE = np.array([1, 2, 3])
DEFAULT = policy_by_name("default")
BY_GRAM = [name for name in known_policies() if not isinstance(policy_by_name(name), CoordinatePolicy)]


@pytest.mark.parametrize("name", BY_GRAM)
@pytest.mark.parametrize("numbers", [np.int64, np.float64, bool])
def test_a_gram_matrix_of_numbers_that_wrap_or_round_is_refused(name, numbers):
    policy, gram = policy_by_name(name), gram_matrix(ROWS)
    with pytest.raises(ScoringInputInvalid, match=r"Python integers \(`.tolist\(\)`"):
        policy.evaluate(np.array(gram).astype(numbers), 3, PublicRows())
    assert policy.evaluate(np.array(gram).tolist(), 3, PublicRows()) == policy.evaluate(gram, 3, PublicRows())


@pytest.mark.parametrize(
    "weights",
    [
        [1.5, 1, 1],
        [float("nan")] * 3,
        [True, 0, 0],
        ["1", "1", "1"],
        np.array([1.0, 1.0, 1.0]),
        np.array([2**17, 0, 0]),
    ],
)
def test_weights_that_are_not_whole_numbers_are_refused(weights):
    with pytest.raises(ScoringInputInvalid, match="one whole number each"):
        weighted_sum(ROWS, weights)


def test_weights_of_numpy_are_whole_numbers_too():
    assert weighted_sum(ROWS, np.array([1, 2, 3])).tolist() == weighted_sum(ROWS, [1, 2, 3]).tolist()


@pytest.mark.parametrize("row", [[1, 2, 3], None, "row", 3, np.int16(3)])
def test_a_row_that_is_no_array_is_refused(row):
    for call in (
        lambda: evaluate_round([row], [], DEFAULT),
        lambda: evaluate_round(ROWS, [row], DEFAULT),
        lambda: gram_matrix([row]),
        lambda: weighted_sum([row], [1]),
    ):
        with pytest.raises(ScoringInputInvalid, match="must be a numpy array"):
            call()


def test_rows_may_come_as_one_array():
    one = evaluate_round(np.stack(ROWS), np.stack([WIDE, WIDE]), DEFAULT, PublicVectors(values=np.stack([WIDE] * 3)))
    listed = evaluate_round(ROWS, [WIDE, WIDE], DEFAULT, PublicVectors(values=(WIDE, WIDE, WIDE)))
    assert (one.gram, one.outcome, one.step.tolist()) == (listed.gram, listed.outcome, listed.step.tolist())


@pytest.mark.parametrize(
    "rows", [{"values": (WIDE,) * 4}, {"gradients": (WIDE,)}, {"gradients": (WIDE,) * 3}, {"classes": ((WIDE,),)}]
)
def test_public_rows_too_many_or_too_few_are_refused(rows):
    with pytest.raises(ScoringInputInvalid, match="come in pairs"):
        PublicVectors(**rows)


@pytest.mark.parametrize(
    ("policy", "validation"), [("default", None), (None, None), (DEFAULT, {"values": ()}), (DEFAULT, (WIDE,))]
)
def test_what_is_no_policy_and_no_public_rows_is_refused(policy, validation):
    with pytest.raises(ScoringInputInvalid, match=re.escape("`policy_by_name`")):
        evaluate_round(ROWS, [], policy, validation)


@pytest.mark.parametrize("number", [1.5, True, "2", float("nan")])
def test_threads_and_blocks_are_whole_numbers(number):
    with pytest.raises(ScoringInputInvalid, match=r"threads is .* whole number"):
        evaluate_round(ROWS, [], DEFAULT, threads=number)
    with pytest.raises(ScoringInputInvalid, match=r"block is .* whole number"):
        gram_matrix(ROWS, block=number)


def test_no_number_of_threads_is_refused():
    with pytest.raises(ScoringInputInvalid, match="threads"):
        evaluate_round(ROWS, [], DEFAULT, threads=None)


@pytest.mark.parametrize("params", ["abc", 5, [("clip_bps", 20_000)]])
def test_parameters_that_are_no_table_are_refused(params):
    with pytest.raises(PolicyParametersInvalid, match="table"):
        policy_by_name("default", params)


@pytest.mark.parametrize("name", [None, 5, ["default"], {"name": "default"}])
def test_a_name_that_is_no_text_is_unknown(name):
    with pytest.raises(UnknownPolicy, match="known are"):
        policy_by_name(name)
