"""One aggregation of our own, or of the float32 reference, in a process of its own.

    python -m benchmarks.aggregation_runs {native,numpy,float32} FOLDER N DIMENSION REPEATS
        [--memory] [--threads T] [--policy NAME] [--past P] [--weights]

Reads N files of raw int16 updates in FOLDER (row-0, row-1, ...), and `past-0`, ... of int64. Prints JSON: seconds
(processor time) and wall (by the clock), the best of the repeats, peak_mb, chosen (the rows with weight), step (sha256
of the result).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.aggregation_inputs import EXPONENT, Round, peak_mb

BLOCK = 1 << 14
"""Columns at a time of the float32 reference."""


def main() -> None:
    options = _options()
    aggregate = float32_round(options) if options.kind == "float32" else cohort_round(options)
    seconds, wall, step = [], [], np.empty(0)
    for _ in range(options.repeats):
        del step  # as long as the model: two of them would count
        started, clock = time.process_time(), time.perf_counter()
        chosen, step = aggregate()
        seconds.append(time.process_time() - started)
        wall.append(time.perf_counter() - clock)
    peak = peak_mb()
    digest = hashlib.sha256(step.data).hexdigest()
    times = {"seconds": min(seconds), "wall": min(wall)}
    print(json.dumps(times | {"peak_mb": peak, "chosen": chosen, "step": digest}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["native", "numpy", "float32"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("dimension", type=int)
    parser.add_argument("repeats", type=int)
    parser.add_argument("--memory", action="store_true", help="updates as arrays in memory instead of files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--policy", default="multi-krum")
    parser.add_argument("--past", type=int, default=0, help="past steps among the rows")
    parser.add_argument("--weights", action="store_true", help="float32: compare weights instead of updates")
    return parser.parse_args()


def cohort_round(options: argparse.Namespace) -> Callable[[], tuple[list[int], np.ndarray]]:
    """The whole of `evaluate_round`: both passes and the policy."""
    from cohort_protocol.scoring import evaluate_round, policy_by_name
    from cohort_protocol.scoring.kernel import FileRow, NativeKernel, NumpyKernel, whole

    kernel = NativeKernel() if options.kind == "native" else NumpyKernel()
    rows = [FileRow(options.folder / f"row-{row}", options.dimension) for row in range(options.n)]
    given = [whole(row) for row in rows] if options.memory else rows
    past = [FileRow(options.folder / f"past-{row}", options.dimension, np.int64) for row in range(options.past)]
    policy = policy_by_name(options.policy, {"byzantine_bps": 2000} if options.policy == "multi-krum" else {})

    def aggregate() -> tuple[list[int], np.ndarray]:
        result = evaluate_round(given, past, policy, threads=options.threads, kernel=kernel)
        return [row for row, weight in enumerate(result.outcome.weights) if weight], result.step

    return aggregate


def float32_round(options: argparse.Namespace) -> Callable[[], tuple[list[int], np.ndarray]]:
    """Multi-Krum as one would write it well with floats: rows in one matrix, float32 products block by block in cache,
    added in float64, distances by |x|^2 + |y|^2 - 2 xy, the mean of those chosen."""
    round_ = Round(options.n, options.dimension)
    rows = np.empty((options.n, options.dimension), np.float32)
    model = round_.model() if options.weights else None
    for row in range(options.n):
        rows[row] = np.fromfile(options.folder / f"row-{row}", "<i2")
        rows[row] *= np.float32(2.0**EXPONENT)
        if model is not None:
            rows[row] += model

    def aggregate() -> tuple[list[int], np.ndarray]:
        gram = np.zeros((options.n, options.n))
        for start in range(0, options.dimension, BLOCK):
            part = np.ascontiguousarray(rows[:, start : start + BLOCK])
            gram += part @ part.T
        chosen = krum_choice(gram, round_.hostile)
        step = np.empty(options.dimension, np.float32)
        for start in range(0, options.dimension, BLOCK):
            step[start : start + BLOCK] = rows[chosen, start : start + BLOCK].mean(axis=0)
        return chosen, step

    return aggregate


def krum_choice(gram: np.ndarray, hostile: int) -> list[int]:
    """The n - f rows with the smallest sums of squared distances to their n - f - 2 nearest (Blanchard et al., NeurIPS
    2017)."""
    n, norms = len(gram), np.diag(gram)
    distances = norms[:, None] + norms[None, :] - 2 * gram
    np.fill_diagonal(distances, 0)
    nearest = np.sort(distances, axis=1)[:, 1 : n - hostile - 1]
    return sorted(np.argsort(nearest.sum(axis=1), kind="stable")[: n - hostile].tolist())


if __name__ == "__main__":
    main()
