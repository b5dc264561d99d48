"""The round journal: what is decided stays decided, whatever the disk does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.errors import HomeInvalid, RecordBroken
from cohort_trainer.journal import ROUNDS_KEPT, RoundJournal, RoundRecord
from hypothesis import given
from hypothesis import strategies as st

CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"


def record(round: int = 1, **changes) -> RoundRecord:
    fields = {
        "project": 3,
        "round": round,
        "trainer": "0x" + "11" * 20,
        "member": 4,
        "model": "0x" + "22" * 32,
        "update": "0x" + "33" * 32,
        "cid": CID,
        "commitment": "0x" + "44" * 32,
        "signature": "0x" + "55" * 65,
        "train_reference": "",
        "seed": 7,
    }
    return RoundRecord(**{**fields, **changes})


@pytest.fixture
def journal(tmp_path) -> RoundJournal:
    return RoundJournal(tmp_path / "3", 3)


def test_a_decided_round_is_found_again(journal):
    assert journal.load(1) is None
    made = journal.begin(record(), b"update")
    assert journal.load(1) == made
    assert journal.update_file(1, 100) == b"update"
    assert journal.rounds() == [1]


def test_deciding_again_for_the_same_is_nothing_new(journal):
    first = journal.change(journal.begin(record(), b"update"), committed=True)
    assert journal.begin(record(), b"another file") == first
    assert journal.update_file(1, 100) == b"update"


@pytest.mark.parametrize("field", ["model", "update", "commitment", "signature"])
def test_a_round_is_never_decided_for_something_else(journal, field):
    journal.begin(record(), b"update")
    length = 65 if field == "signature" else 32
    with pytest.raises(RecordBroken, match="never made"):
        journal.begin(record(**{field: "0x" + "66" * length}), b"other")
    assert journal.update_file(1, 100) == b"update"


@pytest.mark.parametrize("field", ["commitment", "update", "cid", "signature", "model", "trainer", "member"])
def test_what_was_decided_cannot_be_changed(journal, field):
    made = journal.begin(record(), b"update")
    with pytest.raises(RecordBroken, match=field):
        journal.change(made, **{field: "0x" + "66" * 32})
    assert journal.load(1) == made


def test_progress_is_durable_and_keeps_the_rest(journal):
    made = journal.begin(record(), b"update")
    changed = journal.change(made, committed=True, published=True, fate="resolved")
    assert journal.load(1) == changed
    assert changed.commitment == made.commitment


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff", b'{"version": 2, "unknown": 2}'])
def test_a_damaged_record_is_an_error_not_an_empty_round(journal, content):
    journal.begin(record(), b"update")
    (journal._record(1)).write_bytes(content)
    with pytest.raises(RecordBroken, match="nothing else will be sent"):
        journal.load(1)
    with pytest.raises(RecordBroken):
        journal.begin(record(), b"update")


def test_a_record_of_another_round_is_noticed(journal):
    journal.begin(record(1), b"update")
    journal._record(2).parent.mkdir(parents=True)
    journal._record(2).write_bytes(journal._record(1).read_bytes())
    with pytest.raises(RecordBroken, match="mixed up"):
        journal.load(2)


def test_old_updates_go_and_their_records_stay(journal):
    newest = ROUNDS_KEPT + 3
    for number in range(1, newest + 1):
        journal.begin(record(number), b"update")
    journal.prune(newest)
    kept = [number for number in journal.rounds() if journal.update_file(number, 100) is not None]
    assert kept == list(range(newest - ROUNDS_KEPT + 1, newest + 1))
    assert all(journal.load(number) is not None for number in range(1, newest + 1))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_durable_file_has_the_old_content_or_the_new(tmp_path_factory, old, new):
    path = tmp_path_factory.mktemp("files") / "sub" / "file"
    write_durably(path, old)
    write_durably(path, new)
    assert read_bounded(path, 200) == new
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_file_that_is_too_large_or_cannot_be_written_is_an_error_of_the_home(tmp_path):
    write_durably(tmp_path / "file", b"12345")
    with pytest.raises(HomeInvalid, match="larger than 4"):
        read_bounded(tmp_path / "file", 4)
    with pytest.raises(HomeInvalid, match="cannot write"):
        write_durably(tmp_path / "file" / "below", b"")
    with pytest.raises(HomeInvalid, match="cannot read"):
        read_bounded(tmp_path, 4)


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(HomeInvalid, match="name another"):
        write_durably(pipe, b"report")
    assert pipe.is_fifo()
