"""Starts the processes of a local market, starts again those that die, and leaves none behind.

Every process gets a session of its own (a Ctrl-C in the terminal reaches only the supervisor, which then ends the
others in order) and a log file. `processes.json` in the run's folder always tells who runs under which pid.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO

from cohort_protocol.errors import CohortError

from cohort_devnet.watchdog import RUN_VARIABLE, processes_of_run, signal_group

BACKOFF_SECONDS = (0.1, 0.3, 1.0, 2.0, 4.0)
"""Pause before the first, second, ... start after a death in quick succession."""
QUICK_DEATH_SECONDS = 20.0
"""A process that ends by itself after a longer life is not in a crash loop: its back-off starts anew."""
QUICK_KILL_SECONDS = 3.0
"""The same for a process that was killed by a signal, which tells less of a fault of its own."""
QUICK_DEATHS_ALLOWED = len(BACKOFF_SECONDS)
RESTARTS_ALLOWED = 50
LOG_TAIL_BYTES = 3000


class ProcessFailed(CohortError):
    """A process of the market ended and was not, or could not be, started again. The message ends with its log."""

    code = "process-failed"


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, raised in the main thread like Ctrl-C so that everything is ended the same way."""


@dataclass(frozen=True)
class ProcessPlan:
    """How to start one process."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the supervisor's own environment."""
    folder: Path | None = None
    restart: bool = True
    """Start again when it ends with another exit status than 0."""
    tier: int = 1
    """Higher tiers are ended first: what others depend on has the lowest."""
    niceness: int = 0
    """0 .. 19: background work gives way to the market until `restore_priority`."""


@dataclass(frozen=True)
class ProcessEvent:
    """What happened to a process: `started`, `restarted`, `finished`, `died`, `failed` or `stopped`."""

    name: str
    what: str
    text: str


