"""What a witness accepts of another machine's public rows can move nobody's pay by more than one percent.

The search: entries may be off by the tolerance each, so that the worst for an inner product with a vector is the
tolerance times its signs. Tried are, for every row and all value rows together, the signs of every update, of its
difference to the others, of random mixtures of updates, both ways, and then coordinate ascent over the signs of the
members of a mixture. Movement is held against the pay of the trainer or an equal share, the larger of both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cohort_protocol.learning.public_rows import COMMON_TOLERANCE, ROW_TOLERANCE
from cohort_protocol.learning.validation import validation_rows
from cohort_protocol.payout import pays
from cohort_protocol.rehearsal import Scenario, World
from cohort_protocol.rehearsal.judges import validation_round
from cohort_protocol.scoring import PublicVectors, evaluate_round
from cohort_protocol.scoring.default import DefaultPolicy

POOL = 10**18
LIMIT = 0.01
POLICY = DefaultPolicy()


def judged(partition: str, number: int):
    """A simulated round with its rows: (updates, past steps, vectors)."""
    world = World(Scenario(task="digits-mlp", partition=partition, honest=7, cheats=(("copy", 1),), rounds=8, seed=5))
    memory = (0,) * 8
    for _ in range(number):
        round = world.next_round()
        rows = validation_rows(validation_round(round, memory), POLICY)
        memory = rows.values
        evaluation = evaluate_round(round.updates, round.past_steps, POLICY, rows.vectors)
        world.apply(evaluation.step)
    return round.updates, round.past_steps, rows.vectors


def paid(updates, past_steps, vectors: PublicVectors) -> np.ndarray:
    outcome = evaluate_round(updates, past_steps, POLICY, vectors).outcome
    floor = POLICY.suggested_score_floor(len(updates))
    return np.array(pays(outcome.scores, outcome.reasons, POOL, floor, 4), float)


def shifted(vectors: PublicVectors, row: str, signs: np.ndarray, size: int) -> PublicVectors:
    """Vectors with `size` times signs added to one row, or to all value rows."""
    by = (signs * size).astype(np.int64)
    if row == "u0":
        return replace(vectors, trainable=vectors.trainable + by)
    first, second = {"0": (1, 0), "1": (0, 1), "both": (1, 1), "apart": (1, -1)}[row]
    whole, half, *others = vectors.values
    return replace(vectors, values=(whole + first * by, half + second * by, *others))


def directions(updates) -> list[np.ndarray]:
    rows = [update.astype(float) / max(1.0, float(np.linalg.norm(update))) for update in updates]
    total = sum(rows)
    random = np.random.default_rng(1)
    mixtures = [random.choice([-1, 1], len(rows)) @ np.stack(rows) for _ in range(8)]
    result = [*rows, *(row - (total - row) / (len(rows) - 1) for row in rows), *mixtures]
    return [sign * np.sign(vector) for vector in result for sign in (1, -1)]


def movement(before: np.ndarray, after: np.ndarray) -> float:
    return float((np.abs(after - before) / np.maximum(before, POOL / len(before))).max())


def worst(updates, past_steps, vectors, row: str, size: int) -> float:
    before = paid(updates, past_steps, vectors)
    found = [
        movement(before, paid(updates, past_steps, shifted(vectors, row, signs, size))) for signs in directions(updates)
    ]
    # From there, over the signs of the members of a mixture.
    rows = np.stack([update.astype(float) / max(1.0, float(np.linalg.norm(update))) for update in updates])
    best, members = 0.0, np.ones(len(rows))
    for place in range(len(rows)):
        flipped = members.copy()
        flipped[place] *= -1
        moved = movement(before, paid(updates, past_steps, shifted(vectors, row, np.sign(flipped @ rows), size)))
        if moved > best:
            best, members = moved, flipped
    return max(*found, best)


@pytest.fixture(scope="module", params=[("dirichlet-0.5", 2), ("iid-unequal", 6)], ids=["early", "late"])
def given(request):
    return judged(*request.param)


@pytest.mark.parametrize("row", ["0", "1", "both", "apart"])
def test_no_admissible_value_row_moves_a_pay_by_a_percent(given, row):
    assert worst(*given, row, ROW_TOLERANCE) <= LIMIT


def test_no_admissible_common_update_moves_a_pay_by_a_percent(given):
    assert worst(*given, "u0", COMMON_TOLERANCE) <= LIMIT


def test_the_search_finds_more_where_more_is_allowed(given):
    """So that the test above can fail."""
    assert worst(*given, "0", 2**22) > LIMIT
