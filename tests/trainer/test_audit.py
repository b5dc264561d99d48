"""`cohort audit`: what it prints, writes and ends with."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cohort_protocol.audit.document import AuditDocument
from cohort_protocol.ipfs.cid import Cid
from cohort_trainer.auditing.errors import AuditPlaceInvalid
from cohort_trainer.auditing.kept_chain import KeptChain
from cohort_trainer.auditing.places import Places, of_book, of_run
from cohort_trainer.cli import app
from cohort_trainer.wallet import create_keystore
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from tests.fixtures.chain import Devnet
from tests.protocol.audit.market import RealScene

TRUE, FALSE, UNKNOWN, INVALID, UNAVAILABLE, WRONG_MARKET = 0, 60, 61, 10, 20, 23


@pytest.fixture
def scene(devnet: Devnet, tmp_path: Path) -> RealScene:
    scene = RealScene.make(devnet, tmp_path)
    scene.run()
    return scene


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def places(scene: RealScene) -> list[str]:
    return [
        *("--chain", scene.devnet.node.url, "--market", scene.market.address),
        *("--ipfs", f"file://{scene.store.root}"),
    ]


def test_an_honest_project_ends_with_0_and_a_table(scene: RealScene) -> None:
    done = run(scene.project, *places(scene))
    assert done.exit_code == TRUE, done.output
    assert "round 1: settled" in done.stdout
    assert re.search(r"outcome +│ true", done.stdout)
    assert re.search(r"All \d+ checks are true", done.stdout)
    assert "computing it again from 3 updates" in done.stderr, "long audits say what they do"


def test_a_false_check_is_named_and_ends_with_its_own_code(scene: RealScene) -> None:
    scene.admit()
    bundle = scene.compute().bundle
    scene.finish(bundle.model_copy(update={"verdicts": bundle.verdicts[::-1]}))
    done = run(scene.project, *places(scene))
    assert done.exit_code == FALSE
    assert "cohort: outcome of round 2 is false" in done.stderr
    assert "[audit-false, exit 60]" in done.stderr
    assert run(scene.project, *places(scene), "--round", 1).exit_code == TRUE


def test_what_cannot_be_read_ends_with_another_code(scene: RealScene) -> None:
    scene.block_file(Cid.from_bytes(scene.paid[1].bundle_cid)).unlink()
    done = run(scene.project, *places(scene), "--json")
    assert done.exit_code == UNKNOWN
    found = AuditDocument.model_validate_json(done.stdout)
    assert (found.state, found.first.check, found.first.round) == ("unknown", "bundle", 1)
    assert found.counts["false"] == 0


class Page(HTMLParser):
    """Counts tags, and remembers everything that would load something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.loads += [f"{tag} {name}={value}" for name, value in attributes if name in ("src", "href", "srcset")]
        self.loads += [tag] if tag in ("script", "link", "img", "iframe") else []


def test_the_page_has_pictures_and_loads_nothing(scene: RealScene, tmp_path: Path) -> None:
    report = tmp_path / "audit.html"
    done = run(scene.project, *places(scene), "--report", report)
    assert done.exit_code == TRUE, done.output
    text = report.read_text()
    page = Page()
    page.feed(text)
    assert page.loads == []
    assert page.tags["svg"] == 3, "money, checks, and scores against pay of the one settled round"
    assert "A &lt;small&gt; project" in text, "a title is anybody's text"
    assert text.count("<rect") > 30


def test_a_kept_chain_is_served_for_the_audit_and_ended_after_it(scene: RealScene, tmp_path: Path) -> None:
    state = tmp_path / "run" / "chain-state.json"
    state.parent.mkdir()
    dumped = bytes.fromhex(scene.devnet.client.rpc("anvil_dumpState")[2:])
    state.write_bytes(gzip.decompress(dumped))
    (tmp_path / "run" / "run").mkdir()
    (tmp_path / "run" / "run" / "ipfs").symlink_to(scene.store.root)
    book = {"market": scene.market.address, "chain_id": 31337, "block": scene.devnet.deployment.block, "more": 1}
    (tmp_path / "run" / "deployment.json").write_text(json.dumps(book))
    before = state.read_bytes()
    done = run(scene.project, "--run", tmp_path / "run")
    assert done.exit_code == TRUE, done.output
    assert state.read_bytes() == before
    with KeptChain(state) as kept:
        process = kept._process
        assert kept.url.startswith("http://127.0.0.1:")
    assert process is not None
    assert process.poll() == 0