@dataclass
class _Record:
    plan: ProcessPlan
    process: subprocess.Popen[bytes]
    started: float
    state: str = "running"
    restarts: int = 0
    quick_deaths: int = 0
    stopping: bool = False
    exit_status: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class Supervisor:
    """Context manager over the processes of one run. Thread-safe; signals are handled if made in the main thread."""

    def __init__(
        self, folder: Path, *, grace: float = 6.0, notify: Callable[[ProcessEvent], None] = lambda event: None
    ) -> None:
        """`folder` gets `processes.json` and `logs/`; `grace` seconds pass between SIGTERM and SIGKILL."""
        self.folder = folder
        self.run = uuid.uuid4().hex
        self._grace = grace
        self._notify = notify
        self._records: dict[str, _Record] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._closed = False
        self._handlers: dict[int, object] = {}
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self._watchdog = self._start_watchdog()
        self._save()
        atexit.register(self.close)

    # --- processes ---------------------------------------------------------------------------------------------

    def start(self, plan: ProcessPlan) -> int:
        """Starts a process and returns its pid. Raises `ProcessFailed` if it cannot be started at all."""
        with self._lock:
            if self._closing.is_set():
                raise ProcessFailed(f"{plan.name} was not started: the market is being shut down")
            known = self._records.get(plan.name)
            if known is not None and known.state in ("running", "restarting"):
                raise ProcessFailed(f"{plan.name} runs already under pid {known.process.pid}: stop it first")
            record = _Record(plan, self._spawn(plan), time.monotonic())
            self._records[plan.name] = record
            self._save()
        threading.Thread(target=self._watch, args=(record,), name=f"watch {plan.name}", daemon=True).start()
        return record.process.pid

    def names(self) -> list[str]:
        """Every process that was ever started, in order."""
        with self._lock:
            return list(self._records)

    def pid(self, name: str) -> int:
        """Pid of the named process (of its last life, if it has ended)."""
        return self._record(name).process.pid

    def restarts(self, name: str) -> int:
        return self._record(name).restarts

    def state(self, name: str) -> str:
        """`running`, `restarting`, `finished` (status 0), `failed` or `stopped`."""
        return self._record(name).state

    def kill(self, name: str) -> int:
        """SIGKILL, as an accident would: the process is started again if its plan says so. Returns the pid."""
        process = self._record(name).process
        process.kill()
        return process.pid

    def stop(self, name: str) -> None:
        """SIGTERM, SIGKILL after the grace; returns when it has ended. It is not started again."""
        self._stop([self._record(name)])

    def restore_priority(self, name: str) -> None:
        """Gives a process that was started with `niceness` the priority of all others, where the system allows it."""
        record = self._record(name)
        if record.plan.niceness and record.process.poll() is None:
            _set_niceness(record.process.pid, 0)

    def wait(self, name: str, timeout: float | None = None) -> int:
        """Waits until the process has ended for good and returns its exit status (negative: a signal).

        Raises `ProcessFailed` after `timeout` seconds.
        """
        record = self._record(name)
        if not record.ended.wait(timeout):
            raise ProcessFailed(f"{name} (pid {record.process.pid}) still runs after {timeout:g} s")
        return record.exit_status if record.exit_status is not None else 0

    def check(self) -> None:
        """Raises `ProcessFailed` if a process has failed for good."""
        with self._lock:
            failed = [record for record in self._records.values() if record.state == "failed"]
        if failed:
            names = ", ".join(record.plan.name for record in failed)
            name = failed[0].plan.name
            raise ProcessFailed(
                f"{names} ended and cannot be kept running: {name} {_status_text(failed[0].exit_status)} after "
                f"{failed[0].restarts} restarts. Last lines of {self.log(name)}:\n{self.log_tail(name)}"
            )

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def log_tail(self, name: str, limit: int = LOG_TAIL_BYTES) -> str:
        """The end of a process's log, at most `limit` bytes."""
        try:
            data = self.log(name).read_bytes()
        except FileNotFoundError:
            return "(no log)"
        return data[-limit:].decode(errors="replace").strip() or "(empty log)"

    # --- the end -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Supervisor:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _raise_terminated)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def close(self) -> None:
        """Ends every process, tier by tier. A signal meanwhile skips the grace. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closing.set()
            records = list(self._records.values())
        interrupts = self._hurry_on_signals()
        try:
            for tier in sorted({record.plan.tier for record in records}, reverse=True):
                self._stop([record for record in records if record.plan.tier == tier])
            for pid in processes_of_run(self.run):
                if pid != self._watchdog.pid:
                    _kill_quietly(pid)
        finally:
            with self._lock:
                self._closed = True
                self._tell_watchdog("bye")
                self._watchdog.communicate()
                self._save()
            for number, handler in interrupts.items():
                signal.signal(number, handler)  # type: ignore[arg-type]
            atexit.unregister(self.close)

    def _hurry_on_signals(self) -> dict[int, object]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        return {number: signal.signal(number, lambda *_: self._hurry.set()) for number in numbers}

    def _stop(self, records: list[_Record]) -> None:
        with self._lock:
            for record in records:
                record.stopping = True
                if record.process.poll() is None:
                    record.process.terminate()
        deadline = time.monotonic() + self._grace
        for record in records:
            while time.monotonic() < deadline and not self._hurry.is_set():
                if record.ended.wait(0.05):
                    break
            if not record.ended.is_set():
                signal_group(record.process.pid, signal.SIGKILL)
        for record in records:
            record.ended.wait(5.0)

    # --- inside ------------------------------------------------------------------------------------------------

    def _record(self, name: str) -> _Record:
        with self._lock:
            try:
                return self._records[name]
            except KeyError:
                known = ", ".join(self._records) or "none"
                raise ProcessFailed(f"no process {name!r} in this run; there are: {known}") from None

    def _start_watchdog(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "cohort_devnet.watchdog", self.run],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _tell_watchdog(self, line: str) -> None:
        pipe: IO[bytes] | None = self._watchdog.stdin
        assert pipe is not None
        try:
            pipe.write(f"{line}\n".encode())
            pipe.flush()
        except BrokenPipeError:
            if line == "bye":
                return
            self._watchdog = self._start_watchdog()
            for record in self._records.values():
                if record.process.poll() is None:
                    self._tell_watchdog(f"+ {record.process.pid}")

    def _spawn(self, plan: ProcessPlan) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **plan.environment, RUN_VARIABLE: self.run}
        with self.log(plan.name).open("ab") as log:
            try:
                process = subprocess.Popen(
                    plan.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=plan.folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessFailed(f"{plan.name} cannot be started ({plan.argv[0]}): {error}") from error
        self._tell_watchdog(f"+ {process.pid}")
        if plan.niceness:
            _set_niceness(process.pid, plan.niceness)
        return process

    def _watch(self, record: _Record) -> None:
        """Thread of one process: waits for its end, and starts it again as long as that makes sense."""
        while True:
            status = record.process.wait()
            signal_group(record.process.pid, signal.SIGKILL)  # what it started dies with it
            pause = self._after_end(record, status)
            if pause is None or self._closing.wait(pause):
                break
            with self._lock:
                if record.stopping or self._closing.is_set():
                    break
                try:
                    record.process = self._spawn(record.plan)
                except ProcessFailed as error:
                    self._finish(record, "failed", str(error))
                    return
                record.started = time.monotonic()
                record.state = "running"
                self._save()
            self._tell(record, "restarted", f"started again as pid {record.process.pid}")
        if not record.ended.is_set():
            self._finish(record, "stopped", "stopped")

    def _after_end(self, record: _Record, status: int) -> float | None:
        """Books the end of a process; the pause before its next life, or None if there is none."""
        with self._lock:
            record.exit_status = status
            self._tell_watchdog(f"- {record.process.pid}")
            if record.stopping or self._closing.is_set():
                self._finish(record, "stopped", "stopped")
                return None
            if status == 0:
                self._finish(record, "finished", "finished")
                return None
            limit = QUICK_KILL_SECONDS if status < 0 else QUICK_DEATH_SECONDS
            quick = time.monotonic() - record.started < limit
            record.quick_deaths = record.quick_deaths + 1 if quick else 1
            given_up = record.quick_deaths > QUICK_DEATHS_ALLOWED or record.restarts >= RESTARTS_ALLOWED
            if not record.plan.restart or given_up:
                self._finish(record, "failed", f"{_status_text(status)}; not started again")
                return None
            pause = BACKOFF_SECONDS[record.quick_deaths - 1]
            record.restarts += 1
            record.state = "restarting"
            self._save()
        self._tell(record, "died", f"pid {record.process.pid} {_status_text(status)}; starting again in {pause:g} s")
        return pause

    def _finish(self, record: _Record, state: str, text: str) -> None:
        with self._lock:
            record.state = state
            self._save()
        record.ended.set()
        self._tell(record, state, text)

    def _tell(self, record: _Record, what: str, text: str) -> None:
        self._notify(ProcessEvent(record.plan.name, what, text))

    def _save(self) -> None:
        """Rewrites processes.json in one step, so that a reader never sees half of it."""
        with self._lock:
            content = {
                "supervisor": os.getpid(),
                "run": self.run,
                "processes": {
                    name: {"pid": record.process.pid, "restarts": record.restarts, "state": record.state}
                    for name, record in self._records.items()
                },
            }
            partial = self.folder / "processes.json.partial"
            partial.write_text(json.dumps(content, indent=1))
            partial.replace(self.folder / "processes.json")


def _set_niceness(pid: int, niceness: int) -> None:
    """Sets a process's share of the processor.

    Linux shares time between sessions first (autogroup, see sched(7)), and every process here has a session of its own:
    there the session's niceness counts, which anyone may also lower again. Elsewhere it is the process's.
    """
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(niceness))
    except OSError:
        try:
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
        except OSError:
            # Ended already, or not ours to raise again: priority is a courtesy, never a need.
            return


def _raise_terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated(signal.Signals(number).name)


def _kill_quietly(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _status_text(status: int | None) -> str:
    if status is None:
        return "has not ended"
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
