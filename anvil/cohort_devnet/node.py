"""The local chain: Anvil as a child process, its native binary started directly and ended by pid.

The npm package's `anvil` command is a node wrapper that leaves the real process behind when it is ended, so the binary
inside the platform's package is what runs here.
"""

from __future__ import annotations

import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.errors import ChainUnavailable
from cohort_protocol.errors import CohortError, Unavailable

DEVNET_CHAIN_ID = 31337
"""The chain id of every local chain. Devnet tools refuse any other."""
START_SECONDS = 20.0
STOP_SECONDS = 10.0
_LISTENING = re.compile(rb"Listening on 127\.0\.0\.1:(\d+)")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class AnvilMissing(CohortError):
    """The Anvil binary is not installed, or there is none for this platform."""

    code = "anvil-missing"


class AnvilFailed(Unavailable):
    """Anvil did not start, or ended by itself. The message ends with its output."""

    code = "anvil-failed"


def repository_root() -> Path:
    """The folder that holds `contracts/`: Cohort runs from its source tree."""
    return Path(__file__).resolve().parents[2]


def anvil_package() -> str:
    """Name of the npm package that holds the binary for this machine. Raises `AnvilMissing`."""
    system = {"linux": "linux", "darwin": "darwin"}.get(sys.platform)
    machine = _MACHINES.get(platform.machine().lower())
    if system is None or machine is None:
        raise AnvilMissing(
            f"there is no Anvil for {sys.platform} on {platform.machine()}: use Linux or macOS on x86-64 or ARM64"
        )
    return f"@foundry-rs/anvil-{system}-{machine}"


def find_anvil(root: Path | None = None) -> Path:
    """The native binary under `contracts/node_modules`. Raises `AnvilMissing`."""
    binary = (root or repository_root()) / "contracts" / "node_modules" / anvil_package() / "bin" / "anvil"
    if not binary.is_file():
        raise AnvilMissing(f"there is no Anvil at {binary}: run `make setup`, which installs it")
    return binary


