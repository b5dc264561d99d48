"""Sets up a checkout: virtual environment, Python packages, npm packages, compiled contracts.

Runs on the bare `python3` of the machine (standard library only). Every step is skipped when nothing it depends on has
changed, so a second run takes well under a second.

    python3 deploy/bootstrap.py            # called by `make setup`
    python3 deploy/bootstrap.py --npm      # the npm packages only, all that the tests of the contracts need
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONTRACTS = ROOT / "contracts"
STATE = ROOT / ".cohort"
STAMPS = STATE / "setup.json"
LOG = STATE / "setup.log"

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
DISK_FOR_PACKAGES_GB = 6.0
PACKAGES_MINUTES = "2-5 minutes: torch alone is a download of 2-3 GB on Linux"


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--npm"]):
        print(f"{' '.join(arguments)}: the only option is --npm", file=sys.stderr)
        return 2
    npm_only = arguments == ["--npm"]
    STATE.mkdir(exist_ok=True)
    stamps = _read_stamps()
    wanted = {"python": _python_fingerprint(), "npm": _npm_fingerprint()}
    python_ready = stamps.get("python") == wanted["python"] and _venv_python().exists()
    npm_ready = stamps.get("npm") == wanted["npm"] and (CONTRACTS / "node_modules").is_dir()
    problems = _preflight(needs_packages=not python_ready)
    if problems:
        print("Cohort cannot be set up here yet:", file=sys.stderr)
        for problem in problems:
            print(f"  - {problem}", file=sys.stderr)
        return 1
    if not npm_ready:
        _install_npm_packages()
        _write_stamp(stamps, "npm", wanted["npm"])
    if npm_only:
        return 0
    if not python_ready:
        _install_python_packages()
        _write_stamp(stamps, "python", wanted["python"])
    _compile_contracts(announce=not (python_ready and npm_ready))
    return 0


def _preflight(needs_packages: bool) -> list[str]:
    """What is missing, each with how to mend it."""
    problems = []
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        problems.append(
            f"Python {found} found, 3.11 or newer is needed: install it, then `make PYTHON=python3.12 demo`"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        problems.append("Python's venv module is missing: on Debian or Ubuntu, install the package python3-venv")
    problems += _node_problems()
    if needs_packages:
        free = shutil.disk_usage(ROOT).free / 1e9
        if free < DISK_FOR_PACKAGES_GB:
            problems.append(
                f"{free:.1f} GB of disk free at {ROOT}, {DISK_FOR_PACKAGES_GB:.0f} GB are needed (mostly torch): "
                "free some, or clone the project onto a larger disk"
            )
    return problems


def _node_problems() -> list[str]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return ["Node.js with npm is missing: install Node 20 or newer from nodejs.org or your package manager"]
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()
    major = re.match(r"v(\d+)", version)
    if major is None or int(major.group(1)) < OLDEST_NODE:
        return [f"Node {version or 'of unknown version'} found, {OLDEST_NODE} or newer is needed"]
    return []


def _install_python_packages() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    count = len(re.findall(r"^[a-z0-9][a-z0-9._-]*==", lock, flags=re.MULTILINE | re.IGNORECASE))
    print("[2/3] Python environment in .venv (a few seconds)", flush=True)
    if not _venv_python().exists():
        _run([sys.executable, "-m", "venv", str(VENV)], "creating the virtual environment")
    print(f"[3/3] Python packages from requirements.lock ({PACKAGES_MINUTES})", flush=True)
    pip = [str(_venv_python()), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    _run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], "installing packages", packages=count)
    # The project itself, editable; its dependencies are all in the lock.
    _run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], "installing cohort")


def _install_npm_packages() -> None:
    print("[1/3] npm packages: Anvil, forge, solc, OpenZeppelin (under a minute)", flush=True)
    # The binaries come inside the packages: nobody's install script has to run.
    command = ["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit"]
    _run(command, "installing npm packages", cwd=CONTRACTS)


def _compile_contracts(announce: bool) -> None:
    if announce:
        print("Compiling the contracts (about 20 seconds the first time)", flush=True)
    _run([str(_venv_python()), "-m", "cohort_devnet.compiler"], "compiling the contracts")


def _run(command: list[str], doing: str, packages: int = 0, cwd: Path = ROOT) -> None:
    """Runs a step with a progress line; its whole output goes to the log, the end of it to the screen on failure."""
    started = time.monotonic()
    progress = _Progress(doing, packages)
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert process.stdout is not None
        tail: list[bytes] = []
        for line in process.stdout:
            log.write(line)
            log.flush()
            tail = [*tail[-30:], line]
            progress.saw(line)
        code = process.wait()
    progress.finish(time.monotonic() - started, failed=code != 0)
    if code != 0:
        sys.stderr.write(b"".join(tail).decode(errors="replace"))
        sys.stderr.write(f"\n{doing} failed (exit code {code}). The whole output is in {LOG}.\n")
        sys.stderr.write("If a download broke off, run the same command again: what is there is kept.\n")
        raise SystemExit(1)


class _Progress:
    """A line that keeps moving on a terminal; a line every 20 seconds elsewhere."""

    def __init__(self, doing: str, packages: int) -> None:
        self.doing, self.packages, self.seen = doing, packages, 0
        self.started = time.monotonic()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._tick, daemon=True)
        self.thread.start()

    def saw(self, line: bytes) -> None:
        if line.lstrip().startswith(b"Collecting ") or line.startswith(b"Requirement already"):
            self.seen += 1

    def finish(self, seconds: float, failed: bool) -> None:
        self.done.set()
        self.thread.join()
        if seconds > 2 or failed:
            self._print(f"      {self.doing}: {'failed' if failed else 'done'} after {seconds:.0f} s", end="\n")

    def _tick(self) -> None:
        interval = 1.0 if sys.stdout.isatty() else 20.0
        while not self.done.wait(interval):
            elapsed = time.monotonic() - self.started
            count = f", {min(self.seen, self.packages)} of {self.packages} packages" if self.packages else ""
            if self.packages and self.seen >= self.packages:
                count = ", unpacking"
            self._print(f"      {self.doing}: {elapsed:.0f} s{count}", end="" if sys.stdout.isatty() else "\n")

    @staticmethod
    def _print(text: str, end: str) -> None:
        start = "\r\x1b[2K" if sys.stdout.isatty() else ""
        print(f"{start}{text}", end=end, flush=True)


def _venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _python_fingerprint() -> str:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    native = sorted(
        str(path.relative_to(ROOT))
        for folder in ("native", "prover")
        for path in (ROOT / "protocol" / folder).glob("*.[ch]")
    )
    wanted = _contents("requirements.lock", "pyproject.toml", *native)
    return _digest(version.encode(), str(ROOT).encode(), *wanted)


def _npm_fingerprint() -> str:
    return _digest(*_contents("contracts/package.json", "contracts/package-lock.json"))


def _contents(*names: str) -> list[bytes]:
    return [(ROOT / name).read_bytes() for name in names]


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _read_stamps() -> dict[str, str]:
    try:
        stamps = json.loads(STAMPS.read_text())
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_stamp(stamps: dict[str, str], name: str, value: str) -> None:
    stamps[name] = value
    partial = STAMPS.with_suffix(".partial")
    partial.write_text(json.dumps(stamps))
    partial.replace(STAMPS)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
