"""The folder that a prover works in: its input as files, its proof as a file. The seam between worker and provers.

`<prover> FOLDER` reads

    task.json   see `ProverTask`; complete once it is there
    row-00 ...  the R rows, little-endian, of the type that the task names

and writes `proof` (320 bytes, `proof.prover.RoundProof`) in one step. Meanwhile it writes a line of JSON to standard
output for each part that it begins: {"part": 3, "parts": 6, "step": "what it does"}. It ends with status 0, or says in
words on standard error why not; and it ends when its standard input is closed, since then nobody waits for it any more.
The same folder gives the same bytes with every prover, however often it was cut short.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cohort_protocol.errors import CohortError, InvalidInput
from cohort_protocol.identifiers import Address, Bytes32, HexData, to_hex
from cohort_protocol.proof.curve import Point
from cohort_protocol.proof.statement import (
    HASHES,
    MAX_PUBLIC_ROWS,
    MAX_ROWS,
    RoundStatement,
    gram_bytes,
    gram_length,
    parse_gram,
)
from cohort_protocol.scoring.kernel.sources import FileRow, Row, blocks
from cohort_protocol.scoring.rows import PublicRows
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PROOF_BYTES = 320
MAX_GRAM_BYTES = gram_length(MAX_ROWS, MAX_PUBLIC_ROWS)
BLOCK = 1 << 16
"""Values of a row at a time."""

RowType = Literal["int16", "int32", "int64"]


class ProverFailed(CohortError):
    """The prover ended without a proof. The message has its last words."""

    code = "prover-failed"


class FolderMalformed(InvalidInput):
    """What is in the folder is no task for a prover."""

    code = "prover-folder-malformed"


class RowFile(BaseModel):
    """A row of the statement."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[str, Field(pattern=r"^row-[0-9]{2}$")]
    type: RowType


