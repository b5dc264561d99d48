"""The prover that every installation has: `python -m cohort_worker.proving.python_prover FOLDER`, see `work_folder`.

A process of its own, so that it has a memory limit of its own, does not hold up the worker's threads, and can be ended
at any point.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from cohort_protocol.errors import CohortError
from cohort_protocol.proof.prover import PARTS, prove
from cohort_protocol.proof.srs import open_srs

from cohort_worker.proving.work_folder import WorkFolder, progress_line


def main(arguments: list[str]) -> int:
    """The exit status."""
    if len(arguments) != 1:
        print("usage: python -m cohort_worker.proving.python_prover FOLDER", file=sys.stderr)
        return 2
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = WorkFolder(Path(arguments[0]))
    try:
        task = folder.task()
        srs = open_srs(task.srs, task.dimension)
        proof = prove(srs, task.statement(), folder.rows(task), progress=_tell)
        folder.write_whole(folder.proof_file, proof.to_bytes())
    except CohortError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print("out of memory: allow the prover more with COHORT_PROVER_MEMORY_MB", file=sys.stderr)
        return 1
    return 0


def _tell(part: str, share: float) -> None:
    names = list(PARTS)
    print(progress_line(names.index(part) + 1, len(names), part), flush=True)


def _end_with_parent() -> None:
    """Standard input is a pipe that the worker never writes to: its end is the worker's."""
    while os.read(0, 1):  # not through sys.stdin, whose lock would be missed when the interpreter ends
        pass
    os._exit(3)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
