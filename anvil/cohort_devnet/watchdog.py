"""Ends what a supervisor left behind, should the supervisor itself be killed with SIGKILL.

Started by `Supervisor` as `python -m cohort_devnet.watchdog RUN`, in a session of its own. Its standard input is a pipe
whose only writing end the supervisor holds: the kernel closes it however the supervisor dies, on every POSIX system
(`PR_SET_PDEATHSIG` would be Linux only). The supervisor writes `+ PID` when a process starts, `- PID` when it has
ended, and `bye` when nothing is left to watch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

RUN_VARIABLE = "COHORT_RUN"
"""Environment variable that names the run in every process of it, and in theirs."""

GRACE_SECONDS = 3.0


def processes_of_run(run: str) -> list[int]:
    """Process ids whose environment names `run`, the caller excepted. Sees only processes of the same user."""
    import psutil  # only needed when something has to be swept up

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(RUN_VARIABLE) == run:
                found.append(process.pid)
    return found


def signal_group(leader: int, number: int) -> bool:
    """Signals the process group (one per supervised process) led by `leader`; False if nothing of it lives."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS answers this for a group that holds only zombies
        return False
    return True


def end_all(leaders: list[int], run: str, grace: float = GRACE_SECONDS) -> None:
    """SIGTERM to every group, SIGKILL after `grace` seconds to what is left, then to any stray process of the run."""
    waiting = [leader for leader in leaders if signal_group(leader, signal.SIGTERM)]
    deadline = time.monotonic() + grace
    while waiting and time.monotonic() < deadline:
        time.sleep(0.05)
        waiting = [leader for leader in waiting if signal_group(leader, 0)]
    for leader in waiting:
        signal_group(leader, signal.SIGKILL)
    for pid in processes_of_run(run):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    run = sys.argv[1]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    leaders: list[int] = []
    for line in sys.stdin:
        word, _, pid = line.strip().partition(" ")
        if word == "bye":
            return
        if word == "+":
            leaders.append(int(pid))
        elif word == "-" and int(pid) in leaders:
            leaders.remove(int(pid))
    end_all(leaders, run)


if __name__ == "__main__":
    main()
