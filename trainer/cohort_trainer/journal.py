"""What this trainer has decided and sent, round by round: on the disk before anything leaves the machine.

One round, in the order in which it becomes durable:

    1. update.safetensors          the trained update
    2. record.json                 its hash and CID, the commitment, the signature: from here on the round is decided
    3. -> the commitment is sent   (any number of times: always the same bytes)
    4. record.json  committed      the service or the chain has it
    5. record.json  published      the update is about to be published
    6. -> IPFS, the reveal is sent
    7. record.json  revealed
    8. record.json  fate           the commitment is resolved on chain, or cannot be any more
    9. record.json  result         how the round ended

A crash before 2 leaves nothing that anybody has seen: the round is trained again. After 2 nothing is ever trained or
signed again for that round; a lost update file is trained anew only to be compared with the recorded hash.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

from cohort_protocol.identifiers import Address, Bytes32, CidText, HexData
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.errors import RecordBroken

MAX_RECORD_BYTES = 64 * 1024
ROUNDS_KEPT = 8
"""Update files of older rounds are deleted; their records stay."""


class RoundRecord(BaseModel):
    """One round of one project. The fields above `committed` never change once written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[2] = 2
    project: int
    round: int
    trainer: Address
    member: Annotated[int, Field(ge=1)]
    """The trainer's number in the project."""
    model: Bytes32
    """Commitment of the model that the update starts from."""
    update: Bytes32
    """C_a: keccak256 of the update's canonical bytes."""
    cid: CidText
    """Where the update will be published: bound by the commitment, computed before anything is published."""
    commitment: Bytes32
    signature: HexData
    """EIP-712 `Commit` over the commitment, by the trainer or its delegate."""
    train_reference: str
    """The training function, as named on the command line; empty for the built-in one."""
    seed: Annotated[int, Field(ge=0)]
    """The trainer's seed that the update was trained with."""

    committed: bool = False
    """The service has recorded the commitment."""
    committed_self: bool = False
    """Our own transaction with the commitment is on chain."""
    published: bool = False
    """The update is on IPFS, or about to be."""
    revealed: bool = False
    """The service has recorded the reveal."""
    refusal: str | None = None
    """Why service or chain refused the commitment: code and words."""
    reveal_refusal: str | None = None
    """Why the reveal was refused, or could not be made: code and words."""
    fate: str | None = None
    """What has become of the commitment on chain, see `rounds.rescue.Fate`; None while it can still be slashed."""
    result: str | None = None
    """How the round ended for this trainer, in words."""


_FIXED = ("project", "round", "trainer", "member", "model", "update", "cid", "commitment", "signature")


class RoundJournal:
    """The records below one project's folder. Not for two processes at once: the home's lock sees to that."""

    def __init__(self, folder: Path, project: int) -> None:
        self._folder = folder / "rounds"
        self.project = project

    def load(self, round: int) -> RoundRecord | None:
        """The record of a round, None before it is decided. Raises `RecordBroken`."""
        path = self._record(round)
        data = read_bounded(path, MAX_RECORD_BYTES)
        if data is None:
            return None
        try:
            record = RoundRecord.model_validate_json(data)
        except ValidationError as error:
            raise RecordBroken(
                f"{path} is damaged: {error.errors(include_url=False)[0]['msg']}. The commitment of this round may be "
                "out already, so nothing else will be sent for it; restore the file or wait for the next round"
            ) from error
        if (record.project, record.round) != (self.project, round):
            raise RecordBroken(f"{path} is about project {record.project}, round {record.round}: files were mixed up")
        return record

    def begin(self, record: RoundRecord, update_file: bytes) -> RoundRecord:
        """Makes update and record durable, in this order. Raises `RecordBroken` if the round is decided already for
        anything else."""
        known = self.load(record.round)
        if known is not None:
            if any(getattr(known, name) != getattr(record, name) for name in _FIXED):
                raise RecordBroken(
                    f"round {record.round} of project {record.project} is decided for commitment {known.commitment}; "
                    f"a second one ({record.commitment}) is never made"
                )
            return known
        self.keep_update(record.round, update_file)
        self._write(record)
        return record

    def change(self, record: RoundRecord, **changes: Any) -> RoundRecord:
        """The record with `changes`, durable. What was decided cannot be changed (`RecordBroken`)."""
        touched = [name for name in _FIXED if name in changes]
        if touched:
            raise RecordBroken(f"{', '.join(touched)} of a decided round never change")
        changed = record.model_copy(update=changes)
        self._write(changed)
        return changed

    def keep_update(self, round: int, update_file: bytes) -> None:
        """Makes the update file of a round durable."""
        write_durably(self._folder / str(round) / "update.safetensors", update_file)

    def update_file(self, round: int, max_bytes: int) -> bytes | None:
        """The update file, None if it is lost. The caller compares it with the record's hash."""
        return read_bounded(self._folder / str(round) / "update.safetensors", max_bytes)

    def rounds(self) -> list[int]:
        """Rounds with a folder, increasing."""
        if not self._folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in self._folder.iterdir() if entry.name.isdigit())

    def prune(self, newest: int) -> None:
        """Deletes update files that no round needs any more."""
        for round in self.rounds():
            if round <= newest - ROUNDS_KEPT:
                (self._folder / str(round) / "update.safetensors").unlink(missing_ok=True)
                if not self._record(round).exists():
                    shutil.rmtree(self._folder / str(round), ignore_errors=True)

    def _record(self, round: int) -> Path:
        return self._folder / str(round) / "record.json"

    def _write(self, record: RoundRecord) -> None:
        write_durably(self._record(record.round), record.model_dump_json(indent=1).encode())