def test_a_state_that_is_none_is_an_error_in_words(scene: RealScene, tmp_path: Path) -> None:
    state = tmp_path / "chain-state.json"
    where = ["--market", scene.market.address, "--ipfs", f"file://{scene.store.root}", "--state", state]
    done = run(scene.project, *where)
    assert done.exit_code == UNAVAILABLE
    assert "there is no chain state" in done.stderr
    state.write_text("{}")
    done = run(scene.project, *where)
    assert done.exit_code == UNAVAILABLE
    assert "cannot be shown" in done.stderr


def test_places_that_are_missing_or_wrong_are_named(scene: RealScene, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    chain, market, ipfs = (places(scene)[i : i + 2] for i in (0, 2, 4))
    for given, words in (
        ([*chain, *ipfs], "no market"),
        ([*chain, *market], "no block store"),
        ([*market, *ipfs], "no chain"),
        ([*chain, *market, "--ipfs", f"file://{tmp_path}"], "is not a block store"),
    ):
        done = run(scene.project, *given)
        assert done.exit_code == INVALID, done.output
        assert words in done.stderr
    assert not (tmp_path / "blocks").exists(), "a store is read, never made"
    assert run(scene.project, *places(scene), "--chain-id", 5).exit_code == WRONG_MARKET
    assert run(scene.project, *chain, *ipfs, "--market", "0x" + "11" * 20).exit_code == WRONG_MARKET
    assert run(scene.project + 50, *places(scene)).exit_code == 11


def test_nearer_places_come_before_those_of_a_run(tmp_path: Path) -> None:
    book = {"market": "0x" + "22" * 20, "chain_id": 31337, "block": 7}
    (tmp_path / "deployment.json").write_text(json.dumps(book))
    of_the_run = of_run(tmp_path)
    assert (of_the_run.start_block, of_the_run.state) == (7, tmp_path / "chain-state.json")
    found = Places(chain="http://127.0.0.1:1", gateway="https://x.example").over(of_the_run)
    assert (found.chain, found.state, found.ipfs, found.market) == ("http://127.0.0.1:1", None, None, "0x" + "22" * 20)
    for content in ('{"market": "0x12"}', "[" * 60_000, '{"market": NaN}', '{"block":1,"block":2}', "\\ud800"):
        (tmp_path / "deployment.json").write_text(content)
        with pytest.raises(AuditPlaceInvalid, match="not an address book"):
            of_book(tmp_path / "deployment.json")


# --- with the key of a reader -----------------------------------------------------------------------------------------


def keystore(folder: Path, account: LocalAccount) -> list[str]:
    create_keystore(folder / "reader.json", account, SecretStr("secret"), work_factor=2)
    (folder / "password").write_text("secret\n")
    (folder / "password").chmod(0o600)
    return ["--keystore", str(folder / "reader.json"), "--password-file", str(folder / "password")]


def test_a_key_changes_nothing_in_a_public_project(scene: RealScene, tmp_path: Path) -> None:
    done = run(scene.project, *places(scene), *keystore(tmp_path, scene.trainers[0]))
    assert done.exit_code == TRUE, done.output


def test_a_key_that_cannot_be_had_is_an_error_in_words(scene: RealScene, tmp_path: Path) -> None:
    key = keystore(tmp_path, scene.witnesses[0])
    (tmp_path / "password").write_text("another\n")
    wrong = run(scene.project, *places(scene), *key)
    assert wrong.exit_code != TRUE
    assert "the password does not open" in wrong.stderr
    (tmp_path / "reader.json").write_text('{"version": 3, "crypto": []}')
    (tmp_path / "password").write_text("secret\n")
    assert "is not a readable keystore" in run(scene.project, *places(scene), *key).stderr
    (tmp_path / "reader.json").unlink()
    missing = run(scene.project, *places(scene), *key)
    assert missing.exit_code == INVALID
    assert "there is no keystore" in missing.stderr
    assert "--keystore FILE, which is missing" in run(scene.project, *places(scene), *key[2:]).stderr
