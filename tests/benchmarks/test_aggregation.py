"""The parts of the aggregation benchmark that decide what its numbers mean."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.scoring.kernel import native_status

from benchmarks.aggregation_inputs import Round, late_round
from benchmarks.aggregation_runs import krum_choice

ROOT = Path(__file__).resolve().parents[2]
ROUND = Round(10, 5000)


def measured(folder: Path, *arguments: str) -> dict:
    command = [sys.executable, "-m", "benchmarks.aggregation_runs", *arguments[:1], str(folder), *arguments[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("round")
    for row in range(ROUND.n):
        (path / f"row-{row}").write_bytes(ROUND.update(row).tobytes())
    return path


def test_a_round_is_the_same_every_time_and_its_last_rows_are_noisy():
    assert (ROUND.update(3) == ROUND.update(3)).all()
    assert (ROUND.update(3) != ROUND.update(4)).any()
    spread = [float(ROUND.update(row).std()) for row in range(10)]
    assert min(spread[8:]) > 2 * max(spread[:8])
    assert np.abs(late_round(10, 1000).update(9)).max() <= 3


def test_the_float32_reference_chooses_as_krum_is_defined():
    rows = np.random.default_rng(1).normal(size=(7, 30))
    rows[5:] *= 3
    distances = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    scores = [np.sort(np.delete(distances[a], a))[: 7 - 2 - 2].sum() for a in range(7)]
    assert krum_choice(rows @ rows.T, 2) == sorted(np.argsort(scores)[:5].tolist())


def test_every_kind_of_run_chooses_the_honest_and_the_kernels_agree(folder):
    kinds = ["numpy", "float32", *(["native"] if "native" in native_status() else [])]
    runs = {kind: measured(folder, kind, "10", "5000", "1") for kind in kinds}
    assert all(run["chosen"] == list(range(8)) for run in runs.values())
    streamed = {run["step"] for kind, run in runs.items() if kind != "float32"}
    in_memory = measured(folder, "numpy", "10", "5000", "2", "--memory", "--threads", "2")["step"]
    assert streamed == {in_memory}
    mean = sum(ROUND.update(row).astype(np.int64) for row in range(8)) * (65536 // 8)
    assert streamed == {hashlib.sha256(mean.tobytes()).hexdigest()}
