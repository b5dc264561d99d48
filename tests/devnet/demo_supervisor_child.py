"""Run as a process by test_demo_supervisor.py: a supervisor with two sleepers that waits to be killed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from cohort_devnet.supervisor import ProcessPlan, Supervisor

SLEEPER = (sys.executable, "-c", "import time; time.sleep(120)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])\n"
    "print('ready', flush=True)\n"
    "time.sleep(120)",
)

if __name__ == "__main__":
    with Supervisor(Path(sys.argv[1]), grace=0.5) as supervisor:
        supervisor.start(ProcessPlan("sleeper", SLEEPER))
        supervisor.start(ProcessPlan("stubborn", STUBBORN))
        print("started", flush=True)
        time.sleep(120)
