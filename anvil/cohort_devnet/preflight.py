"""What this machine must have before a market is started on it: what is missing, and how to mend it.

Takes milliseconds and imports nothing heavy. `deploy/bootstrap.py` checks what the set-up itself needs.
"""

from __future__ import annotations

import errno
import importlib.util
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cohort_protocol.errors import CohortError, NotFound

from cohort_devnet.node import AnvilMissing, find_anvil

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
DISK_FOR_TORCH_GB = 6.0
DISK_FOR_RUN_GB = 0.5
MEMORY_PER_TRAINER_GB = 0.5
"""Proportional set size, most of it torch; measured on Linux."""
MEMORY_FOR_SERVICES_GB = 1.2


class PreflightFailed(CohortError):
    """Something that the market needs is missing. The message lists it all, each with how to mend it."""

    code = "preflight-failed"


@dataclass(frozen=True)
class Check:
    """One thing looked at. `problem` is empty if it is fine, else says what is wrong and how to mend it."""

    what: str
    found: str
    problem: str = ""


def run_preflight(folder: Path, trainers: int, ports: Sequence[int] = (), *, proven: bool = False) -> list[Check]:
    """All checks. `folder`: where the run will write; `ports`: those that must be free (0 is always); `proven`: whether
    rounds are to prove themselves."""
    return [
        check_python(),
        check_node(),
        check_packages(),
        check_disk(folder),
        check_memory(trainers),
        check_anvil(),
        *([check_curve()] if proven else []),
        *(check_port(port) for port in ports if port),
    ]


def require(checks: Sequence[Check]) -> None:
    """Raises `PreflightFailed` naming every problem."""
    problems = [check.problem for check in checks if check.problem]
    if problems:
        raise PreflightFailed("a market cannot be started here yet:\n" + "\n".join(f"  - {text}" for text in problems))


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Check:
    found = ".".join(map(str, version))
    if version >= OLDEST_PYTHON:
        return Check("Python", found)
    return Check("Python", found, f"Python {found} found, 3.11 or newer is needed: `make PYTHON=python3.12 demo`")


def check_node(command: str = "node") -> Check:
    """Node compiles the contracts where no native compiler can be had."""
    path = shutil.which(command)
    if path is None:
        return Check("Node", "missing", "Node.js is missing: install Node 20 or newer from nodejs.org")
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("Node", "broken", f"{path} does not run ({error}): install Node 20 or newer from nodejs.org")
    found = done.stdout.strip()
    major = re.match(r"v(\d+)", found)
    if major is None or int(major[1]) < OLDEST_NODE:
        return Check("Node", found, f"Node {found or 'of unknown version'} found, {OLDEST_NODE} or newer is needed")
    return Check("Node", found.removeprefix("v"))


def check_packages(names: Sequence[str] = ("torch", "sklearn", "matplotlib", "celery", "fastapi", "web3")) -> Check:
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        text = f"Python packages are missing ({', '.join(missing)}): run `make setup`, or pip install 'cohort[demo]'"
        return Check("packages", f"{', '.join(missing)} missing", text)
    return Check("packages", "installed")


def check_disk(folder: Path) -> Check:
    """6 GB where torch is still to be installed, else what a run writes."""
    needed = DISK_FOR_RUN_GB if importlib.util.find_spec("torch") else DISK_FOR_TORCH_GB
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    found = f"{free:.1f} GB free at {existing}"
    if free >= needed:
        return Check("disk", found)
    return Check("disk", found, f"{found}, {needed:g} GB are needed: free some, or name another place with --report")


def check_memory(trainers: int) -> Check:
    """Every trainer is a process of its own with torch in it."""
    needed = MEMORY_FOR_SERVICES_GB + trainers * MEMORY_PER_TRAINER_GB
    free = free_memory_gb()
    if free is None:
        return Check("memory", "unknown")
    found = f"{free:.1f} GB free"
    if free >= needed:
        return Check("memory", found)
    return Check(
        "memory", found, f"{found}, about {needed:.1f} GB are needed for {trainers} trainers: use fewer (--trainers)"
    )


def free_memory_gb() -> float | None:
    """Memory that processes can still get; None if psutil is not installed."""
    if importlib.util.find_spec("psutil") is None:
        return None
    import psutil

    return psutil.virtual_memory().available / 1e9


def check_anvil(root: Path | None = None) -> Check:
    try:
        binary = find_anvil(root)
    except AnvilMissing as error:
        return Check("Anvil", "missing", str(error))
    return Check("Anvil", str(binary))


def check_curve() -> Check:
    """The curve library, which has no wheel for some platforms."""
    from cohort_protocol.proof.library import library

    try:
        library()
    except CohortError as error:
        return Check("curve library", "missing", f"{error}. `cohort demo --settlement attested` needs none")
    return Check("curve library", "loads")


def check_port(port: int) -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = "in use" if error.errno == errno.EADDRINUSE else f"not available ({error.strerror})"
            return Check(f"port {port}", why, f"port {port} is {why}: end what uses it, or choose another with --port")
    return Check(f"port {port}", "free")


def free_port() -> int:
    """A loopback port that was free a moment ago. Raises `NotFound` if there is none."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError as error:
            raise NotFound(f"no free port on 127.0.0.1: {error}") from error
        return probe.getsockname()[1]
