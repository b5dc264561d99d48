"""How a witness is asked, and where its answers go: a service, or a folder. Neither is believed.

The chain says nothing of reveals before witnesses have signed for them, so that somebody has to show them: what is
asked comes as one JSON document per project, in the shape of the service's `GET /v1/projects/{p}/state`, and each
answer is the JSON that the service would be posted. With a folder any way of carrying files does: a third party needs
nothing of ours to run.

    inbox/3.json                          what is asked of project 3, replaced as the project goes on
    outbox/3-round-7-receipt.json         this witness's receipt for reveals
    outbox/3-round-7-public-rows.json     its word on the public rows
    outbox/3-round-7-settlement.json      its word on the outcome, or on the bytes of the next model
    outbox/3-model-0x1234abcd....json     its receipt for a model that waits for some
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

import structlog
from cohort_protocol.errors import InvalidInput, Unavailable
from cohort_protocol.service.messages import (
    Accepted,
    ModelReceiptIntake,
    ProjectState,
    PublicRowsRefusal,
    PublicRowsSignature,
    ReceiptIntake,
    SettlementRefusal,
    SettlementSignature,
)
from pydantic import BaseModel, ValidationError

log = structlog.get_logger(__name__)

MAX_QUESTION_BYTES = 4 * 1024 * 1024
POLL_SECONDS = 0.25
"""How often a folder is looked at while a witness waits for news."""


class QuestionMalformed(InvalidInput):
    """A file in the inbox is not what a witness can be asked."""

    code = "question-malformed"


class MailboxUnavailable(Unavailable):
    """The folder cannot be read or written now."""

    code = "mailbox-unavailable"


class Mailbox(Protocol):
    """A `ServiceClient` is one."""

    def state(self, project: int, after: int = -1, wait: float = 0.0) -> ProjectState:
        """What is asked of a project: at once if its version is above `after`, else after up to `wait` seconds."""
        ...

    def post_receipt(self, project: int, round: int, intake: ReceiptIntake) -> Accepted: ...

    def post_rows_signature(self, project: int, round: int, intake: PublicRowsSignature) -> Accepted: ...

    def post_rows_refusal(self, project: int, round: int, intake: PublicRowsRefusal) -> Accepted: ...

    def post_settlement_signature(self, project: int, round: int, intake: SettlementSignature) -> Accepted: ...

    def post_settlement_refusal(self, project: int, round: int, intake: SettlementRefusal) -> Accepted: ...

    def post_model_receipt(self, project: int, intake: ModelReceiptIntake) -> Accepted: ...


class FolderMailbox:
    """See the module. Safe under threads and with several files at once; each file appears whole."""

    def __init__(self, root: Path) -> None:
        self.inbox, self.outbox = root / "inbox", root / "outbox"
        try:
            for folder in (self.inbox, self.outbox):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MailboxUnavailable(f"cannot make the mailbox {root}: {error}") from error

    def state(self, project: int, after: int = -1, wait: float = 0.0) -> ProjectState:
        """See `Mailbox`. Without a file nothing is asked. Raises `QuestionMalformed`, `MailboxUnavailable`."""
        until = time.monotonic() + wait
        while True:
            found = self._read(project)
            if found.version > after or time.monotonic() >= until:
                return found
            time.sleep(min(POLL_SECONDS, wait))

    def _read(self, project: int) -> ProjectState:
        path = self.inbox / f"{project}.json"
        try:
            with path.open("rb") as file:
                changed = os.fstat(file.fileno()).st_mtime_ns
                data = file.read(MAX_QUESTION_BYTES + 1)
        except FileNotFoundError:
            return ProjectState(version=0, project=project, ended=False, finished=False, round=None)
        except OSError as error:
            raise MailboxUnavailable(f"{path} cannot be read: {error}") from error
        if len(data) > MAX_QUESTION_BYTES:
            raise QuestionMalformed(f"{path} is larger than {MAX_QUESTION_BYTES} bytes")
        try:
            state = ProjectState.model_validate_json(data)
        except ValidationError as error:
            raise QuestionMalformed(
                f"{path} is not a project's state as the service's API gives it: {error.errors()[0]['msg']}"
            ) from error
        if state.project != project:
            raise QuestionMalformed(f"{path} speaks of project {state.project}")
        # The file's time, so that a document of another service, with smaller numbers, is news too.
        return state.model_copy(update={"version": changed})

    def post_receipt(self, project: int, round: int, intake: ReceiptIntake) -> Accepted:
        """See `Mailbox`."""
        return self._write(f"{project}-round-{round}-receipt", intake)

    def post_rows_signature(self, project: int, round: int, intake: PublicRowsSignature) -> Accepted:
        """See `Mailbox`."""
        return self._write(f"{project}-round-{round}-public-rows", intake)

    def post_rows_refusal(self, project: int, round: int, intake: PublicRowsRefusal) -> Accepted:
        """See `Mailbox`."""
        return self._write(f"{project}-round-{round}-public-rows", intake)

    def post_settlement_signature(self, project: int, round: int, intake: SettlementSignature) -> Accepted:
        """See `Mailbox`."""
        return self._write(f"{project}-round-{round}-settlement", intake)

    def post_settlement_refusal(self, project: int, round: int, intake: SettlementRefusal) -> Accepted:
        """See `Mailbox`."""
        return self._write(f"{project}-round-{round}-settlement", intake)

    def post_model_receipt(self, project: int, intake: ModelReceiptIntake) -> Accepted:
        """See `Mailbox`."""
        return self._write(f"{project}-model-{intake.model[:18]}", intake)

    def _write(self, name: str, message: BaseModel) -> Accepted:
        path = self.outbox / f"{name}.json"
        data = message.model_dump_json(indent=2).encode() + b"\n"
        fresh = path.with_name(f".{path.name}.new")
        try:
            if path.is_file() and path.read_bytes() == data:
                return Accepted(status="already-recorded")
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError as error:
            raise MailboxUnavailable(f"{path} cannot be written: {error}") from error
        log.info("answer_written", path=str(path))
        return Accepted(status="recorded")
