"""A kept chain state, served for as long as it is read: `cohort devnet show` as a child process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

from cohort_trainer.auditing.errors import ChainNotShown

STOP_SECONDS = 15.0
MAX_SAID = 4000
_URL = re.compile(r"chain\s+(http://127\.0\.0\.1:\d+)\b")


class KeptChain:
    """A context manager. The state is read, never changed; the child ends with this process, however that ends.

    Raises `ChainNotShown` with the child's words if the chain cannot be shown."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._process: subprocess.Popen[str] | None = None
        self._said: list[str] = []

    def __enter__(self) -> Self:
        if not os.path.isfile(self._state):  # `Path.is_file` raises for a name that is too long
            raise ChainNotShown(f"there is no chain state at {self._state}: name the chain-state.json of a run")
        command = [sys.executable, "-m", "cohort_trainer.cli", "devnet", "show", str(self._state), "--attached"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.url = self._wait_for_url()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _listen(self) -> None:
        """Keeps the child's errors, so that it never waits for a reader."""
        stream = self._process.stderr if self._process is not None else None
        for line in stream or ():
            self._said = [*self._said, line][-20:]

    def _wait_for_url(self) -> str:
        process = self._process
        for line in (process.stdout if process is not None else None) or ():
            found = _URL.search(line)
            if found is not None:
                return found[1]
        raise ChainNotShown(
            f"the chain of {self._state} cannot be shown: {''.join(self._said)[-MAX_SAID:].strip() or 'no word why'}"
        )

    def __exit__(self, *exception: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()  # what it waits for
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
