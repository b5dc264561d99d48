"""A witness without any service: questions and answers as files."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from cohort_protocol.service.messages import ModelReceiptIntake, ProjectState, ReceiptIntake
from cohort_worker.witness.mailbox import FolderMailbox, QuestionMalformed

RECEIPT = ReceiptIntake(
    witness="0x" + "11" * 20, openings_hash="0x" + "22" * 32, endorsed=1, refused=0, signature="0x" + "33" * 65
)


@pytest.fixture
def mailbox(tmp_path: Path) -> FolderMailbox:
    return FolderMailbox(tmp_path / "home")


def _ask(mailbox: FolderMailbox, project: int = 3, **changes: object) -> Path:
    state = ProjectState(version=7, project=project, ended=False, finished=False, round=None)
    path = mailbox.inbox / f"{project}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(state.model_copy(update=changes).model_dump_json())
    fresh.replace(path)
    return path


def test_an_empty_inbox_asks_nothing(mailbox: FolderMailbox) -> None:
    state = mailbox.state(3)
    assert (state.project, state.round, state.reveal_set, state.finished) == (3, None, None, False)


def test_a_question_is_read_and_a_newer_one_is_news(mailbox: FolderMailbox) -> None:
    path = _ask(mailbox)
    first = mailbox.state(3)
    started = time.monotonic()
    assert mailbox.state(3, after=first.version, wait=0.3).version == first.version
    assert time.monotonic() - started >= 0.3
    _ask(mailbox, ended=True)
    os.utime(path, ns=(first.version + 10**9, first.version + 10**9))
    second = mailbox.state(3, after=first.version, wait=30)
    assert (second.ended, second.version > first.version) == (True, True)


def test_it_waits_for_a_question(mailbox: FolderMailbox) -> None:
    threading.Timer(0.3, lambda: _ask(mailbox, ended=True)).start()
    assert mailbox.state(3, after=0, wait=30).ended


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version":1}', b"\xff\xfe", b"x" * (4 * 1024 * 1024 + 1)])
def test_what_is_no_question(mailbox: FolderMailbox, content: bytes) -> None:
    (mailbox.inbox / "3.json").write_bytes(content)
    with pytest.raises(QuestionMalformed, match=r"3\.json"):
        mailbox.state(3)


def test_a_question_about_another_project(mailbox: FolderMailbox) -> None:
    _ask(mailbox, 4).rename(mailbox.inbox / "3.json")
    with pytest.raises(QuestionMalformed, match="project 4"):
        mailbox.state(3)


def test_answers_are_what_a_service_would_be_posted(mailbox: FolderMailbox) -> None:
    assert mailbox.post_receipt(3, 7, RECEIPT).status == "recorded"
    assert mailbox.post_receipt(3, 7, RECEIPT).status == "already-recorded"
    written = mailbox.outbox / "3-round-7-receipt.json"
    assert ReceiptIntake.model_validate_json(written.read_bytes()) == RECEIPT
    mailbox.post_receipt(3, 7, RECEIPT.model_copy(update={"endorsed": 3}))
    assert json.loads(written.read_bytes())["endorsed"] == 3
    model = ModelReceiptIntake(witness=RECEIPT.witness, model="0x" + "ab" * 32, signature=RECEIPT.signature)
    mailbox.post_model_receipt(3, model)
    names = sorted(path.name for path in mailbox.outbox.iterdir())
    assert names == ["3-model-0xabababababababab.json", "3-round-7-receipt.json"]
