"""How far the iterations in integers are from the same iterations in floats: no further than their texts say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from cohort_protocol.scoring import gram_matrix
from cohort_protocol.scoring.catalogue.flag import UNIT as FLAG_UNIT
from cohort_protocol.scoring.catalogue.flag import flag_coefficients, top_projector
from cohort_protocol.scoring.catalogue.geometric import UNIT, distances_from, weiszfeld

from tests.protocol.scoring.catalogue import reference
from tests.protocol.scoring.catalogue.rounds import honest_rows


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("iterations", "ppm"), [(3, 1), (100, 1), (100, 10_000), (500, 1)])
def test_weiszfeld_is_within_a_millionth(seed, iterations, ppm):
    rows = honest_rows(seed, 3 + seed, spread=(0.1, 1.0, 5.0)[seed % 3])
    found = weiszfeld(gram_matrix(list(rows)), range(len(rows)), iterations, ppm)
    settings = SimpleNamespace(iterations=iterations, smoothing_ppm=ppm)
    expected = reference.geometric_median(rows.astype(float), settings)[0]
    assert np.abs(np.array(found) / UNIT - expected).max() < 1e-6
    assert sum(found) <= UNIT


def test_weiszfeld_near_a_row_is_within_a_millionth():
    """Five rows, three of them nearly the same: the median is there, and distances are smaller than one entry."""
    rows = honest_rows(1, 5)
    rows[1], rows[2] = rows[0], rows[0]
    rows[1, 0] += 1
    rows[2, 1] -= 1
    found = weiszfeld(gram_matrix(list(rows)), range(5), 100, 1)
    expected = reference.geometric_median(rows.astype(float), SimpleNamespace(iterations=100, smoothing_ppm=1))[0]
    assert np.abs(np.array(found) / UNIT - expected).max() < 1e-6


def test_distances_are_rounded_down_to_their_unit():
    rows = honest_rows(2, 6)
    coefficients = [UNIT // 7, UNIT // 3, 0, UNIT // 11, UNIT // 5, 0]
    found = distances_from(gram_matrix(list(rows)), range(6), coefficients)
    centre = np.array(coefficients) / UNIT @ rows.astype(float)
    assert np.allclose(np.array(found) / UNIT, np.linalg.norm(rows - centre, axis=1), rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_flag_coefficients_are_within_a_millionth(seed):
    rows = honest_rows(seed, 4 + seed)
    rank = (len(rows) + 2) // 2
    found = np.array(flag_coefficients(gram_matrix(list(rows)), range(len(rows)), rank, 5)) / FLAG_UNIT
    wide = rows.astype(float)
    units = wide / np.linalg.norm(wide, axis=1)[:, None]
    weights = np.ones(len(rows))
    for _ in range(5):
        basis = reference._top(units, weights, rank)
        residuals = np.maximum(2.0**-20, np.sqrt(np.maximum(0, 1 - np.sum((units @ basis) ** 2, axis=1))))
        weights = residuals.min() / residuals
    basis = reference._top(units, weights, rank)
    expected = np.linalg.lstsq(wide.T, basis @ (basis.T @ wide.mean(axis=0)), rcond=None)[0]
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.parametrize("gap", [0.5, 0.1, 0.01, 1e-4])
def test_a_projector_finds_the_largest_directions(gap):
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(6, 6)))[0]
    values = np.array([3.0, 2.0, 1.0, 1.0 - gap, 0.2, 0.0])
    matrix = basis @ np.diag(values) @ basis.T
    scaled = np.array([[int(value) for value in line] for line in np.rint(matrix * 2.0**50)], dtype=object) << 10
    found = top_projector(scaled, 3).astype(float) / FLAG_UNIT
    assert np.abs(found - basis[:, :3] @ basis[:, :3].T).max() < 1e-9 / gap


def test_directions_that_tie_share_the_last_place():
    """Two of three equal directions: each is in for the same part, whatever the order."""
    identity = np.array([[FLAG_UNIT if a == b else 0 for b in range(3)] for a in range(3)], dtype=object)
    found = top_projector(identity, 2)
    assert len({int(found[a][a]) for a in range(3)}) == 1
    assert 0 < found[0][0] < FLAG_UNIT
    assert not any(found[a][b] for a in range(3) for b in range(3) if a != b)


@pytest.mark.parametrize("seed", range(4))
def test_a_smaller_rank_than_asked_for_stays_small(seed):
    """Six mixtures of two rows span two directions, however many are asked for: rounding is not raised to a third."""
    mixed = np.random.default_rng(seed).normal(size=(6, 2)) @ honest_rows(seed, 2).astype(float)
    units = mixed / np.linalg.norm(mixed, axis=1)[:, None]
    scaled = np.array([[int(value) for value in line] for line in np.rint(units @ units.T * 2.0**50)], dtype=object)
    found = top_projector(scaled << 10, 4).astype(float) / FLAG_UNIT
    assert abs(np.trace(found) - 2) < 1e-6
