"""`--drama`: breaks things in the middle of a run, on purpose, and writes down what became of it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cohort_protocol.bundle import MAX_BUNDLE_BYTES
from cohort_protocol.errors import CohortError
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.phases import Phase
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.messages import ProjectState

from cohort_devnet.demo.report import DramaEvent, Round
from cohort_devnet.supervisor import Supervisor


class DamageUnnoticed(CohortError):
    """A flipped byte was read as if nothing were wrong: the store's check does not work."""

    code = "damage-unnoticed"


def block_file(blocks: Path, cid: Cid) -> Path:
    """The file of a block: embedded store `<xx>/<cid>`, Kubo's flatfs `<xx>/<multihash in base32>.data`.

    Raises `FileNotFoundError`.
    """
    multihash = base64.b32encode(bytes(cid)[2:]).decode().rstrip("=")
    names = (str(cid), f"{multihash}.data")
    for name in names:
        stem = name.removesuffix(".data")
        path = blocks / stem[-3:-1] / name
        if path.is_file():
            return path
    raise FileNotFoundError(f"no block {cid} under {blocks}")


def flip_one_byte(path: Path, position: int) -> Callable[[], None]:
    """Flips the lowest bit of one byte of a file; the returned function puts the file back as it was."""
    original = path.read_bytes()
    damaged = bytearray(original)
    damaged[position % len(damaged)] ^= 1
    mode = path.stat().st_mode
    path.chmod(mode | 0o200)
    path.write_bytes(bytes(damaged))

    def restore() -> None:
        path.write_bytes(original)
        path.chmod(mode)

    return restore


def damage_and_read(blocks: Path, ipfs_url: str, cid: Cid) -> str:
    """Flips one byte of the content at `cid`, reads it as anyone would, and puts it back.

    Returns the words of the check that caught it. Raises `DamageUnnoticed` if none did.
    """
    restore = flip_one_byte(block_file(blocks, cid), position=1000)
    try:
        with connect_store(ipfs_url) as store:
            store.get(cid, MAX_BUNDLE_BYTES)
    except CohortError as error:
        caught = f"{error.code}: {error}"
    else:
        raise DamageUnnoticed(f"one byte of {cid} was flipped, and reading it raised nothing")
    finally:
        restore()
    with connect_store(ipfs_url) as store:
        store.get(cid, MAX_BUNDLE_BYTES)
    return caught


@dataclass
class Drama:
    """Kills a trainer while it trains and the worker while it settles or proves, in the middle round; then damages its
    bundle."""

    supervisor: Supervisor
    service: ServiceClient
    project: int
    middle: int
    """The round of the kills."""
    trainer: str
    """Process name of the trainer to kill."""
    ipfs_url: str
    blocks: Path | None
    """Blocks on this disk; None if the store is elsewhere."""
    tell: Callable[[str], None]
    proven: bool = False
    """Whether rounds prove themselves: then the worker is killed while it proves."""
    events: list[DramaEvent] = field(default_factory=list)
    _killed: set[str] = field(default_factory=set)

    def on_state(self, state: ProjectState) -> None:
        """Acts when its moment has come."""
        current = state.round
        if current is None:
            return
        if current.number == self.middle:
            if current.phase == Phase.COMMIT:
                self._kill(self.trainer, "while it trained")
            elif self.proven and current.proof is not None and current.proof.state == "proving":
                self._kill("worker", f"while it proved (part {current.proof.part} of {current.proof.parts})")
            elif not self.proven and current.phase in (Phase.REVEAL, Phase.SETTLE):
                self._kill("worker", f"in the {current.phase.name.lower()} phase")
        over = current.number > self.middle or (current.number == self.middle and current.phase.terminal)
        if over and "bundle" not in self._killed:
            self._killed.add("bundle")
            self._damage_bundle()

    def _kill(self, name: str, when: str) -> None:
        if name in self._killed:
            return
        self._killed.add(name)
        pid = self.supervisor.kill(name)
        self.tell(f"drama: in round {self.middle}, SIGKILL to {name} (pid {pid}) {when}")
        self.events.append(DramaEvent(round=self.middle, what=f"SIGKILL to {name} {when}", outcome=""))

    def _damage_bundle(self) -> None:
        view = self.service.round(self.project, self.middle)
        if view.bundle_cid is None or self.blocks is None:
            why = "the round has no bundle" if view.bundle_cid is None else "the store's disk is not here"
            self.events.append(DramaEvent(round=self.middle, what="flip one byte of the bundle", outcome=why))
            return
        caught = damage_and_read(self.blocks, self.ipfs_url, Cid.parse(view.bundle_cid))
        self.tell(f"drama: one byte of round {self.middle}'s bundle was flipped; caught by {caught}")
        what = f"one byte of the bundle {view.bundle_cid} flipped on the disk, then put back"
        self.events.append(DramaEvent(round=self.middle, what=what, outcome=f"caught by {caught}"))

    def finish(self, rounds: list[Round]) -> list[DramaEvent]:
        """The events with their outcomes."""
        outcome = next((entry.outcome for entry in rounds if entry.number == self.middle), "not finished")
        told = []
        for event in self.events:
            if event.what.startswith("SIGKILL to "):
                name = event.what.split()[2]
                times = self.supervisor.restarts(name)
                text = f"started again by the supervisor ({times} restart{'s' if times != 1 else ''}); round {outcome}"
                event = event.model_copy(update={"outcome": text})
            told.append(event)
        return told
