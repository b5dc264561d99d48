"""`cohort doctor` on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from cohort_devnet import doctor as doctor_module
from cohort_devnet.doctor import doctor
from cohort_devnet.preflight import Check
from cohort_protocol import native_extension
from cohort_protocol.scoring.kernel import default_kernel, native
from typer.testing import CliRunner


def run(*arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(doctor)
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments))
    return result.exit_code, result.output


def test_it_names_every_part_with_its_version(tmp_path: Path) -> None:
    status, text = run("--report", str(tmp_path), "--trainers", "1")
    assert status == 0, text
    for part in (
        "Python",
        "Node",
        "Anvil version",
        "anvil 1.",
        "Solidity",
        "torch",
        "SQLite",
        "Celery",
        "Kubo",
        "web3",
        "scoring kernel",
        default_kernel().name,
    ):
        assert part in text


def test_a_kernel_that_was_not_built_is_told_and_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_extension, "EXTENSION_SUFFIXES", [".not-built"])
    native.native_library.cache_clear()
    try:
        check = next(check for check in doctor_module.part_versions() if check.what == "scoring kernel")
    finally:
        native.native_library.cache_clear()
    assert "numpy" in check.found
    assert "Install gcc" in check.found
    assert not check.problem


def test_it_fails_when_something_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [Check("Node", "missing", "Node.js is missing: install Node 20")]
    monkeypatch.setattr(doctor_module, "run_preflight", lambda *_: missing)
    monkeypatch.setattr(doctor_module, "part_versions", list)
    status, text = run()
    assert status == 1
    assert "install Node 20" in text
