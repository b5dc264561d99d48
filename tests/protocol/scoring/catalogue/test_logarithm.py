"""Logarithms and exponentials in integers against those of floats."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from cohort_protocol.scoring import ScoringInputInvalid
from cohort_protocol.scoring.catalogue.logarithm import natural_logarithm
from cohort_protocol.scoring.catalogue.logit_average import exponentials, logarithms
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 2**32), st.integers(1, 2**32))
def test_of_fractions(numerator, denominator):
    assert abs(natural_logarithm(numerator, denominator) / 2**40 - log(numerator / denominator)) < 2**-33


@pytest.mark.parametrize(("fraction", "value"), [((1, 1), 0), ((2, 1), 762123384785), ((1, 2), -762123384785)])
def test_powers_of_two_are_exact(fraction, value):
    assert natural_logarithm(*fraction) == value


@pytest.mark.parametrize("fraction", [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_what_has_no_logarithm_is_refused(fraction):
    with pytest.raises(ScoringInputInvalid):
        natural_logarithm(*fraction)


def test_exponentials_over_their_whole_range():
    values = np.concatenate([np.arange(0, 1 << 20, 997), np.arange(1 << 20, 40 << 24, 99_991), [1 << 35]])
    assert np.abs(exponentials(values.astype(np.int64)) / 2**30 - np.exp(-values / 2**24)).max() < 2**-24


def test_logarithms_over_their_whole_range():
    values = np.unique(np.concatenate([np.geomspace(2**30, 2**45 - 1, 50_000), [2**30, 2**31 - 1, 2**31, 2**45 - 1]]))
    values = values.astype(np.int64)
    assert np.abs(logarithms(values) / 2**24 - np.log(values / 2**30)).max() < 2**-22
