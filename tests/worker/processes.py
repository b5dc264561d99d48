"""Runs `cohort worker` and `cohort witness run` as the processes that they are, and ends them by pid."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cohort_backend.jobs.models import Job
from pydantic import SecretStr
from sqlalchemy import select

from tests.worker.stage import Stage, wait_until, write_keystore

COHORT = [sys.executable, "-m", "cohort_trainer.cli"]


class Running:
    """A child process with its log (JSON lines)."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*COHORT, *arguments],
                env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def events(self, name: str | None = None) -> list[dict]:
        """What it has logged so far."""
        found = []
        for line in self.log.read_text().splitlines():
            if line.startswith("{"):
                event = json.loads(line)
                if name is None or event.get("event") == name:
                    found.append(event)
        return found

    def wait_for(self, name: str, count: int = 1, seconds: float = 30) -> list[dict]:
        """The events of a name, once there are `count`."""

        def there() -> list[dict]:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.tail()}"
            found = self.events(name)
            return found if len(found) >= count else []

        return wait_until(there, seconds, lambda: f"{count} x {name} in the log:\n{self.tail()}")

    def tail(self) -> str:
        return self.log.read_text()[-4000:]

    def kill(self) -> None:
        """SIGKILL: nothing is cleaned up by the process itself."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode


def picture(stage: Stage) -> str:
    """What the stage's processes have logged and which jobs there are: for the message of a test that fails."""
    logs = "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in sorted(stage.home.glob("*.log")))
    with stage.database.read() as session:
        columns = ("id", "kind", "key", "state", "attempts", "run_after", "sent_at", "lease_owner", "last_error")
        found = [{name: getattr(job, name) for name in columns} for job in session.scalars(select(Job))]
    return "\n".join([logs, *map(str, found), f"now {time.time()}"])


def freeze(process: Running, stage: Stage) -> None:
    """SIGSTOP at a moment when the process does not hold the database's write lock: what it has taken from the broker
    then dies with it, and nobody else has to wait."""
    file = stage.database.file
    assert file is not None
    while True:
        os.kill(process.process.pid, signal.SIGSTOP)
        # The signal arrives some time after the call; until then the process could still take the lock.
        os.waitid(os.P_PID, process.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        connection = sqlite3.connect(file, timeout=0.1, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            os.kill(process.process.pid, signal.SIGCONT)
            time.sleep(0.02)
        finally:
            connection.close()


def worker_environment(stage: Stage, **changes: object) -> dict[str, str]:
    """The settings of the stage's worker as environment."""
    found = {}
    for name, value in stage.settings(**changes):
        if value is None:
            continue  # not set
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        found[f"COHORT_{name.upper()}"] = text
    return found


@contextmanager
def running(make: Callable[[], Running]) -> Iterator[Running]:
    """A process that is gone at the end of the block whatever happened."""
    process = make()
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.kill()


def worker(stage: Stage, **changes: object) -> Running:
    """Starts a worker and waits until it takes jobs."""
    number = len(list(stage.home.glob("worker-*.log")))
    started = Running(["worker"], worker_environment(stage, **changes), stage.home / f"worker-{number}.log")
    try:
        started.wait_for("worker_ready")
    except BaseException:
        if started.process.poll() is None:
            started.kill()
        raise
    return started


def api(stage: Stage) -> tuple[Running, str]:
    """Starts the API on a free port; returns it and its URL."""
    port_file = stage.home / "api.port"
    port_file.unlink(missing_ok=True)
    started = Running(
        ["serve", "--port", "0", "--port-file", str(port_file)], worker_environment(stage), stage.home / "api.log"
    )

    def port() -> str:
        assert started.process.poll() is None, started.tail()
        return port_file.read_text() if port_file.exists() else ""

    return started, f"http://127.0.0.1:{wait_until(port, 30, 'the port of the API')}"


def witness(stage: Stage, index: int, api_url: str, *options: str, ready: bool = True) -> Running:
    """Starts a witness and, unless told otherwise, waits until it watches."""
    keystore, password = write_keystore(stage.witnesses[index], stage.home / "witnesses")
    deployment = stage.devnet.deployment
    arguments = ["witness", "run", "--api", api_url, "--chain", stage.devnet.node.url, "--market", deployment.market]
    arguments += ["--verifier", deployment.verifier, "--ipfs", f"file://{stage.home}/ipfs"]
    arguments += ["--keystore", str(keystore), "--password-file", str(password), *options]
    number = len(list(stage.home.glob(f"witness-{index}-*.log")))
    started = Running(arguments, {}, stage.home / f"witness-{index}-{number}.log")
    if ready:
        started.wait_for("project_watched")
    return started
