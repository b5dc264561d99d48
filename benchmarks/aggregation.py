"""Processor time and memory of aggregating a round, beside Flower and a well-written float32 Gram matrix.

    python -m benchmarks.aggregation [--quick] [--json FILE] [--folder DIR]

Multi-Krum on the same rounds (a fifth of the trainers noisy). Ours is `evaluate_round` with the policy `multi-krum`:
Gram matrix, distances, choice and the exact sum of the chosen. Flower's is what its server calls when all replies are
there: `MultiKrum` of its message API, which computes distances by one matrix product, and the older `Krum` with clients
to keep, which computes them pair by pair. Both sides are given the same twice: updates in memory (ours int16, Flower's
replies float32), and updates in files that the system has cached, which both read in the measured time (ours block by
block, Flower the arrays of its replies). No side hashes or receives anything. Flower runs in an environment of its
own, `.cohort/flower`, made when it is missing (`benchmarks/flower/requirements.lock`); where it cannot be installed its
rows are left out, and that is said.

Every measurement is a process of its own, the best of several repeats. Seconds are processor time (user and system) on
one thread, which other work on the machine hardly changes; "all cores" is time by the clock with as many threads as
there are cores, for both sides. Peak memory is the whole process's, interpreter and libraries included.

The small-update rows are a round late in training: updates of a unit of 2^-14 on weights that are not small. Distances
computed in float32 from |x|^2 + |y|^2 - 2 xy lose the difference between honest and noisy trainers there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from cohort_protocol.scoring.kernel import native_status

from benchmarks.aggregation_inputs import Round, late_round
from benchmarks.table import Row, print_table, write_json

ROOT = Path(__file__).resolve().parent.parent
FLOWER = ROOT / ".cohort" / "flower"
LOCK = Path(__file__).with_name("flower") / "requirements.lock"

NATIVE_GOAL, NUMPY_GOAL = 30.0, 5.0
"""Times as fast as Flower's Multi-Krum."""
MEMORY_GOAL_MB = 200.0
SMALL_DIMENSION, LARGE_DIMENSION = 1_000_000, 11_200_000
STRATEGIES = ("fedavg", "median", "trimmed-avg", "bulyan")
PAST_STEPS = 5
MAX_THREADS = 16
COPIES = {"fedavg": 2.5, "median": 2.5, "trimmed-avg": 2.5, "multi-krum": 3.6, "multi-krum-classic": 4.2, "bulyan": 4.2}
"""What Flower holds, in sizes of the round as float32 (measured): its replies, their matrix, its temporaries."""
FREE_PART = 0.5
"""Of the free memory a measurement may take so much: others work on this machine too."""
LONGEST_S = 1500


@dataclass(frozen=True)
class Bench:
    """Where rounds lie and what can be run."""

    folder: Path
    flower: Path | None
    """Flower's Python; None where it is not to be had."""
    quick: bool

    def files(self, round_: Round, distinct: int | None = None) -> Path:
        """The folder with the updates of a round as raw files; `distinct`: so many, linked again and again."""
        folder = self.folder / f"{round_.n}-{round_.dimension}-{round_.noise}-{distinct or round_.n}"
        folder.mkdir(exist_ok=True)
        for row in range(round_.n):
            path = folder / f"row-{row}"
            if path.exists():
                continue
            if distinct is not None and row >= distinct:
                os.link(folder / f"row-{row % distinct}", path)
            else:
                path.write_bytes(round_.update(row).tobytes())
        return folder

    def ours(self, kind: str, folder: Path, round_: Round, repeats: int, *more: str) -> dict:
        """A run of `aggregation_runs`."""
        command = [sys.executable, "-m", "benchmarks.aggregation_runs", kind, str(folder)]
        return _run([*command, str(round_.n), str(round_.dimension), str(repeats), *more])

    def flowers(
        self, strategy: str, round_: Round, repeats: int, threads: int = 1, *, files: bool = False
    ) -> dict | None:
        """A run of Flower; None, with a word about it, where it cannot be. files: it reads its replies from files."""
        if self.flower is None:
            return None
        needed = COPIES[strategy] * 4 * round_.n * round_.dimension
        if needed > FREE_PART * psutil.virtual_memory().available:
            print(f"Flower's {strategy} with n={round_.n}, d={round_.dimension:,} is left out: {needed / 1e9:.0f} GB")
            return None
        numbers = [round_.n, round_.dimension, round_.direction, round_.noise, round_.louder, repeats]
        command = [str(self.flower), "-m", "benchmarks.flower.measure", strategy, *map(str, numbers)]
        if not files:
            return _run(command, threads)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            return _run([*command, folder], threads)


