"""Verdicts: numbers, limits and the sentence."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.canonical import canonical_json
from cohort_protocol.scoring import ONE, ScoringInputInvalid, Verdict, evaluate_round, policy_by_name
from cohort_protocol.scoring.verdict import decimal, percent
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def market():
    """Six honest rows, a flip, noise, a replay, zeros, a loud one."""
    random = np.random.default_rng(0)
    direction = 60 * random.standard_normal(4000)
    previous = 65536 * 50 * random.standard_normal(4000)
    honest = [direction + 90 * random.standard_normal(4000) for _ in range(6)]
    rows = [
        *honest,
        -direction - 90 * random.standard_normal(4000),
        100 * random.standard_normal(4000),
        3 * previous / 65536,
        np.zeros(4000),
        10 * honest[0],
    ]
    return evaluate_round(
        [np.rint(row).astype(np.int16) for row in rows],
        [np.rint(previous).astype(np.int64)],
        policy_by_name("peer"),
    )


NAMES = [f"0x{index:040x}" for index in range(11)]


def test_one_sentence_for_every_case(market):
    sentences = [verdict.sentence for verdict in market.verdicts(NAMES)]
    for sentence in sentences[:6]:
        assert sentence.startswith("accepted, ")
        assert "of the round's scores: agreement with the others 0." in sentence
    assert sentences[6].startswith("rejected: its direction opposes the others (cosine -0.")
    assert sentences[6].endswith(", at least -0.1 is needed)")
    assert "nothing of it agrees with what the others learned (shared direction 0.0000" in sentences[7]
    assert "it repeats what earlier rounds already learned (0.00" in sentences[8]
    assert sentences[8].endswith("full pay from 50%)")
    assert sentences[9] == (
        "rejected: its update is too short to count (0% of the median length, at least 5% is needed)"
    )
    assert sentences[10].endswith("times the median (most 2), counts as clipped")


def test_sentences_speak_of_pay_when_it_is_known(market):
    pays = [100 + index for index in range(6)] + [0, 2, 0, 0, 150]
    verdicts = market.verdicts(NAMES, pays, 1000)
    assert verdicts[0].sentence.startswith("accepted, paid 10% of the round: ")
    assert verdicts[7].sentence.startswith("accepted, paid 0.2% of the round: nothing of it agrees")


def test_numbers_match_the_outcome(market):
    verdicts = market.verdicts(NAMES)
    assert [verdict.trainer for verdict in verdicts] == NAMES
    assert [int(verdict.score) for verdict in verdicts] == list(market.outcome.scores)
    assert [verdict.weight for verdict in verdicts] == list(market.outcome.weights)
    assert [verdict.reason_code for verdict in verdicts] == [int(reason) for reason in market.outcome.reasons]
    assert [verdict.accepted for verdict in verdicts] == [code == 0 for code in market.outcome.reasons]
    assert sum(float(verdict.share) for verdict in verdicts) == pytest.approx(1, abs=0.01)
    figures = {figure.name: figure for figure in verdicts[6].figures}
    assert figures["cosine-with-others"].limit == "-0.1"
    assert float(figures["cosine-with-others"].value) < -0.1


def test_a_verdict_survives_canonical_json(market):
    for verdict in market.verdicts(NAMES):
        data = canonical_json(verdict.model_dump(mode="json"))
        assert Verdict.model_validate_json(data) == verdict


def test_the_plain_policy_has_a_sentence_too():
    result = evaluate_round([np.array([1], np.int16)] * 2, [], policy_by_name("fedavg"))
    assert result.verdicts(["a", "b"])[0].sentence == (
        "accepted, 50% of the round's scores: every update counts the same under this policy"
    )


def test_a_round_without_scores_has_verdicts():
    result = evaluate_round([np.array([0], np.int16)] * 2, [], policy_by_name("peer"))
    assert [verdict.share for verdict in result.verdicts(["a", "b"])] == ["0", "0"]


def test_lists_of_another_length_are_refused(market):
    for names, pays, pool in ((NAMES[:-1], None, None), (NAMES, [1], 1), (NAMES, [0] * 11, 0), (NAMES, [0] * 11, None)):
        with pytest.raises(ScoringInputInvalid):
            market.verdicts(names, pays, pool)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (ONE, "1"),
        (-ONE // 10, "-0.1"),
        (-655_000_000, "-0.61"),
        (12_345 * ONE, "12345"),
        (ONE * 125 // 10, "12.5"),
        (ONE // 32768, "0.0000305"),
        (1, "0.000000000931"),
        (ONE - 1, "1"),
    ],
)
def test_decimal(value, text):
    assert decimal(value) == text


@settings(deadline=None)
@given(st.integers(-(2**60), 2**60))
def test_decimal_keeps_three_digits(value):
    text = decimal(value)
    assert abs(float(text) - value / ONE) <= max(0.0051 * abs(value / ONE), 5.1e-13)
    assert not text.endswith(".")


def test_percent():
    assert percent(ONE // 7) == "14.3%"
    assert percent(ONE // 10_000) == "0.01%"
