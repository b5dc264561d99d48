"""Rounds for the tests of the catalogue."""

from __future__ import annotations

import numpy as np
from cohort_protocol.scoring import PublicVectors, evaluate_round, policy_by_name


def honest_rows(seed, n, dimension=60, spread=1.0, size=200):
    """int16[n, d]: a common direction and differences `spread` times as long, lengths that differ by a factor of 2."""
    random = np.random.default_rng(seed)
    common = random.normal(size=dimension)
    rows = common + spread * random.normal(size=(n, dimension))
    return np.rint(rows * random.uniform(0.7, 1.4, (n, 1)) * size).astype(np.int16)


def a_gradient(seed, rows):
    """int64[d] that roughly points against the rows."""
    random = np.random.default_rng(seed)
    mean = rows.astype(float).mean(axis=0)
    return np.rint(-50 * (mean + random.normal(size=mean.size) * np.abs(mean).mean())).astype(np.int64)


def evaluated(name, rows, params=None, gradient=None, steps=()):
    """The evaluation of a round by the policy of that name."""
    validation = None if gradient is None else PublicVectors(gradients=(gradient, gradient))
    return evaluate_round(
        [np.asarray(row, np.int16) for row in rows],
        [np.asarray(step, np.int64) for step in steps],
        policy_by_name(name, params or {}),
        validation,
    )


def mean_step(rows):
    """The mean of the rows in the unit of a step."""
    return np.asarray(rows, float).mean(axis=0) * 65_536