class ProverTask(BaseModel):
    """`task.json`: the statement of the round, with everything that the transcript hashes. Points are x || y."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    srs: Path
    """File of the reference string (`cohort_protocol.proof.srs`)."""
    head: Bytes32
    """keccak256 over what ties the proof to its round: all that a prover needs of the hashes and addresses below."""
    chain_id: int
    verifier: Address
    market: Address
    project: int
    round: int
    dimension: int
    updates: int
    """n."""
    steps: int
    trainable: int
    values: int
    """Public rows of each kind."""
    admitted_hash: Bytes32
    validation: Bytes32
    public_rows: Bytes32
    policy_hash: Bytes32
    outcomes_hash: Bytes32
    previous_model: Bytes32
    next_model: Bytes32
    step: HexData
    """C_m."""
    commitments: list[HexData]
    """Of the updates, then of the public rows."""
    gram: Annotated[str, Field(pattern=r"^0x([0-9a-f]{2})*$", max_length=2 * MAX_GRAM_BYTES + 2)]
    """Upper triangle, see `statement.gram_bytes`."""
    weights: list[int]
    rows: list[RowFile]

    def statement(self) -> RoundStatement:
        """Raises `FolderMalformed` if it contradicts itself, and what `RoundStatement` raises."""
        layout = PublicRows(past_steps=self.steps, trainable=bool(self.trainable), values=self.values)
        statement = RoundStatement(
            chain_id=self.chain_id,
            verifier=self.verifier,
            market=self.market,
            project=self.project,
            round=self.round,
            dimension=self.dimension,
            layout=layout,
            step=_point(self.step),
            commitments=tuple(_point(one) for one in self.commitments),
            gram=parse_gram(_bytes(self.gram), self.updates, layout.count),
            weights=tuple(self.weights),
            **{name: _bytes(getattr(self, name)) for name in HASHES},
        )
        if to_hex(statement.head()) != self.head or len(self.rows) != statement.n + statement.p:
            raise FolderMalformed("task.json: the head, or the number of rows, is not that of its statement")
        return statement


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _point(text: str) -> Point:
    return Point.from_words(_bytes(text))


class WorkFolder:
    """One round's folder. Everything in it can be made again."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def task_file(self) -> Path:
        return self.path / "task.json"

    @property
    def proof_file(self) -> Path:
        return self.path / "proof"

    def prepare(self, statement: RoundStatement, srs: Path, rows: Sequence[Row]) -> bool:
        """Writes rows and task, unless this very task is there already: then what an interrupted run has left is used.
        Returns whether anything was written. Raises what reading the rows raises."""
        files = [RowFile(file=f"row-{index:02d}", type=_type_of(row)) for index, row in enumerate(rows)]
        content = _task(statement, srs, files).model_dump_json().encode()
        if self.task_file.is_file() and self.task_file.read_bytes() == content:
            return False
        self.remove()
        self.path.mkdir(parents=True, mode=0o700)
        for file, row in zip(files, rows, strict=True):
            with (self.path / file.file).open("wb") as target:
                for block in blocks(row, BLOCK):
                    target.write(np.ascontiguousarray(block, np.dtype(file.type).newbyteorder("<")).tobytes())
        self.write_whole(self.task_file, content)
        return True

    def task(self) -> ProverTask:
        """Raises `FolderMalformed`."""
        try:
            return ProverTask.model_validate_json(self.task_file.read_bytes())
        except (OSError, ValidationError) as error:
            raise FolderMalformed(f"{self.task_file}: {error}") from error

    def rows(self, task: ProverTask) -> list[FileRow]:
        """The rows, to be read block by block."""
        return [FileRow(self.path / one.file, task.dimension, np.dtype(one.type).type) for one in task.rows]

    def proof(self) -> bytes | None:
        """The proof's bytes; None if there is none (yet). Raises `ProverFailed` for a file of another length."""
        try:
            content = self.proof_file.read_bytes()
        except FileNotFoundError:
            return None
        if len(content) != PROOF_BYTES:
            raise ProverFailed(f"the prover left {len(content)} bytes, a proof has {PROOF_BYTES}")
        return content

    @staticmethod
    def write_whole(path: Path, content: bytes) -> None:
        """All of it or nothing, whenever the process is killed."""
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        with fresh.open("wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        fresh.replace(path)

    def remove(self) -> None:
        """Everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def progress_line(part: int, parts: int, step: str) -> str:
    """What a prover says when it begins a part."""
    return json.dumps({"part": part, "parts": parts, "step": step})


def parse_progress(line: str) -> tuple[int, int, str] | None:
    """(part, parts, step) of a prover's line; None for any other line."""
    try:
        found: Any = json.loads(line)
        part, parts, step = int(found["part"]), int(found["parts"]), str(found["step"])[:200]
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return (part, parts, step) if 0 <= part <= parts <= 1000 else None


def _task(statement: RoundStatement, srs: Path, rows: list[RowFile]) -> ProverTask:
    layout = statement.layout
    return ProverTask(
        srs=srs.absolute(),
        head=to_hex(statement.head()),
        chain_id=statement.chain_id,
        verifier=statement.verifier,
        market=statement.market,
        project=statement.project,
        round=statement.round,
        dimension=statement.dimension,
        updates=statement.n,
        steps=layout.past_steps,
        trainable=int(layout.trainable),
        values=layout.values,
        step=to_hex(statement.step.words()),
        commitments=[to_hex(point.words()) for point in statement.commitments],
        gram=to_hex(gram_bytes(statement.gram, statement.n)),
        weights=list(statement.weights),
        rows=rows,
        **{name: to_hex(getattr(statement, name)) for name in HASHES},
    )


def _type_of(row: Row) -> RowType:
    name = np.dtype(row.dtype).name
    if name not in ("int16", "int32", "int64"):
        raise FolderMalformed(f"a row of {name}: provers read int16, int32 and int64")
    return name
