"""Streaming order statistics: exact, for any block size, any number of rows, any ties."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
from cohort_protocol.scoring.catalogue.coordinates import (
    mean_around_median,
    median,
    products_with_step,
    sorting_network,
    stream,
    trimmed_mean,
)
from cohort_protocol.scoring.kernel import FileRow
from hypothesis import given, settings
from hypothesis import strategies as st

entry = st.integers(-4, 4) | st.sampled_from([-32768, 32767])


@pytest.mark.parametrize("n", range(1, 13))
def test_the_network_sorts_every_input_of_zeros_and_ones(n):
    """By the 0-1 principle it then sorts everything (Knuth, volume 3, 5.3.4)."""
    rows = [np.array(column, np.int8) for column in zip(*product((0, 1), repeat=n), strict=True)]
    for low, high in sorting_network(n):
        assert low < high
        rows[low], rows[high] = np.minimum(rows[low], rows[high]), np.maximum(rows[low], rows[high])
    assert all((rows[i] <= rows[i + 1]).all() for i in range(n - 1))


@pytest.mark.parametrize("n", [17, 20, 31, 32, 33, 63, 100])
def test_the_network_sorts_larger_rounds(n):
    rows = np.random.default_rng(n).integers(-32768, 32768, (n, 2_000)).astype(np.int16)
    ordered = list(rows)
    for low, high in sorting_network(n):
        ordered[low], ordered[high] = np.minimum(ordered[low], ordered[high]), np.maximum(ordered[low], ordered[high])
    assert np.array_equal(np.stack(ordered), np.sort(rows, axis=0))


@st.composite
def matrices(draw):
    n, d = draw(st.integers(1, 9)), draw(st.integers(1, 12))
    return [np.array(draw(st.lists(entry, min_size=d, max_size=d)), np.int16) for _ in range(n)]


def columns(rows):
    return [sorted(int(value) for value in column) for column in np.stack(rows).T]


@settings(max_examples=300, deadline=None)
@given(matrices(), st.integers(1, 13), st.data())
def test_trimmed_mean_and_median_are_exact(rows, block, data):
    trim = data.draw(st.integers(0, (len(rows) - 1) // 2))
    expected = []
    for column in columns(rows):
        kept = column[trim : len(column) - trim]
        expected.append(floor(Fraction(65_536 * sum(kept), len(kept))))
    assert stream(rows, trimmed_mean(trim), block).tolist() == expected
    n = len(rows)
    middle = [32_768 * (column[(n - 1) // 2] + column[n // 2]) for column in columns(rows)]
    assert stream(rows, median, block).tolist() == middle


@settings(max_examples=300, deadline=None)
@given(matrices(), st.integers(1, 13), st.data())
def test_the_mean_around_the_median_is_exact(rows, block, data):
    """Against the definition: sort by distance; ties once resolved downwards, once upwards, and averaged."""
    count = data.draw(st.integers(1, len(rows)))
    n, expected = len(rows), []
    for column in columns(rows):
        twice = column[(n - 1) // 2] + column[n // 2]
        low = sorted(column, key=lambda v, m=twice: (abs(2 * v - m), v))[:count]
        high = sorted(column, key=lambda v, m=twice: (abs(2 * v - m), -v))[:count]
        expected.append(floor(Fraction(65_536 * (sum(low) + sum(high)), 2 * count)))
    assert stream(rows, mean_around_median(count), block).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(matrices(), st.integers(1, 13), st.data())
def test_products_with_a_step_are_exact(rows, block, data):
    wide = st.sampled_from([-(2**31), 2**31, 2**31 - 1]) | st.integers(-(2**31), 2**31)
    step = data.draw(st.lists(wide, min_size=rows[0].size, max_size=rows[0].size))
    products, square = products_with_step(rows, np.array(step, np.int64), block)
    assert products == [sum(int(u) * m for u, m in zip(row, step, strict=True)) for row in rows]
    assert square == sum(m * m for m in step)


def test_blocks_do_not_change_the_bytes():
    rows = list(np.random.default_rng(0).integers(-300, 300, (11, 40_000)).astype(np.int16))
    for rule in (trimmed_mean(3), median, mean_around_median(5)):
        whole = stream(rows, rule, 40_000)
        for block in (1_000, 16_384, 39_999):
            assert np.array_equal(stream(rows, rule, block), whole)
    step = stream(rows, median)
    assert products_with_step(rows, step, 999) == products_with_step(rows, step, 40_000)


def test_rows_from_files_give_the_same_bytes(tmp_path):
    rows = list(np.random.default_rng(3).integers(-300, 300, (5, 20_001)).astype(np.int16))
    files = []
    for index, row in enumerate(rows):
        (tmp_path / str(index)).write_bytes(row.astype("<i2").tobytes())
        files.append(FileRow(tmp_path / str(index), row.size))
    step = stream(files, median)
    assert np.array_equal(step, stream(rows, median))
    assert products_with_step(files, step) == products_with_step(rows, step)


def test_the_rows_are_left_as_they_were():
    rows = list(np.random.default_rng(1).integers(-300, 300, (5, 1_000)).astype(np.int16))
    before = [row.copy() for row in rows]
    stream(rows, median)
    assert all(np.array_equal(a, b) for a, b in zip(rows, before, strict=True))


def test_negating_the_rows_negates_the_median_and_mean_around_it_but_for_rounding():
    rows = list(np.random.default_rng(2).integers(-3, 4, (8, 5_000)).astype(np.int16))
    negated = [-row for row in rows]
    for rule in (median, mean_around_median(4)):
        assert np.abs(stream(rows, rule) + stream(negated, rule)).max() <= 1
