"""The journals: the suite on both, and what only a file can do wrong."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

import pytest
from cohort_protocol.chain.errors import JournalBroken
from cohort_protocol.chain.journal import EntryState, FileJournal, MemoryJournal

from tests.protocol.chain.journal_suite import JournalSuite, entry


class TestMemoryJournal(JournalSuite):
    @pytest.fixture
    def journal(self) -> MemoryJournal:
        return MemoryJournal()


class TestFileJournal(JournalSuite):
    @pytest.fixture
    def journal(self, tmp_path: Path) -> FileJournal:
        return FileJournal(tmp_path / "home" / "transactions.json")


def test_a_file_journal_survives_its_process(tmp_path: Path) -> None:
    FileJournal(tmp_path / "j.json").record(entry())
    FileJournal(tmp_path / "j.json").mark("settle 1/1", 1, EntryState.MINED, 5)
    found = FileJournal(tmp_path / "j.json").find("settle 1/1")
    assert found is not None
    assert (found.raw, found.state, found.block_number) == (entry().raw, EntryState.MINED, 5)


def test_what_is_not_sent_yet_is_the_owners_alone(tmp_path: Path) -> None:
    FileJournal(tmp_path / "journal.json").record(entry())
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace("pending", "sent"),
        lambda text: text.replace('"nonce": 0', '"nonce": -1'),
        lambda text: json.dumps({"version": 1, "entries": [], "more": 1}),
    ],
)
def test_a_damaged_file_stops_sending(tmp_path: Path, damage) -> None:
    path = tmp_path / "j.json"
    journal = FileJournal(path)
    journal.record(entry())
    damaged = damage(path.read_text())
    assert damaged != path.read_text()
    path.write_text(damaged)
    with pytest.raises(JournalBroken, match=r"j\.json"):
        journal.find("settle 1/1")
    with pytest.raises(JournalBroken):
        journal.record(entry("other"))
    assert path.read_text() == damaged, "evidence is left as it is"


def test_a_half_written_file_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash before the rename leaves the old journal."""
    journal = FileJournal(tmp_path / "j.json")
    journal.record(entry())

    class Crash(BaseException):
        pass

    def crash(self: Path, target: Path) -> None:
        raise Crash

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(Crash):
        journal.record(entry("other", nonce=1))
    monkeypatch.undo()
    assert journal.find("other") is None
    journal.record(entry("other", nonce=1))
    assert journal.find("settle 1/1") == entry()


def _hold(path: str, ready, seconds: float) -> None:
    with FileJournal(path).exclusive():
        ready.set()
        time.sleep(seconds)


def test_exclusive_excludes_other_processes_and_ends_with_them(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    child = context.Process(target=_hold, args=(str(path), ready, 0.6))
    child.start()
    try:
        assert ready.wait(20)
        start = time.monotonic()
        with FileJournal(path).exclusive():
            waited = time.monotonic() - start
        assert waited > 0.3
    finally:
        child.join(10)
    ready.clear()
    child = context.Process(target=_hold, args=(str(path), ready, 600))
    child.start()
    assert ready.wait(20)
    child.kill()
    child.join(10)
    with FileJournal(path).exclusive():
        pass
