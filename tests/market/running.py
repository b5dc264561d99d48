"""`cohort demo` as a process, for tests that watch it, kill parts of it, and read what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from cohort_devnet.demo.parts import cohort
from cohort_devnet.demo.report import Report
from cohort_devnet.watchdog import processes_of_run

RUN_SECONDS = 480
SIZE = ("--settlement", "attested", "--rounds", "3", "--trainers", "5", "--cheaters", "2", "--seed", "7")
"""The attested market that the tests of this folder run: small, and every run of it must give the same models."""


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(0.05)


class DemoProcess:
    """One run. Use in a `with` statement: nothing of it survives."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.output = folder.with_suffix(".txt")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*cohort("demo", "--report", folder.name, *arguments)],
                cwd=folder.parent,  # relative, as people give it: the processes work in folders of their own
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    def __enter__(self) -> DemoProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def finish(self) -> int:
        """Waits for the end; the exit status."""
        return self.process.wait(RUN_SECONDS)

    def report(self) -> Report:
        return Report.load(self.folder / "report.json")

    def _file(self, name: str) -> dict:
        try:
            return json.loads((self.folder / "run" / name).read_text())
        except FileNotFoundError:
            return {}

    def addresses(self) -> dict:
        """Where the running market is; waits until it is there."""
        until(lambda: bool(self._file("addresses.json")) or self.process.poll() is not None, 180, "a project")
        assert self.process.poll() is None, self.text()
        return self._file("addresses.json")

    def processes(self) -> dict[str, dict]:
        return self._file("processes.json").get("processes", {})

    def run_id(self) -> str:
        return self._file("processes.json")["run"]

    def kill(self, name: str) -> None:
        """SIGKILL by name, then waits until the supervisor has started it again."""
        before = self.processes()[name]
        os.kill(before["pid"], signal.SIGKILL)

        def again() -> bool:
            now = self.processes()[name]
            return now["restarts"] > before["restarts"] and now["state"] == "running"

        until(again, 60, f"{name} to be started again")

    def left_behind(self) -> list[int]:
        """Processes of the run that still live."""
        return processes_of_run(self.run_id())


def run_cohort(*arguments: str) -> tuple[int, str]:
    """A `cohort` command to its end: exit status and output."""
    done = subprocess.run(
        [*cohort(*arguments)], capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "160"}
    )
    return done.returncode, done.stdout + done.stderr
