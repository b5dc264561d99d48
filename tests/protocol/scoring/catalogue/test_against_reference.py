"""Every named rule against its plain float twin."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring import ONE, policy_by_name
from cohort_protocol.scoring.policy import known_policies
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.scoring.catalogue import reference
from tests.protocol.scoring.catalogue.rounds import a_gradient, evaluated, honest_rows

seeds = st.integers(0, 2**32)
counts = st.integers(1, 12)


def compare(name, rows, params=None, gradient=None):
    rule = reference.RULES.get(name) or reference.WITH_GRADIENT[name]
    parameters = policy_by_name(name, params or {}).parameters
    wide = rows.astype(float)
    expected = rule(wide, parameters) if gradient is None else rule(wide, parameters, gradient.astype(float))
    found = evaluated(name, rows, params, gradient)
    pay = np.asarray(expected[1], float)
    scores = np.array([score / ONE for score in found.outcome.scores])
    if pay.sum() == 0:
        assert not scores.any()
    else:
        assert np.allclose(scores / max(scores.sum(), 1e-300), pay / pay.sum(), rtol=0, atol=2e-6), name
    if expected[0] is None:
        # A step is rounded down once, to 2^-16 of an entry.
        assert np.abs(found.step - expected[2] * 65_536).max() <= 1.001
        assert set(found.outcome.weights) == {0}
    else:
        weights = np.array(found.outcome.weights) / 65_536
        assert np.abs(weights - expected[0]).max() <= 1.001 / 65_536


def test_every_rule_has_a_twin():
    assert set(reference.RULES) | set(reference.WITH_GRADIENT) | {"peer", "default"} >= set(known_policies())


@pytest.mark.parametrize("name", sorted(reference.RULES))
@settings(max_examples=40, deadline=None)
@given(seed=seeds, n=counts, spread=st.sampled_from([0.2, 1.0, 3.0]))
def test_rules_without_data(name, seed, n, spread):
    compare(name, honest_rows(seed, n, spread=spread))


@pytest.mark.parametrize("name", sorted(reference.WITH_GRADIENT))
@settings(max_examples=40, deadline=None)
@given(seed=seeds, n=counts, spread=st.sampled_from([0.2, 1.0, 3.0]))
def test_rules_with_a_gradient(name, seed, n, spread):
    rows = honest_rows(seed, n, spread=spread)
    compare(name, rows, gradient=a_gradient(seed + 1, rows))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        *[(name, {"byzantine_bps": 4_999}) for name in ("multi-krum", "monna", "trimmed-mean", "bulyan")],
        *[(name, {"byzantine_bps": 0}) for name in ("multi-krum", "monna", "trimmed-mean", "bulyan")],
        ("norm-clip", {"clip_bps": 5_000}),
        ("centred-clipping", {"radius_bps": 2_500, "iterations": 20}),
        ("geometric-median", {"iterations": 7, "smoothing_ppm": 1_000_000}),
        ("rfa", {"iterations": 1}),
        ("three-sigma", {"sigmas_bps": 10_000, "least_sigma_bps": 0}),
        ("foolsgold", {"confidence_bps": 3_000}),
        ("flag-aggregator", {"iterations": 1, "rank_bps": 2_000}),
    ],
)
@settings(max_examples=15, deadline=None)
@given(seed=seeds, n=st.integers(4, 12))
def test_other_parameters(name, params, seed, n):
    compare(name, honest_rows(seed, n), params)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, n=st.integers(1, 12), shift=st.integers(1, 6))
def test_coordinate_rules_on_few_values(seed, n, shift):
    """Many ties, as in real updates, whose entries are small integers."""
    rows = np.random.default_rng(seed).integers(-shift, shift + 1, (n, 200)).astype(np.int16)
    rows[:, 0] = 7
    for name in ("coordinate-median", "trimmed-mean"):
        compare(name, rows)
