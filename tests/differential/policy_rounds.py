"""Rounds for the default policy in Python and Solidity: honest trainers, cheats of every kind, and the extremes.

A case is (n, past steps, u0, value rows, Gram matrix, hints) as the contract takes it; its answer one word per update,
score << 8 | reason | weight << 72.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from cohort_protocol.commitments import MarketId
from cohort_protocol.scoring import PublicRows
from cohort_protocol.scoring.default import DefaultPolicy
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.hints import gram_bytes, hints

CHEATS = (
    *("copy", "near", "near", "mask", "mean", "chain"),
    *("flip", "replay", "step-noise", "noise", "trained"),
    *("zero", "tiny", "huge", "long"),
)
LONGEST = 2**24
"""Entries of the longest update."""


def draw_judgement(rng: Random) -> tuple:
    """A case."""
    return case_of(*draw_round(rng))


def case_of(gram: list[list[int]], n: int, layout: PublicRows) -> tuple:
    """The case of a Gram matrix."""
    given = hints(tuple(map(tuple, gram)), n, layout)
    return n, layout.past_steps, int(layout.trainable), layout.values, gram_bytes(gram, n), given


def draw_round(rng: Random) -> tuple[list[list[int]], int, PublicRows]:
    """Small rounds more often than large ones, and the edges more often than they come up."""
    n = rng.choice((rng.choice((1, 2, 3, 4, 5, 16, 17, 32)), rng.randint(1, 32), *([rng.randint(2, 12)] * 3)))
    layout = PublicRows(
        past_steps=rng.choice((0, 1, 2, 3, 3, 3)), trainable=rng.random() < 0.5, values=rng.choice((0, 3, 3))
    )
    random = np.random.default_rng(rng.getrandbits(64))
    if rng.random() < 0.25:
        return _crude(rng, random, n, layout), n, layout
    d = rng.choice((6, 24, 48))
    direction, past = random.standard_normal(d), random.standard_normal((5, d))
    common = random.standard_normal(d)
    updates = _updates(rng, random, n, direction, past[: max(1, layout.past_steps)], common)
    scale = 2.0 ** rng.choice((4, 20, 24))
    public = list(past[: layout.past_steps] * scale)
    if (
        len(public) > 2 and rng.random() < 0.2
    ):  # a step that repeats the last one, nearly or exactly, and one of nothing
        public[1] = public[0] * 0.5 + rng.choice((0, 1e-3, 3e-2)) * scale * random.standard_normal(d)
        public[2] = 0 * public[2]
    if layout.trainable:
        public.append(common * scale)
    if layout.values:
        value = direction + rng.choice((0, 0.3, 3)) * random.standard_normal(d)
        half = value + rng.choice((0, 0.1, 1)) * random.standard_normal(d)
        vote = direction + rng.choice((0, 0.3, 1)) * random.standard_normal(d)
        public += [row * 2.0**24 for row in (value * (rng.random() > 0.05), half, vote)]
    return _gram(updates, np.array(public).reshape(len(public), d)), n, layout


def honest_round(n: int, values: int = 3) -> tuple[list[list[int]], int, PublicRows]:
    """n trainers who learn the same from data of their own, with all public rows: for figures of gas."""
    random = np.random.default_rng(n)
    layout = PublicRows(past_steps=3, trainable=True, values=values)
    direction, past = random.standard_normal(400), random.standard_normal((3, 400))
    updates = 300 * (0.8 * direction + random.standard_normal((n, 400)) + 0.3 * past.sum(0))
    value = [direction + 0.2 * random.standard_normal(400) for _ in range(values)]
    return _gram(updates, np.array([*past, random.standard_normal(400), *value]) * 2**20), n, layout


def edge_rounds() -> list[tuple[list[list[int]], int, PublicRows]]:
    """Rounds given by their cosines, without public rows, where one digit decides: a chain of rows each near to the
    next, with and without ties; three alike of whom one is near to a fourth; one near to two who are not near to each
    other; cosines at and beside the limit of clones; a pair at and beside the limits of kinship and of twins;
    opposites, of which one or both go."""
    chain = {(0, 1): 0.95, (1, 2): 0.93, (2, 3): 0.92, (0, 2): 0.85, (1, 3): 0.84, (0, 3): 0.7}
    ties = {(0, 1): 0.95, (1, 2): 0.95, (2, 3): 0.95, (0, 2): 0.85, (1, 3): 0.85, (0, 3): 0.7}
    bridge = {(0, 1): 0.97, (0, 2): 0.96, (1, 2): 0.95, (2, 3): 0.94, (0, 3): 0.88, (1, 3): 0.89, (0, 4): 0.91}
    limit = 9_000 * 2**40 // 10_000
    star = {(0, 1): 0.95, (0, 2): 0.94, (1, 2): 0.85}
    rounds = [_by_cosines(6, cosines) for cosines in (chain, ties, bridge, star)]
    rounds.append(_by_cosines(5, {(0, 2): 0.95, (1, 3): (limit + 1) / 2**40}))
    rounds += [_by_cosines(5, {(1, 3): (limit + more) / 2**40}) for more in (0, 1, 2)]
    rounds += [_by_cosines(6, {(2, 4): cosine}) for cosine in (0.3, 0.5, 0.55, 0.6, 0.65, 0.8)]
    rounds += [_by_cosines(6, {(2, 4): cosine}) for cosine in _where_twins_begin()]
    rounds += [_by_cosines(4, {(0, 3): -0.9, (1, 3): -0.8, (2, 3): least}) for least in (-0.7, 0.2)]
    third = -(2**39 + 1) / 2**40  # three that cancel out, to the last digit, and one whom they oppose
    rounds.append(_by_cosines(4, {(0, 1): third, (0, 2): third, (1, 2): third} | {(a, 3): -0.2 for a in range(3)}))
    rounds += [_by_cosines(2, {(0, 1): cosine}) for cosine in (-1.0, -0.1, -0.1 - 1e-9, -0.1 - 3e-9, 0.5)]
    return rounds + _clamped_rounds()


def _where_twins_begin() -> tuple[float, float]:
    """The largest cosine of two among six with which they are no twins, and the least with which they are."""
    policy = DefaultPolicy()
    below, above = 0, 2**44
    while above - below > 1:
        cosine = (below + above) // 2
        judged = policy.judged(*_by_cosines(6, {(2, 4): cosine / 2**44})).judgement
        assert judged is not None
        below, above = (cosine, above) if judged.wholes[2] == ONE else (below, cosine)
    return below / 2**44, above / 2**44


def _clamped_rounds() -> list[tuple[list[list[int]], int, PublicRows]]:
    """What is clamped beyond its range: values of one trainer beside many small ones, values on half the batch that are
    far from those on all of it, and, of cosines that no vectors have, coordinates and what is left without them."""
    values = PublicRows(values=3)
    best = {(0, 10): 2.0**-10} | {(a, 10): 2.0**-20 for a in range(1, 10)}
    worst = {(0, 20): -(2.0**-10)} | {(a, 20): 2.0**-20 for a in range(1, 20)}
    torn = {(1, 21): 0.5, (2, 21): -0.5} | {(a, 22): 2.0**-9 for a in range(20)}
    rounds = [_by_cosines(10, best | {(0, 12): 0.1}, values), _by_cosines(20, worst | torn, values)]
    # Half the batch agrees, in full and in so far that the word of the others counts, too.
    sure = {(a, 11): cosine for (a, _), cosine in best.items()} | {(a, 12): 0.1 for a in range(10)}
    doubted = {(a, 21): 0.35 * cosine for (a, _), cosine in worst.items()} | {(a, 22): 0.1 for a in range(20)}
    rounds += [_by_cosines(10, best | sure, values), _by_cosines(20, worst | doubted, values)]
    steps = PublicRows(past_steps=3, trainable=True)
    for first in (0, 1):  # of every pair of public rows that are nearly the same
        pairs = [k for k in range(first, 3, 2)]
        alike = {(6 + k, 7 + k): 1 - 2.0**-18 for k in pairs}
        apart = {(0, 6 + k): 0.3 for k in pairs} | {(0, 7 + k): 0.7 for k in pairs}
        apart |= {(1, 6 + k): 0.3 for k in pairs} | {(1, 7 + k): -0.7 for k in pairs}
        rounds.append(_by_cosines(6, alike | apart, steps))
    public = {(6, 7): 1 - 2.0**-18, (6, 8): 0.3, (7, 8): 0.7, (6, 9): 0.3, (7, 9): -0.7}
    rounds.append(_by_cosines(6, public, steps))
    for second in (0.5, 0.6, 0.9):  # the same, and updates that have something in common with what is clamped
        shared = {(a, k): (a - 2) / 8 for a in range(6) for k in (8, 9)} | {(7, 8): second}
        rounds.append(_by_cosines(6, public | shared, steps))
    # What two have in common in the span of a step is -2^-59, rounded down to -2^-40: that decides their cosine.
    barely = {(0, 5): 1.5 * 2.0**-30, (1, 5): -(2.0**-29), (0, 1): 0.5, (0, 2): 0.7, (1, 3): 0.7}
    rounds.append(_by_cosines(5, barely, PublicRows(past_steps=1)))
    # Two that have more in common beyond the step than either has.
    beyond = {(0, 5): 0.9, (1, 5): -0.3, (2, 5): 0.9, (3, 5): -0.3, (0, 1): 0.8, (2, 3): 0.8, (0, 3): 0.8, (1, 2): 0.8}
    rounds.append(_by_cosines(5, beyond, PublicRows(past_steps=1)))
    return rounds


def _by_cosines(
    n: int, cosines: dict[tuple[int, int], float], layout: PublicRows | None = None
) -> tuple[list[list[int]], int, PublicRows]:
    """Updates of one length, public rows of another; pairs of updates that are not named have a cosine of .2, others
    none."""
    layout = layout or PublicRows()
    size = n + layout.count
    bits = [22] * n + [30] * layout.count
    gram = [[2 ** (2 * bits[i]) if i == j else 0 for j in range(size)] for i in range(size)]
    for i in range(size):
        for j in range(i):
            found = cosines.get((j, i), 0.2 if i < n else 0.0)
            gram[i][j] = gram[j][i] = int(found * 2 ** (bits[i] + bits[j]))
    return gram, n, layout


def judgement_twin(case: tuple, identity: MarketId) -> tuple[int, ...]:
    """One word per update."""
    n, steps, trainable, values, data, _ = case
    layout = PublicRows(past_steps=steps, trainable=bool(trainable), values=values)
    rows = DefaultPolicy().evaluate(gram_of(data, n, layout.count), n, layout).rows
    return tuple(row.score << 8 | int(row.reason) | row.weight << 72 for row in rows)


def gram_of(data: bytes, n: int, p: int) -> tuple[tuple[int, ...], ...]:
    """The matrix that the bytes say."""
    size, at = n + p, 0
    matrix = [[0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i, size):
            width = (7, 9, 11)[(i >= n) + (j >= n)]
            matrix[i][j] = matrix[j][i] = int.from_bytes(data[at : at + width], "big", signed=True)
            at += width
    assert at == len(data)
    return tuple(map(tuple, matrix))


def _updates(
    rng: Random, random: np.random.Generator, n: int, direction: np.ndarray, past: np.ndarray, common: np.ndarray
) -> np.ndarray:
    d, share, trend = len(direction), rng.choice((0, 0.3, 0.8, 1.5, 4)), rng.choice((0, 0.3, 1))
    rows = 300 * (
        share * direction * random.uniform(0.2, 1, (n, 1)) + random.standard_normal((n, d)) + trend * past.sum(0)
    )
    cheats = rng.choice((0, 0.2, 0.6))
    for i in range(n):
        if rng.random() >= cheats:
            continue
        kind, other, noise = rng.choice(CHEATS), rows[rng.randrange(n)], random.standard_normal(d)
        rows[i] = {
            "copy": other,
            "near": other + random.uniform(20, 150) * noise,
            "mask": other + 300 * noise,
            "mean": rows.mean(0),
            "chain": rows[i - 1] + 0.4 * np.linalg.norm(rows[i - 1]) / np.sqrt(d) * noise,
            "flip": -rng.choice((0.5, 1, 4)) * other,
            "replay": 500 * past[0],
            "step-noise": 400 * past[0] + 150 * noise,
            "noise": 300 * noise,
            "trained": 300 * common + 50 * noise,
            "zero": 0 * noise,
            "tiny": 0.03 * rows[i],
            "huge": 32_767 * np.sign(rows[i]),
            "long": 7 * rows[i],
        }[kind]
    return rows


def _crude(rng: Random, random: np.random.Generator, n: int, layout: PublicRows) -> list[list[int]]:
    """Few columns and few values: ties, duplicates, opposites, zero and dependent rows; int16 extremes, at the largest
    dimension too: the same columns again and again."""
    d = rng.choice((1, 2, 4, 16))
    few = rng.choice((*[(0, 0, 1, -1, 2, -3, -32_768, 32_767)] * 6, (0,), (-3, 3)))
    updates = np.array([[rng.choice(few) for _ in range(d)] for _ in range(n)])
    wide = (0, 1, -1, 7, 2**31 - 1, -(2**31))
    public = np.array([[rng.choice(wide) for _ in range(d)] for _ in range(layout.count)]).reshape(layout.count, d)
    times = rng.choice((1, LONGEST // d))
    return [[times * x for x in row] for row in _gram(updates, public)]


def _gram(updates: Any, public: Any) -> list[list[int]]:
    """Exact inner products of rounded and clipped rows."""
    rows = np.concatenate(
        [np.clip(np.rint(updates), -(2**15), 2**15 - 1), np.clip(np.rint(public), -(2**31), 2**31 - 1)]
    )
    whole = rows.astype(np.int64).astype(object)
    return [[int(x) for x in row] for row in whole.dot(whole.T)]
