"""A folder as a broker: the embedded default, when there is no Redis and no RabbitMQ.

kombu has a file-system transport of its own, with two faults for our use: a consumer may read a message that is still
being written (which stops a worker), and it keeps its bindings in files that processes rewrite under each other. Here a
message appears in the queue's folder by one rename, and is taken by one rename, so each is whole and delivered at most
once. A message that is lost with its consumer is sent again by the jobs table (docs/decisions/0002).
"""

from __future__ import annotations

import os
import re
import time
import uuid
from pathlib import Path
from queue import Empty

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

SCHEME = "cohort-files"
"""Transport name in kombu URLs."""

POLLING_SECONDS = 0.02
"""How long an idle consumer waits before it looks into the folder again."""

_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_MESSAGE = ".json"


class FileChannel(virtual.Channel):
    """One folder per queue; a message is one file, named so that names sort by time of sending."""

    def _put(self, queue: str, payload: dict, **_: object) -> None:
        folder = self._folder(queue)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        try:
            hidden = folder / f".{name}"
            hidden.write_text(dumps(payload), encoding="utf-8")
            hidden.rename(folder / f"{name}{_MESSAGE}")
        except OSError as error:
            raise ChannelError(f"cannot add a message to {folder}: {error}") from error

    def _get(self, queue: str, timeout: float | None = None) -> dict:
        folder = self._folder(queue)
        for name in self._waiting(folder):
            taken = folder / f".taken-{uuid.uuid4().hex}"
            try:
                (folder / name).rename(taken)
            except FileNotFoundError:
                continue  # another consumer was faster
            try:
                return loads(taken.read_text(encoding="utf-8"))
            except ValueError:
                continue  # not a message of ours: somebody put a file there
            finally:
                taken.unlink()
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(self._folder(queue)))

    def _purge(self, queue: str) -> int:
        folder = self._folder(queue)
        names = self._waiting(folder)
        for name in names:
            (folder / name).unlink(missing_ok=True)
        return len(names)

    def _folder(self, queue: str) -> Path:
        if not _QUEUE_NAME.fullmatch(queue):
            raise ChannelError(f"{queue!r} is not a queue name here: letters, digits, - and _ only")
        folder = Path(self.connection.client.transport_options["folder"]) / queue
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _waiting(self, folder: Path) -> list[str]:
        return sorted(name for name in os.listdir(folder) if name.endswith(_MESSAGE) and not name.startswith("."))


class FileTransport(virtual.Transport):
    """See the module."""

    Channel = FileChannel
    default_port = 0
    driver_type = "filesystem"
    driver_name = SCHEME
    polling_interval = POLLING_SECONDS

    def driver_version(self) -> str:
        return "1"


def register() -> None:
    """Makes `cohort-files://` known to kombu in this process."""
    TRANSPORT_ALIASES.setdefault(SCHEME, f"{__name__}:{FileTransport.__name__}")
