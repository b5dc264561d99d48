"""Exact Shapley values of a round (Shapley, 1953; for federated rounds Wang et al., 2020). numpy only.

The utility of a coalition is what the model gains with the equally weighted mean of its updates: v(S) = loss(M) -
loss(M + mean of S), or the accuracy gained; v of nobody is 0. All 2^n coalitions are evaluated.
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import numpy as np

from cohort_protocol.rehearsal.errors import RehearsalInvalid

MAX_PLAYERS = 14


@lru_cache(maxsize=16)
def memberships(n: int) -> np.ndarray:
    """bool[2^n, n]: who is in coalition c (bit a of c). Raises `RehearsalInvalid` for n > 14."""
    if not 1 <= n <= MAX_PLAYERS:
        raise RehearsalInvalid(f"exact Shapley values of {n} players: 1 to {MAX_PLAYERS} are feasible")
    return (np.arange(1 << n)[:, None] >> np.arange(n)[None]) & 1 == 1


@lru_cache(maxsize=16)
def _coefficients(n: int) -> np.ndarray:
    """float64[n, 2^n] with phi = coefficients @ v."""
    inside = memberships(n)
    size = inside.sum(1)
    factorials = [factorial(k) for k in range(n + 1)]
    gain = np.array([factorials[k - 1] * factorials[n - k] / factorials[n] if k else 0.0 for k in range(n + 1)])
    loss = np.array([factorials[k] * factorials[n - k - 1] / factorials[n] if k < n else 0.0 for k in range(n + 1)])
    return np.where(inside, gain[size][:, None], -loss[size][:, None]).T.copy()


def shapley_values(utilities: np.ndarray) -> np.ndarray:
    """utilities: float[2^n, ...], coalition c holding player a if bit a of c is set. Returns float64[n, ...]: they sum
    to v(all) - v(nobody)."""
    n = len(utilities).bit_length() - 1
    if len(utilities) != 1 << n:
        raise RehearsalInvalid(f"{len(utilities)} utilities: one per coalition is needed, a power of two")
    flat = np.asarray(utilities, np.float64).reshape(1 << n, -1)
    return (_coefficients(n) @ flat).reshape(n, *utilities.shape[1:])


def coalition_models(model: np.ndarray, updates: np.ndarray) -> np.ndarray:
    """float32[2^n, d]: the model with the mean of every coalition's updates. model: float32[d]; updates: float[n, d]
    in real units."""
    inside = memberships(len(updates))
    shares = inside / np.maximum(1, inside.sum(1))[:, None]
    return model[None] + (shares.astype(np.float32) @ updates.astype(np.float32))
