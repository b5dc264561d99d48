"""What the demo says of who can read a private run's updates: by opening files, not by reading lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_devnet.demo.page import write_page
from cohort_devnet.demo.people import Keys
from cohort_devnet.demo.privacy import try_every_key
from cohort_devnet.demo.report import Privacy, Reader, Report, Round
from cohort_devnet.demo.settings import DemoSettings, DemoSettingsInvalid
from cohort_devnet.demo.tables import print_report
from cohort_protocol.errors import InvalidInput
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.sealing.project import Sealing
from cohort_protocol.sealing.readers import Readers, public_key
from cohort_protocol.update import encode_update
from rich.console import Console

from tests.devnet.demo_sample import sample_report

D = 100
KEYS = Keys.of_seed(7, 3, 3)
READERS = {name: bytes(account.key) for name, account in KEYS.readers().items()}
OTHERS = [bytes(account.key) for account in (KEYS.owner, *KEYS.trainers)]
SEALING = Sealing(Readers(tuple(public_key(key) for key in READERS.values())), b"project 1")
UPDATES = [np.full(D, index, dtype=np.int16) for index in range(3)]


def rounds_with(store: EmbeddedStore, files: list[bytes]) -> list[Round]:
    """One round in which these files were submitted."""
    entry = sample_report(trainers=len(files), rounds=1).rounds[0]
    submissions = [
        one.model_copy(update={"cid": str(store.put(file))}) for one, file in zip(entry.submissions, files, strict=True)
    ]
    return [entry.model_copy(update={"submissions": submissions})]


def tried(store: EmbeddedStore, files: list[bytes], others: list[bytes] = OTHERS) -> Privacy:
    return try_every_key(rounds_with(store, files), store, SEALING, READERS, others, D)


def sealed() -> list[bytes]:
    return [SEALING.published(encode_update(update), key) for update, key in zip(UPDATES, OTHERS[1:], strict=True)]


def test_readers_open_everything_and_nobody_else_anything(tmp_path: Path) -> None:
    found = tried(EmbeddedStore(tmp_path), sealed())
    assert [(one.name, one.opened) for one in found.readers] == [
        ("witness-1", 3),
        ("witness-2", 3),
        ("witness-3", 3),
        ("aggregator", 3),
    ]
    assert [one.address for one in found.readers] == [account.address for account in KEYS.readers().values()]
    assert (found.updates, found.outsiders, found.opened_by_outsiders) == (3, 4, 0)
    assert found.kept


def test_a_file_that_is_not_sealed_or_sealed_for_somebody_else_is_told(tmp_path: Path) -> None:
    public = tried(EmbeddedStore(tmp_path), [encode_update(UPDATES[0]), *sealed()[1:]])
    assert (public.opened_by_outsiders, public.kept) == (1, False)
    owner = Readers((public_key(OTHERS[0]), *SEALING.readers.keys[1:]))
    to_the_owner = Sealing(owner, SEALING.context).published(encode_update(UPDATES[0]), OTHERS[1])
    stolen = tried(EmbeddedStore(tmp_path), [to_the_owner, *sealed()[1:]])
    assert (stolen.opened_by_outsiders, stolen.kept) == (1, False)
    assert [one.opened for one in stolen.readers] == [2, 2, 2, 2]


def test_what_cannot_be_had_proves_nothing(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    rounds = rounds_with(store, sealed())
    for block in (tmp_path / "blocks").rglob("b*"):
        block.unlink()
    with pytest.raises(ContentNotFound):
        try_every_key(rounds, store, SEALING, READERS, OTHERS, D)
    with pytest.raises(InvalidInput, match="public"):
        try_every_key(rounds, store, Sealing(None, b""), READERS, OTHERS, D)


def private_report(stolen: int) -> Report:
    readers = [Reader(name="witness-1", address=KEYS.witnesses[0].address, opened=80)]
    privacy = Privacy(updates=80, file_bytes=76_900, readers=readers, outsiders=9, opened_by_outsiders=stolen)
    return sample_report().model_copy(update={"privacy": privacy})


@pytest.mark.parametrize(("stolen", "words"), [(0, "open none."), (2, "open 2.")])
def test_tables_and_page_say_who_reads(tmp_path: Path, stolen: int, words: str) -> None:
    report = private_report(stolen)
    console = Console(width=160, record=True, file=(tmp_path / "out").open("w"))
    print_report(report, console)
    write_page(report, tmp_path / "page.html")
    page, printed = (tmp_path / "page.html").read_text(), " ".join(console.export_text().split())
    assert words in printed
    assert words in page
    assert "Who can read the updates?" in page
    assert "Seals the update" in page
    assert "no other key of the run opened one" in page or stolen, "nothing is claimed that did not hold"
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json").privacy == report.privacy


def test_a_public_run_says_nothing_of_it(tmp_path: Path) -> None:
    write_page(sample_report(), tmp_path / "page.html")
    assert "sealed" not in (tmp_path / "page.html").read_text()


def test_attested_rounds_cannot_be_private(tmp_path: Path) -> None:
    with pytest.raises(DemoSettingsInvalid, match="--private needs rounds that prove themselves"):
        DemoSettings(report=tmp_path, settlement="attested", private=True)