def _run(command: list[str], threads: int = 1) -> dict:
    """The JSON that a measuring process prints. threads: of its linear algebra; Cohort's own come on top."""
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    done = subprocess.run(command, cwd=ROOT, env=os.environ | limits, capture_output=True, text=True, timeout=LONGEST_S)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def flower_python() -> Path | None:
    """Flower's environment, made if it is missing or of another lock file; None if it cannot be made."""
    python, stamp = FLOWER / "bin" / "python", FLOWER / "lock"
    if python.exists() and stamp.exists() and stamp.read_bytes() == LOCK.read_bytes():
        return python
    print("Making Flower's environment in .cohort/flower (about a minute)", flush=True)
    shutil.rmtree(FLOWER, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    for command in ([sys.executable, "-m", "venv", str(FLOWER)], [*install, "-r", str(LOCK)]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            print(f"Flower cannot be installed here, its rows are left out: {done.stderr.strip()[-300:]}")
            return None
    shutil.copy(LOCK, stamp)
    return python


def kernels() -> dict[str, str]:
    """Kind of run by the name that rows give it."""
    return {"kernel": "native", "numpy": "numpy"} if "native" in native_status() else {"numpy": "numpy"}


def time_rows(bench: Bench, round_: Round) -> list[Row]:
    """Seconds, ratios and peak memory at one size."""
    at, folder = f"n={round_.n} d={_short(round_.dimension)}", bench.files(round_)
    large = round_.n * round_.dimension > 50e6
    repeats, flowers = (3, 2) if large else (15, 4)
    files = {name: bench.ours(kind, folder, round_, repeats) for name, kind in kernels().items()}
    memory = {name: bench.ours(kind, folder, round_, repeats, "--memory") for name, kind in kernels().items()}
    if len({(run["step"], tuple(run["chosen"])) for run in [*files.values(), *memory.values()]}) != 1:
        sys.exit(f"{at}: the kernels disagree: {files} {memory}")
    krums = {
        "Multi-Krum, both from memory": (memory, bench.flowers("multi-krum", round_, flowers)),
        "Multi-Krum, both from files": (files, bench.flowers("multi-krum", round_, flowers, files=True)),
        "older Multi-Krum, both from memory": (memory, bench.flowers("multi-krum-classic", round_, 1)),
    }
    rows = []
    for flower, (runs, krum) in krums.items():
        for name, run in runs.items() if krum is not None else ():
            goal = NATIVE_GOAL if name == "kernel" else NUMPY_GOAL
            ratio = krum["seconds"] / run["seconds"]
            rows.append(Row(f"{at}: {name}, times as fast as Flower's {flower}", ratio, "x", None, goal, False))
        if krum is not None:
            rows.append(Row(f"{at}: Flower's {flower}", krum["seconds"], "s"))
            rows.append(Row(f"{at}: peak memory of Flower's {flower}", krum["peak_mb"], "MB"))
    return rows + own_rows(bench, round_, files, memory)


def own_rows(bench: Bench, round_: Round, files: dict[str, dict], memory: dict[str, dict]) -> list[Row]:
    """Seconds and memory of Cohort at one size, beside the float32 Gram and the other strategies of Flower."""
    at, folder = f"n={round_.n} d={_short(round_.dimension)}", bench.files(round_)
    large = round_.n * round_.dimension > 50e6
    float32, rows = bench.ours("float32", folder, round_, 1 if large else 3), []
    for name, run in memory.items():
        rate = round_.n * (round_.n + 1) / 2 * round_.dimension / run["seconds"] / 1e9
        rows.append(Row(f"{at}: {name}, from memory (anchor: float32 Gram)", run["seconds"], "s", float32["seconds"]))
        rows.append(Row(f"{at}: {name}, products of numbers, all of its time counted", rate, "10^9/s"))
    for name, run in files.items():
        rows.append(Row(f"{at}: {name}, from files", run["seconds"], "s"))
        rows.append(Row(f"{at}: {name}, from files, peak memory", run["peak_mb"], "MB", None, MEMORY_GOAL_MB))
    rows.append(Row(f"{at}: peak memory of the float32 Gram", float32["peak_mb"], "MB"))
    best = next(iter(memory))
    for strategy in () if bench.quick and large else STRATEGIES:
        other = bench.flowers(strategy, round_, 1)
        if other is not None:
            name = f"{at}: {best}, from memory (anchor: Flower's {strategy})"
            rows.append(Row(name, memory[best]["seconds"], "s", other["seconds"]))
            rows.append(Row(f"{at}: peak memory of Flower's {strategy}", other["peak_mb"], "MB"))
    return rows


def clock_rows(bench: Bench, round_: Round) -> list[Row]:
    """By the clock, each side on all cores, updates in memory."""
    cores = min(MAX_THREADS, os.cpu_count() or 1)
    at, folder, rows = f"n={round_.n} d={_short(round_.dimension)}, {cores} cores", bench.files(round_), []
    krum = bench.flowers("multi-krum", round_, 3, cores)
    for name, kind in kernels().items():
        run = bench.ours(kind, folder, round_, 7, "--memory", "--threads", str(cores))
        if krum is not None:
            ratio, goal = krum["wall"] / run["wall"], NATIVE_GOAL if name == "kernel" else NUMPY_GOAL
            rows.append(Row(f"{at}: {name}, times as fast as Flower's Multi-Krum", ratio, "x", None, goal, False))
        anchor = krum["wall"] if krum is not None else None
        rows.append(Row(f"{at}: {name}, by the clock (anchor: Flower's Multi-Krum)", run["wall"], "s", anchor))
        streamed = bench.ours(kind, folder, round_, 1, "--threads", str(cores))
        rows.append(Row(f"{at}: {name}, from files, peak memory", streamed["peak_mb"], "MB", None, MEMORY_GOAL_MB))
    return rows


def memory_rows(bench: Bench) -> list[Row]:
    """Peak memory at the large dimension, from a few files that stand for all rows."""
    rows = []
    for n in (20, 100) if bench.quick else (20, 100, 400):
        round_ = Round(n, LARGE_DIMENSION)
        for name, kind in kernels().items():
            run = bench.ours(kind, bench.files(round_, distinct=4), round_, 1)
            rows.append(Row(f"n={n} d=1.12e7: {name}, peak memory", run["peak_mb"], "MB", None, MEMORY_GOAL_MB))
            if bench.quick:
                break
    return rows


def past_rows(bench: Bench, round_: Round) -> list[Row]:
    """The peer policy, whose Gram matrix holds five past steps (wide rows, two limbs each)."""
    folder = bench.files(round_)
    for row in range(PAST_STEPS):
        past = np.random.default_rng(row).integers(-(2**30), 2**30, round_.dimension)
        (folder / f"past-{row}").write_bytes(past.tobytes())
    more, rows = ("--policy", "peer", "--past", str(PAST_STEPS)), []
    at = f"n={round_.n} d={_short(round_.dimension)}"
    for name, kind in kernels().items():
        run = bench.ours(kind, folder, round_, 5, *more)
        rows.append(Row(f"{at}: {name}, peer policy with {PAST_STEPS} past steps", run["seconds"], "s"))
        rows.append(Row(f"{at}: {name}, the same, peak memory", run["peak_mb"], "MB", None, MEMORY_GOAL_MB))
    return rows


def rejection_rows(bench: Bench) -> list[Row]:
    """Noisy trainers among those that Multi-Krum chooses, late in training."""
    rows = []
    for n in (20, 100):
        round_ = late_round(n, SMALL_DIMENSION)
        folder, noisy = bench.files(round_), set(range(n - round_.hostile, n))

        def taken(run: dict, noisy: set[int] = noisy) -> int:
            return len(noisy & set(run["chosen"]))

        at = f"small updates, n={n}, {len(noisy)} noisy: chosen by"
        float32 = bench.ours("float32", folder, round_, 1, "--weights")
        krum = bench.flowers("multi-krum", round_, 1)
        for name, kind in kernels().items():
            run = bench.ours(kind, folder, round_, 1)
            rows.append(
                Row(f"{at} {name} (anchor: Flower's Multi-Krum)", taken(run), "rows", taken(krum) if krum else None, 0)
            )
        rows.append(Row(f"{at} a float32 Gram of the weights", taken(float32), "rows"))
        rows.append(Row(f"{at} a float32 Gram of the updates", taken(bench.ours("float32", folder, round_, 1)), "rows"))
    return rows


def _short(dimension: int) -> str:
    return f"{dimension:.3g}".replace("e+0", "e")


def main() -> int:
    options = _options()
    print(f"scoring kernel: {native_status()}; load average {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="cohort-aggregation-", dir=options.folder) as folder:
        bench = Bench(Path(folder), flower_python(), options.quick)
        rows = rejection_rows(bench)
        for dimension in (SMALL_DIMENSION,) if options.quick else (SMALL_DIMENSION, LARGE_DIMENSION):
            for n in (20, 100):
                rows += time_rows(bench, Round(n, dimension))
            rows += clock_rows(bench, Round(20, dimension))
        rows += past_rows(bench, Round(20, SMALL_DIMENSION))
        rows += memory_rows(bench)
    print_table("Aggregating a round: processor time on one thread, where nothing else is said", rows)
    if options.json:
        write_json(options.json, rows)
    return 0 if all(row.met is not False for row in rows) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="d = 1.12e7 for memory only, fewer anchors")
    parser.add_argument("--json", type=Path, help="also write the rows here")
    parser.add_argument("--folder", type=Path, help="for the rounds' files (up to 8 GB)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
