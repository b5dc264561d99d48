"""The supervisor against real processes: restarts, crash loops, and nothing left behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from cohort_devnet.supervisor import ProcessEvent, ProcessFailed, ProcessPlan, Supervisor
from cohort_devnet.watchdog import processes_of_run

from tests.devnet.demo_supervisor_child import SLEEPER, STUBBORN

CHILD = Path(__file__).with_name("demo_supervisor_child.py")


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


@pytest.fixture
def events() -> list[ProcessEvent]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, events: list[ProcessEvent]) -> Iterator[Supervisor]:
    with Supervisor(tmp_path, grace=0.5, notify=events.append) as running:
        yield running


def state_file(folder: Path) -> dict:
    return json.loads((folder / "processes.json").read_text())


def test_a_killed_process_is_started_again_and_the_file_names_its_new_pid(
    supervisor: Supervisor, tmp_path: Path, events: list[ProcessEvent]
) -> None:
    first = supervisor.start(ProcessPlan("sleeper", SLEEPER))
    assert state_file(tmp_path)["processes"]["sleeper"] == {"pid": first, "restarts": 0, "state": "running"}
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.restarts("sleeper") == 1 and supervisor.state("sleeper") == "running")
    second = state_file(tmp_path)["processes"]["sleeper"]["pid"]
    assert second != first
    assert psutil.pid_exists(second)
    until(lambda: [event.what for event in events] == ["died", "restarted"])
    assert "SIGKILL" in events[0].text


def test_a_process_that_ends_well_is_not_started_again(supervisor: Supervisor) -> None:
    supervisor.start(ProcessPlan("short", (sys.executable, "-c", "print('done')")))
    assert supervisor.wait("short", 10) == 0
    assert supervisor.state("short") == "finished"
    assert supervisor.restarts("short") == 0
    supervisor.check()


def test_a_crash_loop_is_given_up_and_shows_its_log(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cohort_devnet.supervisor.BACKOFF_SECONDS", (0.01,) * 5)
    supervisor.start(ProcessPlan("broken", (sys.executable, "-c", "raise SystemExit('no such database')")))
    assert supervisor.wait("broken", 20) == 1
    assert supervisor.restarts("broken") == 5
    with pytest.raises(ProcessFailed, match="no such database"):
        supervisor.check()


def test_a_one_off_process_is_not_started_again_when_it_fails(supervisor: Supervisor) -> None:
    supervisor.start(ProcessPlan("once", (sys.executable, "-c", "raise SystemExit(3)"), restart=False))
    assert supervisor.wait("once", 10) == 3
    with pytest.raises(ProcessFailed, match="ended with status 3"):
        supervisor.check()


def test_a_program_that_does_not_exist_is_an_error_at_once(supervisor: Supervisor) -> None:
    with pytest.raises(ProcessFailed, match="no-such-program"):
        supervisor.start(ProcessPlan("missing", ("no-such-program",)))


def test_two_processes_of_one_name_are_refused(supervisor: Supervisor) -> None:
    supervisor.start(ProcessPlan("sleeper", SLEEPER))
    with pytest.raises(ProcessFailed, match="runs already"):
        supervisor.start(ProcessPlan("sleeper", SLEEPER))


def test_stop_ends_a_process_for_good(supervisor: Supervisor) -> None:
    pid = supervisor.start(ProcessPlan("sleeper", SLEEPER))
    supervisor.stop("sleeper")
    assert supervisor.state("sleeper") == "stopped"
    assert not psutil.pid_exists(pid)


def test_waiting_too_long_is_an_error(supervisor: Supervisor) -> None:
    supervisor.start(ProcessPlan("sleeper", SLEEPER))
    with pytest.raises(ProcessFailed, match="still runs"):
        supervisor.wait("sleeper", 0.05)


def test_close_ends_processes_that_ignore_sigterm_and_their_children(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, grace=0.5)
    pid = supervisor.start(ProcessPlan("stubborn", STUBBORN))
    until(lambda: "ready" in supervisor.log_tail("stubborn"))
    child = psutil.Process(pid).children()[0].pid
    supervisor.close()
    assert not psutil.pid_exists(pid)
    until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(ProcessFailed, match="shut down"):
        supervisor.start(ProcessPlan("late", SLEEPER))


def niceness(pid: int) -> int:
    """Of the session where Linux shares time by session, else of the process."""
    autogroup = Path(f"/proc/{pid}/autogroup")
    return int(autogroup.read_text().split()[-1]) if autogroup.exists() else psutil.Process(pid).nice()


def test_background_work_gets_a_lower_priority_until_it_is_restored(supervisor: Supervisor) -> None:
    pid = supervisor.start(ProcessPlan("sleeper", SLEEPER, niceness=7))
    assert niceness(pid) == 7
    supervisor.restore_priority("sleeper")
    if Path(f"/proc/{pid}/autogroup").exists() or os.geteuid() == 0:
        assert niceness(pid) == 0


def test_a_process_that_fails_again_and_again_after_some_seconds_is_given_up(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong setting may need seconds to show; a SIGKILL from outside after as long a life is no crash loop."""
    monkeypatch.setattr("cohort_devnet.supervisor.BACKOFF_SECONDS", (0.01,) * 2)
    monkeypatch.setattr("cohort_devnet.supervisor.QUICK_DEATHS_ALLOWED", 2)
    monkeypatch.setattr("cohort_devnet.supervisor.QUICK_KILL_SECONDS", 0.2)
    failing = (sys.executable, "-c", "import time; time.sleep(0.4); raise SystemExit(22)")
    supervisor.start(ProcessPlan("failing", failing))
    assert supervisor.wait("failing", 20) == 22
    assert supervisor.restarts("failing") == 2
    supervisor.start(ProcessPlan("victim", SLEEPER))
    for number in range(1, 5):
        time.sleep(0.4)
        supervisor.kill("victim")
        until(lambda number=number: supervisor.restarts("victim") == number and supervisor.state("victim") == "running")


