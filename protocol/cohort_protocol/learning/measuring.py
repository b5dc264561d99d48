"""What updates are worth on a batch: logit-average Shapley values, example by example, in float64.

Every player's own model runs once over the batch. A coalition stands for the mean of its members' logits, its utility
is minus the cross-entropy; the Shapley values of that game are exact up to EXACT players and an average over fixed
antithetic orders beyond (Castro et al., 2009, with every order and its reverse).
"""

from __future__ import annotations

from functools import lru_cache
from math import factorial

import numpy as np

EXACT = 10
ORDERS = 64
CHUNK = 1 << 22
"""Most logits of coalitions at a time."""


def example_values(base: np.ndarray, members: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """base: float64[b, classes], logits of the model; members: float64[n, b, classes], of the model with each player's
    update; labels: int64[b]. Returns float64[n, b], nats: the mean over b is the value of a player."""
    n, examples, classes = members.shape
    if n == 0:
        return np.zeros((0, examples))
    width = max(1, CHUNK // (min(2**n, 1 << EXACT) * classes))
    parts = []
    for start in range(0, examples, width):
        part = slice(start, start + width)
        game = _exact if n <= EXACT else _sampled
        parts.append(game(base[part], members[:, part], labels[part]))
    return np.concatenate(parts, axis=1)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """float64[..., b, classes], int64[b] -> float64[..., b], nats."""
    largest = logits.max(axis=-1)
    sums = np.log(np.exp(logits - largest[..., None]).sum(axis=-1))
    return sums + largest - logits[..., np.arange(len(labels)), labels]


@lru_cache(maxsize=EXACT + 1)
def _game(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(float64[2^n, n] shares of the members of each coalition, float64[n, 2^n] with values = matrix @ utilities)."""
    inside = (np.arange(1 << n)[:, None] >> np.arange(n)[None]) & 1 == 1
    size = inside.sum(1)
    joined = np.array([factorial(max(0, k - 1)) * factorial(n - k) / factorial(n) for k in range(n + 1)])
    missed = np.array([factorial(k) * factorial(max(0, n - k - 1)) / factorial(n) for k in range(n + 1)])
    return inside / np.maximum(1, size)[:, None], np.where(inside, joined[size][:, None], -missed[size][:, None]).T


def _exact(base: np.ndarray, members: np.ndarray, labels: np.ndarray) -> np.ndarray:
    n = len(members)
    shares, matrix = _game(n)
    logits = (shares @ members.reshape(n, -1)).reshape(-1, *base.shape)
    logits[0] = base
    return matrix @ -cross_entropy(logits, labels)


def _sampled(base: np.ndarray, members: np.ndarray, labels: np.ndarray) -> np.ndarray:
    n = len(members)
    random = np.random.Generator(np.random.PCG64(n))
    orders = [random.permutation(n) for _ in range(ORDERS // 2)]
    sizes = np.arange(1, n + 1)[:, None, None]
    start = -cross_entropy(base, labels)[None]
    total = np.zeros((n, len(labels)))
    for order in [*orders, *(each[::-1] for each in orders)]:
        utilities = -cross_entropy(np.cumsum(members[order], axis=0) / sizes, labels)
        total[order] += np.diff(np.concatenate([start, utilities]), axis=0)
    return total / ORDERS
