"""Seconds and memory of commitments, proofs and openings, on two threads.

Other work on the machine shows in the wall time and not in the CPU time; both are given. Proofs are made by processes
of their own on files, as the worker has them. Rows marked "curve library" are what an installation without a C
compiler, or a processor without AVX-512 IFMA, gives. The largest model is proven by the compiled prover alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

from cohort_devnet.node import repository_root
from cohort_protocol.proof.commitment import check_openings, commit
from cohort_protocol.proof.msm_native import without_extension
from cohort_protocol.proof.round_proof import RoundProof
from cohort_protocol.proof.srs import Srs
from cohort_protocol.proof.verifier import verify
from cohort_worker.proving.run_prover import COMPILED, find_prover
from cohort_worker.proving.work_folder import WorkFolder

from benchmarks.proof.inputs import SPREAD, Proved, make_round, srs_of, update
from benchmarks.table import Row

THREADS = 2
N = 20
SIZES = (1 << 16, 1 << 20)
QUICK_SIZES = (1 << 13, 1 << 16)
LARGEST = 1 << 22
"""For the compiled prover alone."""
WAYS: dict[str, Callable[[], AbstractContextManager[None]]] = {", curve library": without_extension, "": nullcontext}
"""Sums over points by the curve library, and by what there is."""


def run(quick: bool = False) -> list[Row]:
    """All rows. Goals are those of d = 2^20."""
    rows: list[Row] = []
    totals: dict[int, float] = {}
    compiled: dict[int, float] = {}
    for d in QUICK_SIZES if quick else SIZES:
        srs = srs_of(d)
        made = make_round(srs, N, d)
        goals = not quick and d == SIZES[-1]
        for name, way in WAYS.items():
            with way():
                rows += _commitments(srs, d, name, goals) + _openings(srs, made, d, name, goals)
        with tempfile.TemporaryDirectory(prefix="cohort-proof-") as home:
            folder = WorkFolder(Path(home) / "round")
            folder.prepare(made.statement, srs.path, made.rows)
            for name in WAYS:
                proved, totals[d] = _proof(srs, folder, made, d, name, goals)
                rows += proved
            found, compiled[d] = _compiled(srs, folder, made, d, goals)
            rows += found
    if not quick and _compiled_is_here():
        found, compiled[LARGEST] = _largest()
        rows += found
    return [*rows, *_linear("prove", totals), *_linear("compiled prover", compiled)]


def _linear(name: str, cpu: dict[int, float]) -> list[Row]:
    """CPU seconds per entry at each size against the one before."""
    sizes = [d for d in cpu if cpu[d]]
    return [
        Row(
            f"{name}, CPU per entry: d = {large} against d = {small}",
            cpu[large] / cpu[small] / (large / small),
            "ratio",
        )
        for small, large in pairwise(sizes)
    ]


def _largest() -> tuple[list[Row], float]:
    srs = srs_of(LARGEST)
    made = make_round(srs, N, LARGEST)
    with tempfile.TemporaryDirectory(prefix="cohort-proof-") as home:
        folder = WorkFolder(Path(home) / "round")
        folder.prepare(made.statement, srs.path, made.rows)
        return _compiled(srs, folder, made, LARGEST, False)


def _commitments(srs: Srs, d: int, way: str, goals: bool) -> list[Row]:
    rows = []
    for name, spread in ((f"entries of {SPREAD}", SPREAD), ("entries of the full range", 2**15)):
        vector = update(d, 0, spread)
        wall, cpu, _ = _timed(lambda vector=vector: commit(srs, vector, threads=THREADS))
        goal = 0.5 if goals and spread == SPREAD else None
        rows.append(Row(f"d={d}: commit one update, {name}{way}", wall, "s", goal=goal))
        rows.append(Row(f"d={d}: commit one update, {name}{way}, CPU", cpu, "s"))
    return rows


def _openings(srs: Srs, made: Proved, d: int, way: str, goals: bool) -> list[Row]:
    claims = list(zip(made.rows[:N], made.statement.commitments[:N], strict=True))
    wall, cpu, culprits = _timed(lambda: check_openings(srs, claims, threads=THREADS))
    if culprits:
        raise RuntimeError(f"openings {culprits} are called wrong")
    return [
        Row(f"d={d}: check of an opening, of {N} at once{way}", wall / N, "s", goal=1.0 if goals else None),
        Row(f"d={d}: check of an opening, of {N} at once{way}, CPU", cpu / N, "s"),
    ]


def _proof(srs: Srs, folder: WorkFolder, made: Proved, d: int, way: str, goals: bool) -> tuple[list[Row], float]:
    """Rows and CPU seconds."""
    command = [sys.executable, "-m", "benchmarks.proof.proving_run", str(folder.path), str(THREADS)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *(["library"] if way else [])],
        cwd=repository_root(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    proof = RoundProof.from_bytes(bytes.fromhex(found["proof"]))
    wall, _, _ = _timed(lambda: verify(made.statement, proof, srs.tau_g2))
    name, parts = f"d={d}, n={N}, p={made.statement.p}: prove{way}", found["parts"]
    cpu = sum(part["cpu"] for part in parts.values())
    rows = [
        Row(name, sum(part["wall"] for part in parts.values()), "s", goal=20.0 if goals else None),
        Row(f"{name}, CPU", cpu, "s"),
        Row(f"{name}, peak memory", max(part["peak"] for part in parts.values()) - found["before"], "MiB"),
    ]
    for part, spent in parts.items():
        rows.append(Row(f"{name}: {part}", spent["wall"], "s"))
        rows.append(Row(f"{name}: {part}, CPU", spent["cpu"], "s"))
        rows.append(Row(f"{name}: {part}, memory", spent["peak"] - found["before"], "MiB"))
    return [*rows, Row(f"d={d}: reference verifier{way}", wall, "s")], cpu


def _compiled_is_here() -> bool:
    return find_prover("auto").name == COMPILED


def _compiled(srs: Srs, folder: WorkFolder, made: Proved, d: int, goals: bool) -> tuple[list[Row], float]:
    """Rows and CPU seconds of the compiled prover, where it was built. There is one proof for a statement, so that one
    which verifies is the Python prover's."""
    if not _compiled_is_here():
        return [], 0.0
    folder.proof_file.unlink(missing_ok=True)
    started = time.perf_counter()
    environment = {**os.environ, "GOMAXPROCS": str(THREADS)}
    with subprocess.Popen(
        [*find_prover("auto").command, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - started
    proof = folder.proof()
    if process.returncode or proof is None:
        raise RuntimeError(f"the compiled prover ended with {process.returncode} and without a proof")
    verify(made.statement, RoundProof.from_bytes(proof), srs.tau_g2)
    name, cpu = f"d={d}, n={N}, p={made.statement.p}: compiled prover", used.ru_utime + used.ru_stime
    return [
        Row(name, wall, "s", goal=5.0 if goals else None),
        Row(f"{name}, CPU", cpu, "s"),
        Row(f"{name}, peak memory", used.ru_maxrss / 1024, "MiB"),
    ], cpu


def _timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """(wall seconds, CPU seconds, result), after a first call that loads what is loaded once."""
    call()
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - cpu, result
