"""The compiled prover gives the same bytes as the one in Python. Skipped where there is no Go to build it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.proof.prover import prove
from cohort_worker.proving.run_prover import Prover, run_prover
from cohort_worker.proving.work_folder import ProverFailed, WorkFolder

from tests.protocol.proof.rounds import LAYOUTS, Round, make_round, srs_of, statement_of

SOURCES = Path(__file__).parents[3] / "protocol" / "prover"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Prover:
    """Built from the sources, with the modules that their lock names."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed, so the compiled prover cannot be built here")
    program = tmp_path_factory.mktemp("prover") / "cohort-prover"
    built = subprocess.run(
        ["go", "build", "-trimpath", "-o", str(program), "."], cwd=SOURCES, capture_output=True, text=True, timeout=600
    )
    if built.returncode and "dial tcp" in built.stderr:
        pytest.skip(f"the modules of the compiled prover cannot be fetched here: {built.stderr[:200]}")
    assert built.returncode == 0, built.stderr
    return Prover("cohort-prover", (str(program),))


def test_its_own_tests(compiled: Prover) -> None:
    """Sums over points, with and without the C part."""
    for setting in ({}, {"CGO_ENABLED": "0"}):
        environment = {**os.environ, **setting}
        done = subprocess.run(["go", "test", "./..."], cwd=SOURCES, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def proven(prover: Prover, folder: WorkFolder, made: Round) -> tuple[bytes | None, list[tuple[int, int, str]]]:
    folder.prepare(made.statement, srs_of(max(2, 1 << (made.statement.dimension - 1).bit_length())).path, made.rows)
    told: list[tuple[int, int, str]] = []
    proof = run_prover(prover, folder, None, lambda *part: told.append(part), threading.Event())
    return proof, told


@pytest.mark.parametrize(
    ("n", "p", "d"), [(1, 0, 1), (1, 0, 2), (2, 1, 3), (8, 0, 64), (20, 9, 1000), (32, 9, 4096), (3, 1, 65_537)]
)
def test_same_bytes(compiled: Prover, tmp_path: Path, n: int, p: int, d: int) -> None:
    made = make_round(n, p, d)
    srs = srs_of(max(2, 1 << (d - 1).bit_length()))
    proof, told = proven(compiled, WorkFolder(tmp_path / "round"), made)
    assert proof == prove(srs, made.statement, made.rows).to_bytes()
    assert [part for part, _, _ in told] == list(range(1, told[0][1] + 1))


def test_extremes_have_the_same_bytes(compiled: Prover, tmp_path: Path) -> None:
    """All entries as large as they may be, of both signs, so that sums of products are at their largest."""
    rows = [np.full(50, sign * 2**15 - (sign > 0), np.int16) for sign in (1, -1) * 16]
    rows += [np.full(50, sign * (2**31 - 1), np.int64) for sign in (1, -1, 1, 1, -1, -1, 1, -1, 1)]
    made = Round(statement_of(rows, (2048,) * 32, LAYOUTS[9]), rows)
    proof, _ = proven(compiled, WorkFolder(tmp_path / "round"), made)
    assert proof == prove(srs_of(64), made.statement, made.rows).to_bytes()


def test_bad_folders_end_with_words(compiled: Prover, tmp_path: Path) -> None:
    made = make_round(2, 1, 64)
    folder = WorkFolder(tmp_path / "round")
    folder.prepare(made.statement, srs_of(64).path, made.rows)
    (folder.path / "row-01").write_bytes(b"\0" * 127)
    with pytest.raises(ProverFailed, match="127 bytes, 64 entries"):
        proven(compiled, folder, made)
    (folder.path / "row-01").write_bytes(b"\0" * 128)
    (folder.path / "row-02").write_bytes(b"\xff" * 3 + b"\x7f" + b"\1" * 4 + b"\0" * 504)
    with pytest.raises(ProverFailed, match="entry 0 is not within 32 bits"):
        proven(compiled, folder, made)
    (folder.path / "row-02").unlink()
    with pytest.raises(ProverFailed, match="no such file"):
        proven(compiled, folder, made)


def test_ends_with_whoever_started_it(compiled: Prover, tmp_path: Path) -> None:
    made = make_round(2, 1, 65_537)
    folder = WorkFolder(tmp_path / "round")
    folder.prepare(made.statement, srs_of(131_072).path, made.rows)
    done = subprocess.run([*compiled.command, str(folder.path)], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 3, done.stderr
    assert folder.proof() is None
