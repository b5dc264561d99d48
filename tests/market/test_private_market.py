"""A private market, as processes: its rounds are settled and checked, and its updates open for its readers only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cohort_devnet.demo.report import Report
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.sealing.file import is_sealed
from cohort_protocol.update import update_size

from tests.market.running import DemoProcess, run_cohort

pytestmark = [pytest.mark.market, pytest.mark.timeout(900)]

SIZE = ("--private", "--rounds", "2", "--trainers", "4", "--cheaters", "1", "--seed", "7")
NOT_A_READER = 10


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoProcess:
    """A finished run."""
    folder: Path = tmp_path_factory.mktemp("private") / "demo-report"
    with DemoProcess(folder, *SIZE) as demo:
        status = demo.finish()
    assert status == 0, demo.text()
    return demo


@pytest.fixture(scope="module")
def report(demo: DemoProcess) -> Report:
    return demo.report()


def test_rounds_are_settled_and_the_report_says_who_reads(demo: DemoProcess, report: Report) -> None:
    assert [entry.outcome for entry in report.rounds] == ["settled", "settled"]
    assert report.money.balanced
    privacy = report.privacy
    assert privacy is not None
    assert [(reader.name, reader.opened) for reader in privacy.readers] == [
        ("witness-1", 8),
        ("witness-2", 8),
        ("witness-3", 8),
        ("aggregator", 8),
    ]
    assert (privacy.updates, privacy.outsiders, privacy.opened_by_outsiders) == (8, 5, 0)
    assert "the owner and 4 trainers" in demo.text()
    assert report.headline.cheats_earned == 0
    assert demo.left_behind() == []


def test_what_lies_in_the_store_is_sealed(demo: DemoProcess, report: Report) -> None:
    assert report.privacy is not None
    with EmbeddedStore(demo.folder / "run" / "ipfs") as store:
        for entry in report.rounds:
            for one in entry.submissions:
                file = store.get(Cid.parse(one.cid), report.privacy.file_bytes)
                assert is_sealed(file)
                assert len(file) > update_size(report.project.dimension)


def audit(demo: DemoProcess, *options: str) -> tuple[int, str]:
    return run_cohort("audit", "1", "--run", str(demo.folder), "--json", *options)


def keystore(demo: DemoProcess, path: str) -> tuple[str, ...]:
    run = demo.folder / "run"
    return "--keystore", str(run / path), "--password-file", str(run / "keys" / "password")


def of_rounds(output: str, state: str) -> set[tuple[str, int]]:
    findings = json.loads(output.splitlines()[0])["findings"]
    return {(one["check"], one["round"]) for one in findings if one["state"] == state and one["round"] is not None}


NEED_UPDATES = {(check, number) for check in ("outcome", "scores", "next-model", "public-rows") for number in (1, 2)}


def test_an_outsider_checks_the_proofs_and_a_reader_everything(demo: DemoProcess) -> None:
    status, output = audit(demo)
    assert status == 0, output
    assert of_rounds(output, "absent") >= NEED_UPDATES
    assert {("proof", 1), ("proof", 2), ("pay", 2), ("proven-scores", 2)} <= of_rounds(output, "true")
    for path in ("keys/witness-2.json", "keys/aggregator.json"):
        status, output = audit(demo, *keystore(demo, path))
        assert status == 0, output
        assert of_rounds(output, "true") >= NEED_UPDATES
        assert {("contribution", 1), ("contribution", 2)} <= of_rounds(output, "shown")


def test_a_trainer_is_no_reader(demo: DemoProcess) -> None:
    status, output = audit(demo, *keystore(demo, "trainers/trainer-2/keystore.json"))
    assert status == NOT_A_READER
    assert "is not among the readers of this project" in output
