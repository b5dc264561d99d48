"""Rounds with the default policy's answer, for a twin in another language.

    python -m tests.protocol.scoring.default_vectors      # writes tests/vectors/policies/default.json anew

Numbers are decimal strings. A case: parameters that differ from the defaults, the Gram matrix, n, the layout of the
public rows; expected: per row reason, score, weight, clip, group, and per player what the steps in between give.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from cohort_protocol.scoring import PublicVectors, evaluate_round
from cohort_protocol.scoring.default import DefaultParameters, DefaultPolicy, Evidence
from cohort_protocol.scoring.kernel.sources import whole
from cohort_protocol.scoring.outcome import PolicyOutcome

FILE = Path(__file__).parents[2] / "vectors" / "policies" / "default.json"


def text(value: Any) -> Any:
    """Integers as decimal strings, throughout."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, dict):
        return {key: text(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [text(each) for each in value]
    return value


def expected(outcome: PolicyOutcome) -> list[dict[str, Any]]:
    """What a twin must give."""
    return [
        text(
            {
                "reason": int(row.reason),
                "score": row.score,
                "weight": row.weight,
                "clip": row.clip,
                "group": list(row.group),
                "uncertainty": -1 if row.uncertainty is None else row.uncertainty,
                "figures": {figure.name: [figure.value, figure.limit] for figure in row.figures},
            }
        )
        for row in outcome.rows
    ]


def _round(seed: int, n: int, steps: int, common: bool, values: int, evidence: int = 1) -> dict[str, Any]:
    """A seeded round: what it teaches, what each one adds, a clone, a replay and an opposed row."""
    random = np.random.default_rng(seed)
    d = 64
    direction, past = random.standard_normal(d), random.standard_normal((max(1, steps), d))
    rows = [300 * (direction * random.uniform(0.2, 1) + random.standard_normal(d)) + 150 * past[0] for _ in range(n)]
    if n > 4:
        rows[1] = rows[0] + 20 * random.standard_normal(d)
        rows[2] = 500 * past[0]
        rows[3] = -rows[3] * 4
    if n > 6:
        rows[5] = 0 * rows[5]
        rows[6] = np.sign(rows[6]) * 32767
    updates = [np.clip(np.rint(row), -32768, 32767).astype(np.int16) for row in rows]

    def wide(vector: np.ndarray, scale: float) -> np.ndarray:
        return np.clip(np.rint(scale * vector), -(2**31), 2**31 - 1).astype(np.int64)

    noisy = [direction + 0.2 * k * random.standard_normal(d) for k in range(3)]
    pair = (wide(-noisy[0], 1e8), wide(-0.4 * noisy[0] + 0.1 * noisy[1], 1e8))
    vectors = PublicVectors(
        trainable=wide(random.standard_normal(d), 2e8) if common else None,
        values=tuple(wide(row, 1e8) for row in noisy[:values]),
        gradients=pair if evidence in (Evidence.CURVED, Evidence.LINEAR) else None,
        classes=(pair, (pair[1] // 2, pair[0] // 3)) if evidence == Evidence.CLASSES else (),
    )
    policy = DefaultPolicy(DefaultParameters(evidence=evidence, classes=2 if evidence == Evidence.CLASSES else 0))
    evaluation = evaluate_round(updates, [wide(step, 1e7) for step in past[:steps]], policy, vectors)
    assert all(whole(row).dtype == np.int64 for row in vectors.rows())
    changed = {
        name: value for name, value in asdict(policy.parameters).items() if value != getattr(DefaultParameters(), name)
    }
    return {
        "parameters": text(changed),
        "updates": str(n),
        "public": text(asdict(evaluation.public)),
        "gram": text([list(row) for row in evaluation.gram]),
        "expected": expected(evaluation.outcome),
    }


def cases() -> list[dict[str, Any]]:
    """Small and large rounds, with every kind of evidence."""
    made = [
        _round(1, 1, 0, False, 3),
        _round(2, 2, 1, False, 2),
        _round(3, 3, 2, True, 1),
        _round(4, 5, 5, True, 3),
        _round(5, 8, 5, True, 3),
        _round(6, 12, 3, False, 2),
        _round(7, 8, 5, True, 0, Evidence.CURVED),
        _round(8, 8, 2, True, 0, Evidence.LINEAR),
        _round(9, 9, 5, True, 0, Evidence.CLASSES),
        _round(10, 32, 5, True, 3),
        _round(11, 8, 5, True, 0),
        _round(12, 3, 0, False, 0),
        _round(13, 20, 5, True, 3),
    ]
    return made


def document() -> str:
    """The file's text."""
    return json.dumps({"policy": "default", "cases": cases()}, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(document())
