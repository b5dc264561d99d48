"""Paths that no file can have, wherever somebody may name one: an error in words, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cohort_protocol.errors import CohortError
from cohort_protocol.keystore import open_keystore
from cohort_protocol.proof.project_srs import project_srs
from cohort_protocol.proof.ptau import import_ptau
from cohort_protocol.proof.srs import make_insecure_srs, open_srs, slice_srs
from cohort_trainer.auditing.kept_chain import KeptChain
from cohort_trainer.auditing.places import Places, of_book, of_run
from cohort_trainer.cli import app, main
from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.home import Home, HomeConfig
from cohort_trainer.wallet import create_keystore, new_account
from pydantic import SecretStr
from typer.testing import CliRunner

TWIST = (1, 2, 3, 4)


@pytest.fixture(params=["zero", "too long", "too deep", "folder", "below a file", "loop", "nothing"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return {
        "zero": Path("a\0b"),
        "too long": Path("a" * 300),
        "too deep": Path("a/" * 3000),
        "folder": tmp_path,
        "below a file": tmp_path / "file" / "below",
        "loop": tmp_path / "loop",
        "nothing": Path(""),
    }[request.param]


def _shown(path: Path) -> None:
    with KeptChain(path):
        """Never comes so far."""


def _home(path: Path) -> Home:
    account = new_account()
    config = HomeConfig(
        address=account.address,
        service_url="http://127.0.0.1:9",
        chain_url="http://127.0.0.1:9",
        chain_id=31337,
        market="0x" + "ab" * 20,
        verifier="0x" + "cd" * 20,
        ipfs_url="file:///nowhere",
    )
    return Home.create(path / "below", config, account, SecretStr("x"), work_factor=2)


READING = {
    "srs": open_srs,
    "srs of a project": lambda path: project_srs(path, 1, TWIST, 31337),
    "ptau": lambda path: import_ptau(path, "target"),
    "keystore": lambda path: open_keystore(path, "secret"),
    "address book": of_book,
    "run": of_run,
    "kept chain": _shown,
    "block store": lambda path: Places(ipfs=f"file://{path.absolute() / 'below'}").store(),
    "home": Home.open,
    "file": lambda path: read_bounded(path, 10) or open_srs(path),
}
WRITING = {
    "srs": lambda path: make_insecure_srs(path, 2, "x"),
    "slice": lambda path: slice_srs(make_insecure_srs("whole.srs", 3, "x"), path, 2),
    "file": lambda path: write_durably(path, b"x"),
    "keystore": lambda path: create_keystore(path, new_account(), SecretStr("x"), work_factor=2),
}


@pytest.mark.parametrize("what", READING)
def test_what_cannot_be_read_is_an_error_of_ours(path: Path, what: str, chdir: None) -> None:
    with pytest.raises(CohortError):
        READING[what](path)


@pytest.mark.parametrize("what", WRITING)
def test_what_cannot_be_written_is_an_error_of_ours(path: Path, what: str, chdir: None) -> None:
    if path.name == "loop":
        WRITING[what](path)  # takes the place of the link
        return
    before = sorted(Path.cwd().rglob("*"))
    with pytest.raises(CohortError):
        WRITING[what](path)
    assert [left for left in sorted(Path.cwd().rglob("*")) if left not in before and left.name != "whole.srs"] == []


def test_a_home_below_nothing_is_an_error_of_ours(path: Path, chdir: None) -> None:
    if path in (Path.cwd(), Path("")):
        assert _home(path).root.is_dir()
        return
    with pytest.raises(CohortError):
        _home(path)


@pytest.fixture
def chdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        ("project", "example", "PATH"),
        ("srs", "devnet", "PATH", "--size", "2"),
        ("srs", "show", "PATH"),
        ("audit", "1", "--run", "PATH"),
        ("audit", "1", "--deployment", "PATH"),
        ("audit", "1", "--home", "PATH"),
        ("audit", "1", "--keystore", "PATH", "--password-file", "PATH"),
        ("public-key", "PATH", "--password-file", "PATH"),
        ("aggregator", "init", "--home", "PATH", "--market", "0x" + "ab" * 20, "--password-file", "PATH"),
        ("trainer", "status", "1", "--home", "PATH"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("kind", ["too long", "below a file", "loop"])
def test_commands_say_it(tmp_path: Path, chdir: None, command: tuple[str, ...], kind: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    named = {"too long": "a" * 300, "below a file": "file/below", "loop": "loop"}[kind]
    if kind == "loop" and command[:2] == ("srs", "devnet"):
        return  # takes the place of the link
    done = CliRunner().invoke(app, [named if word == "PATH" else word for word in command])
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code > 1
    assert "cohort: " in done.stderr or "Usage" in done.stderr


def test_a_name_that_is_no_text_can_be_printed(
    tmp_path: Path, chdir: None, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["cohort", "project", "example", os.fsdecode(b"\xff")])
    with open(1, "w", encoding="utf-8", closefd=False) as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 0
    assert "\\udcff" in capfd.readouterr().out