def test_lower_tiers_end_last(tmp_path: Path, events: list[ProcessEvent]) -> None:
    with Supervisor(tmp_path, grace=2, notify=events.append) as supervisor:
        supervisor.start(ProcessPlan("chain", SLEEPER, tier=0))
        supervisor.start(ProcessPlan("worker", SLEEPER, tier=1))
    assert [event.name for event in events] == ["worker", "chain"]


def test_an_exception_ends_everything(tmp_path: Path) -> None:
    pids = []

    def market() -> None:
        with Supervisor(tmp_path, grace=0.5) as supervisor:
            pids.append(supervisor.start(ProcessPlan("sleeper", SLEEPER)))
            raise RuntimeError("planned")

    with pytest.raises(RuntimeError, match="planned"):
        market()
    assert not psutil.pid_exists(pids[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_survives_a_signal_to_the_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, str(CHILD), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"started\n"
    run = state_file(tmp_path)["run"]
    until(lambda: "ready" in (tmp_path / "logs" / "stubborn.log").read_text())
    assert len(processes_of_run(run)) == 3
    child.send_signal(number)
    child.wait(15)
    until(lambda: processes_of_run(run) == [])
    child.stdout.close()


def test_a_killed_watchdog_is_replaced_and_knows_the_old_processes(tmp_path: Path) -> None:
    with Supervisor(tmp_path, grace=0.5) as supervisor:
        first = supervisor._watchdog.pid
        supervisor.start(ProcessPlan("before", SLEEPER))
        os.kill(first, signal.SIGKILL)
        supervisor._watchdog.wait(5)
        supervisor.start(ProcessPlan("after", SLEEPER))
        assert supervisor._watchdog.pid != first
        assert supervisor._watchdog.poll() is None
