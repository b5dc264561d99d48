"""The Gram matrix and the weighted sum against plain Python integers."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.gram import PlainSum, check_gram, gram_matrix, weighted_sum
from hypothesis import given, settings
from hypothesis import strategies as st

int16 = st.one_of(st.sampled_from([-32768, 32767, 0, 1, -1]), st.integers(-32768, 32767))
int32 = st.one_of(
    st.sampled_from([-(2**31), 2**31 - 1, 2**31 - 2**15, 2**31 - 2**15 - 1, -(2**15), 2**15, 0]),
    st.integers(-(2**31), 2**31 - 1),
)


@st.composite
def rows(draw):
    dimension = draw(st.integers(1, 12))
    updates = draw(st.lists(st.lists(int16, min_size=dimension, max_size=dimension), min_size=1, max_size=5))
    steps = draw(st.lists(st.lists(int32, min_size=dimension, max_size=dimension), max_size=3))
    return [np.array(u, np.int16) for u in updates], [np.array(s, np.int64) for s in steps]


def plain_gram(updates, steps):
    everything = [row.tolist() for row in [*updates, *steps]]
    return tuple(tuple(sum(x * y for x, y in zip(a, b, strict=True)) for b in everything) for a in everything)


@settings(max_examples=300, deadline=None)
@given(rows(), st.integers(1, 14))
def test_equals_plain_integers_for_any_block(both, block):
    updates, steps = both
    gram = gram_matrix(updates, steps, block)
    assert gram == plain_gram(updates, steps)
    assert all(type(value) is int for row in gram for value in row)


def test_extremes_at_the_largest_exact_sums():
    """All entries at -32768, a block as wide as the row: every partial sum is the largest there is."""
    dimension = 1 << 18
    update = np.full(dimension, -32768, np.int16)
    step = np.full(dimension, -(2**31), np.int64)
    for block in (1 << 18, 1 << 16, 99_999):
        gram = gram_matrix([update, update], [step], block)
        assert gram[0][1] == dimension << 30
        assert gram[0][2] == dimension << 46
        assert gram[2][2] == dimension << 62


def test_a_sum_that_float64_accumulation_would_round():
    """2^53 + odd parts: beyond one exact block, so only the integer accumulation keeps the last bit."""
    dimension = (1 << 23) + 3
    update = np.full(dimension, -32768, np.int16)
    update[-3:] = 1
    assert gram_matrix([update], block=1 << 20)[0][0] == (1 << 53) + 3


def test_the_block_bound_is_enforced():
    with pytest.raises(ScoringInputInvalid, match="not exact"):
        gram_matrix([np.zeros(1, np.int16)], block=(1 << 23) + 1)
    with pytest.raises(ScoringInputInvalid):
        gram_matrix([np.zeros(1, np.int16)], block=0)


@settings(deadline=None)
@given(rows(), st.integers(1, 14), st.data())
def test_weighted_sum_equals_plain_integers(both, block, data):
    updates, _ = both
    weights = data.draw(st.lists(st.integers(0, 65536 // len(updates)), min_size=len(updates), max_size=len(updates)))
    expected = [sum(w * int(u[i]) for w, u in zip(weights, updates, strict=True)) for i in range(updates[0].size)]
    result = weighted_sum(updates, weights, block)
    assert result.dtype == np.int64
    assert result.tolist() == expected


def test_weighted_sum_reaches_exactly_minus_2_to_31():
    update = np.array([-32768, 32767], np.int16)
    assert weighted_sum([update, update], [65536, 0]).tolist() == [-(2**31), 2**31 - 2**16]


@settings(deadline=None)
@given(rows(), st.data())
def test_the_plain_sum_of_pass_one_becomes_the_weighted_sum(both, data):
    updates, steps = both
    weight = 65536 // len(updates)
    weights = data.draw(st.lists(st.sampled_from([0, 1, weight]), min_size=len(updates), max_size=len(updates)))
    total = PlainSum(updates[0].size)
    assert gram_matrix(updates, steps, total=total) == plain_gram(updates, steps)
    assert total.values.tolist() == np.sum(updates, axis=0, dtype=np.int64).tolist()
    result = weighted_sum(updates, weights, total=total)
    assert result.dtype == np.int64
    assert result.tolist() == weighted_sum(updates, weights).tolist()


@pytest.mark.parametrize("block", [1, 2, 3, 7, 100])
def test_widening_in_place_overwrites_nothing_unread(block):
    total = PlainSum(50)
    total.values[:] = values = np.random.default_rng(block).integers(-(2**31), 2**31, 50)
    assert total.widened(block).tolist() == values.tolist()


@pytest.mark.parametrize("weights", [[1], [1, 2, 3], [-1, 1], [65536, 1]])
def test_weights_that_are_not_parts_of_2_to_16_are_refused(weights):
    with pytest.raises(ScoringInputInvalid):
        weighted_sum([np.ones(2, np.int16)] * 2, weights)


@pytest.mark.parametrize(
    ("updates", "steps"),
    [
        ([], []),
        ([np.zeros(3, np.int32)], []),
        ([np.zeros((3, 1), np.int16)], []),
        ([np.zeros(0, np.int16)], []),
        ([np.zeros(3, np.int16), np.zeros(4, np.int16)], []),
        ([np.zeros(3, np.int16)], [np.zeros(3, np.float64)]),
        ([np.zeros(3, np.int16)], [np.zeros(2, np.int64)]),
        ([np.zeros(3, np.int16)], [np.array([0, 0, 2**31], np.int64)]),
        ([np.zeros(3, np.int16)], [np.array([0, 0, -(2**31) - 1], np.int64)]),
    ],
)
def test_rows_that_no_round_has_are_refused(updates, steps):
    with pytest.raises(ScoringInputInvalid):
        gram_matrix(updates, steps)


@pytest.mark.parametrize(
    ("gram", "n", "p"),
    [
        (((1, 0), (0, 1)), 1, 0),
        (((1, 0), (0,)), 2, 0),
        ((), 0, 0),
        (((1, 2), (3, 1)), 2, 0),
        (((-1,),), 1, 0),
        (((1,),), 2, -1),
    ],
)
def test_check_gram_refuses_what_is_no_gram_matrix(gram, n, p):
    with pytest.raises(ScoringInputInvalid):
        check_gram(gram, n, p)
