"""Starts a prover on a work folder, follows it, and ends it with whoever asked for the proof."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cohort_protocol.errors import InvalidInput

from cohort_worker.proving.work_folder import ProverFailed, WorkFolder, parse_progress

COMPILED = "cohort-prover"
"""The compiled prover's command, taken where it is found."""

MAX_WORDS = 2000
POLL_SECONDS = 0.2

Progress = Callable[[int, int, str], None]
"""Is told (part, parts, what it does)."""


class ProverMissing(InvalidInput):
    """The settings name a prover that is not there."""

    code = "prover-missing"


@dataclass(frozen=True)
class Prover:
    """A command that proves."""

    name: str
    command: tuple[str, ...]


def find_prover(setting: str) -> Prover:
    """`auto`: the compiled prover if it is installed beside this Python or on the PATH, else Python's. `python`: that.
    Else the path of another one.

    Raises `ProverMissing`."""
    if setting in ("auto", "python"):
        beside = Path(sys.executable).with_name(COMPILED)  # where `make prover` puts it
        compiled = (shutil.which(str(beside)) or shutil.which(COMPILED)) if setting == "auto" else None
        if compiled is not None:
            return Prover(COMPILED, (compiled,))
        return Prover("python", (sys.executable, "-m", "cohort_worker.proving.python_prover"))
    found = shutil.which(setting)
    if found is None:
        raise ProverMissing(
            f"COHORT_PROVER names {setting}, which is no program here: build it, or set `python` or `auto`"
        )
    return Prover(Path(found).name, (found,))


def run_prover(
    prover: Prover, folder: WorkFolder, memory_mb: int | None, progress: Progress, stopping: threading.Event
) -> bytes | None:
    """The proof's bytes; None if `stopping` was set before it was there. What is there already is not made again.

    memory_mb: most address space of the prover, in MiB. Raises `ProverFailed`."""
    done = folder.proof()
    if done is not None:
        return done
    with subprocess.Popen(
        [*prover.command, str(folder.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        try:
            _limit_memory(process.pid, memory_mb)
            words: list[str] = []
            readers = [
                threading.Thread(target=_follow, args=(process.stdout, progress), daemon=True),
                threading.Thread(target=_keep, args=(process.stderr, words), daemon=True),
            ]
            for reader in readers:
                reader.start()
            while process.poll() is None:
                if stopping.wait(POLL_SECONDS):
                    return None
            for reader in readers:
                reader.join()
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode != 0:
        raise ProverFailed(f"{prover.name} {_ending(process.returncode)}: {''.join(words).strip()[-MAX_WORDS:]}")
    done = folder.proof()
    if done is None:
        raise ProverFailed(f"{prover.name} ended well and left no proof in {folder.path}")
    return done


def _limit_memory(pid: int, memory_mb: int | None) -> None:
    """Where the system can limit another process (Linux)."""
    if memory_mb is not None and hasattr(resource, "prlimit"):
        limit = memory_mb * 2**20
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


def _follow(lines: IO[str], progress: Progress) -> None:
    for line in lines:
        found = parse_progress(line)
        if found is not None:
            progress(*found)


def _keep(lines: IO[str], words: list[str]) -> None:
    """The end of what it says."""
    for line in lines:
        words.append(line)
        del words[:-50]


def _ending(status: int) -> str:
    if status < 0:
        name = signal.Signals(-status).name
        more = " (out of memory?)" if -status == signal.SIGKILL else ""
        return f"was ended by {name}{more}"
    return f"ended with status {status}"
