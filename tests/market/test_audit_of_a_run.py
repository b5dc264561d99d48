"""What a run leaves is enough for an outsider: chain state and block store, with every process ended."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.reader import leaves
from cohort_protocol.update import update_size

from tests.market.running import DemoProcess, run_cohort

pytestmark = [pytest.mark.market, pytest.mark.timeout(900)]


def test_everything_is_true_from_what_is_left(undisturbed: DemoProcess, tmp_path: Path) -> None:
    assert not undisturbed.left_behind(), "nothing of ours runs"
    page = tmp_path / "audit.html"
    status, output = run_cohort("audit", "1", "--run", str(undisturbed.folder), "--report", str(page), "--json")
    assert status == 0, output
    found = json.loads(output.splitlines()[0])
    assert found["state"] == "true"
    assert found["counts"]["false"] == found["counts"]["unknown"] == 0
    report = undisturbed.report()
    assert [entry["bundle"] for entry in found["rounds"]] == [entry.bundle_cid for entry in report.rounds]
    for entry, told in zip(found["rounds"], report.rounds, strict=True):
        assert {row["trainer"]: int(row["pay"]) for row in entry["rows"]} == {
            trainer: amount
            for trainer, amount in told.payouts.items()
            if trainer in {r["trainer"] for r in entry["rows"]}
        }
    assert int(found["money"]["claimed"]) == report.money.claimed
    assert "<svg" in page.read_text()


def test_a_tampered_store_is_found_and_a_tampered_database_does_not_matter(
    undisturbed: DemoProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "demo-report"
    shutil.copytree(undisturbed.folder, folder)
    database = folder / "run" / "market.db"
    database.write_bytes(b"nothing to see here")
    status, output = run_cohort("audit", "1", "--run", str(folder), "--round", "2")
    assert status == 0, output
    report = undisturbed.report()
    store = EmbeddedStore(folder / "run" / "ipfs")
    update = Cid.parse(report.rounds[1].submissions[0].cid)
    leaf = next(iter(leaves(update, update_size(report.project.dimension), store._read_block))).cid
    block = next((folder / "run" / "ipfs" / "blocks").rglob(str(leaf)))
    content = bytearray(block.read_bytes())
    content[100] ^= 1
    block.write_bytes(content)
    status, output = run_cohort("audit", "1", "--run", str(folder), "--round", "2")
    assert status == 60, output
    assert "files of round 2 is false: the update of row 0 is damaged in the store" in output