class AnvilNode:
    """One Anvil process. A context manager: started on entry, ended on exit.

    Blocks are mined as soon as a transaction arrives. With `heartbeat` seconds an empty block is mined at that pace
    too, so that the chain's time moves while nobody sends anything (what a deadline needs). The process runs in a
    session of its own: a Ctrl-C in the terminal does not reach it.
    """

    def __init__(
        self,
        home: Path,
        *,
        root: Path | None = None,
        port: int = 0,
        chain_id: int = DEVNET_CHAIN_ID,
        state: Path | None = None,
        load: Path | None = None,
        heartbeat: int | None = None,
        ipc: bool = False,
    ):
        """`home` takes the log. `port` 0: any free one. `state`: loaded if it exists, and written every second and at
        the end. `load`: loaded and never written."""
        self.home = Path(home)
        self.chain_id = chain_id
        self.log = self.home / "anvil.log"
        self.pid: int | None = None
        self._binary = find_anvil(root)
        self._port = port
        self._state = state
        self._load = load
        self._heartbeat = heartbeat
        self._ipc = ipc
        self._ipc_folder: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        if load is not None and not load.is_file():
            raise AnvilFailed(f"there is no chain state at {load}: name the state.json of a finished run")

    @classmethod
    def load(cls, state_file: Path, home: Path, **options) -> AnvilNode:
        """A chain that goes on from a kept state. The file is read, never changed."""
        return cls(home, load=state_file, **options)

    def command(self) -> list[str]:
        """The command line: what `start` runs, or a supervisor may run itself."""
        command = [str(self._binary), "--host", "127.0.0.1", "--port", str(self._port)]
        command += ["--chain-id", str(self.chain_id), "--accounts", "0", "--order", "fifo"]
        # Blocks are "finalized" after two epochs: on a chain of one node, two blocks are enough.
        command += ["--slots-in-an-epoch", "1"]
        if self._heartbeat:
            command += ["--mixed-mining", "--block-time", str(self._heartbeat)]
        if self._state is not None:
            command += ["--state", str(self._state), "--state-interval", "1"]
        if self._load is not None:
            command += ["--load-state", str(self._load)]
        if self._ipc_folder is not None:
            command += ["--ipc", f"{self._ipc_folder}/anvil.ipc"]
        return command

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def ipc_url(self) -> str:
        """For `ChainClient`; only if started with `ipc`."""
        if self._ipc_folder is None:
            raise AnvilFailed("this chain was started without an IPC socket: pass ipc=True")
        return f"ipc://{self._ipc_folder}/anvil.ipc"

    def start(self) -> str:
        """Starts the process and returns its URL once it answers. Raises `AnvilFailed`."""
        if self._process is not None:
            raise AnvilFailed(f"this chain runs already under pid {self.pid}")
        self.home.mkdir(parents=True, exist_ok=True)
        if self._state is not None:
            self._state.parent.mkdir(parents=True, exist_ok=True)
        if self._ipc:
            # Socket paths are limited to about 100 bytes, so not under `home`.
            self._ipc_folder = tempfile.mkdtemp(prefix="cohort-anvil-")
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self.pid = self._process.pid
        try:
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self.url

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self._fail_if_ended()
            listening = _LISTENING.search(self.log.read_bytes())
            if listening:
                self._port = int(listening.group(1))
                try:
                    ChainClient(self.url, self.chain_id, timeout=2).check()
                except ChainUnavailable:
                    pass  # the socket is announced a moment before it answers
                else:
                    return
            time.sleep(0.02)
        raise AnvilFailed(f"Anvil was not ready after {START_SECONDS:g} s:\n{self._tail()}")

    def _fail_if_ended(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            tail = self._tail()
            hint = "\nAnother process has the port: stop it, or give another --port (0 takes a free one)"
            way_out = hint if "address already in use" in tail.lower() else ""
            raise AnvilFailed(f"Anvil ended with status {self._process.returncode}:\n{tail}{way_out}")

    def _tail(self) -> str:
        try:
            return self.log.read_bytes()[-2000:].decode(errors="replace")
        except OSError as error:
            return f"(no log: {error})"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ends the process (it writes its state first, if it keeps one) and waits until it is gone."""
        process, self._process, self.pid = self._process, None, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._ipc_folder is not None:
            shutil.rmtree(self._ipc_folder, ignore_errors=True)
            self._ipc_folder = None

    def kill(self) -> None:
        """Ends the process at once, as a power cut would. For tests of what survives."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.stop()

    def wait(self) -> int:
        """Blocks until the process ends by itself; its exit status."""
        if self._process is None:
            raise AnvilFailed("this chain is not running")
        return self._process.wait()

    def __enter__(self) -> AnvilNode:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class DevnetControl:
    """What only a local chain allows. Every call raises `MethodUnsupported` on a real one."""

    def __init__(self, client: ChainClient):
        self.client = client

    def set_balance(self, address: str, wei: int) -> None:
        self.client.rpc("anvil_setBalance", [address, hex(wei)])

    def warp(self, seconds: int) -> int:
        """Moves the chain's clock forward and mines a block; the new timestamp."""
        self.client.rpc("evm_increaseTime", [seconds])
        self.client.rpc("evm_mine")
        return self.client.block().timestamp

    def warp_to(self, timestamp: int) -> None:
        """Mines a block with exactly this timestamp, which must not be in the chain's past."""
        self.client.rpc("evm_setNextBlockTimestamp", [timestamp])
        self.client.rpc("evm_mine")

    def next_timestamp(self, timestamp: int) -> None:
        """The next block, whatever it holds, gets exactly this timestamp."""
        self.client.rpc("evm_setNextBlockTimestamp", [timestamp])

    def mine(self, blocks: int = 1) -> None:
        self.client.rpc("anvil_mine", [hex(blocks)])

    def set_automine(self, enabled: bool) -> None:
        """Off: transactions wait in the pool until `mine`."""
        self.client.rpc("evm_setAutomine", [enabled])

    def drop_transaction(self, hash: bytes) -> None:
        """Removes a transaction from the pool, as a node under load may."""
        self.client.rpc("anvil_dropTransaction", ["0x" + hash.hex()])

    def snapshot(self) -> str:
        """Remembers the state; see `revert`."""
        return str(self.client.rpc("evm_snapshot"))

    def revert(self, snapshot: str) -> None:
        """Back to the state of `snapshot`, which can be used once."""
        if self.client.rpc("evm_revert", [snapshot]) is not True:
            raise AnvilFailed(f"the chain does not know snapshot {snapshot}")

    def reorg(self, depth: int) -> None:
        """Replaces the newest `depth` blocks by empty ones."""
        self.client.rpc("anvil_reorg", [depth, []])
