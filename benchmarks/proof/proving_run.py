"""One measurement in a process of its own, so that its memory is its own: prints one JSON object.

python -m benchmarks.proof.proving_run FOLDER THREADS [library]

library: sums over points by the curve library alone.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from cohort_protocol.proof.msm_native import without_extension
from cohort_protocol.proof.prover import prove
from cohort_protocol.proof.srs import open_srs
from cohort_worker.proving.work_folder import WorkFolder


class Meter:
    """Wall seconds, CPU seconds and peak memory from one mark to the next."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, float]] = {}
        self._name = ""
        self._start()

    def mark(self, name: str) -> None:
        """A part ends, another begins."""
        if self._name:
            self.parts[self._name] = {
                "wall": time.perf_counter() - self._wall,
                "cpu": time.process_time() - self._cpu,
                "peak": peak_mib(),
            }
        self._name = name
        self._start()

    def _start(self) -> None:
        _forget_peak()
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def peak_mib() -> float:
    """Largest resident memory since `_forget_peak`, MiB, the pages of the mapped string included; 0 where the system
    does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def main() -> None:
    folder, threads = WorkFolder(Path(sys.argv[1])), int(sys.argv[2])
    task = folder.task()
    srs = open_srs(task.srs, task.dimension)
    statement = task.statement()
    meter = Meter()
    before = peak_mib()
    with without_extension() if sys.argv[3:] == ["library"] else nullcontext():
        proof = prove(srs, statement, folder.rows(task), lambda part, share: meter.mark(part), threads=threads)
    meter.mark("")
    print(json.dumps({"before": before, "parts": meter.parts, "proof": proof.to_bytes().hex()}))


if __name__ == "__main__":
    main()
