"""Settings are read when asked, never at import; secrets stay out of sight; the reference names them all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cohort_backend import examples
from cohort_backend.settings import ApiSettings, StorageSettings
from pydantic import ValidationError

from tests.architecture.sources import ROOT

GIVEN = {
    "chain_url": "http://user:hunter2@127.0.0.1:8545",
    "chain_id": 31337,
    "market": examples.MARKET.lower(),
    "verifier": examples.VERIFIER,
    "policy": examples.POLICY,
}


def test_they_come_from_the_environment_at_the_time_of_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(f"COHORT_{name.upper()}", str(value))
    assert ApiSettings().market == examples.MARKET
    monkeypatch.setenv("COHORT_CHAIN_ID", "1")
    assert ApiSettings().chain_id == 1
    assert ApiSettings(chain_id=5).chain_id == 5


def test_urls_are_secrets() -> None:
    settings = ApiSettings(**GIVEN, database_url="postgresql://me:hunter2@host/name")
    assert "hunter2" not in repr(settings) + str(settings)
    assert settings.chain_url.get_secret_value() == GIVEN["chain_url"]


@pytest.mark.parametrize(
    "wrong", [{"market": "0x12"}, {"chain_id": 0}, {"port": 70_000}, {"max_body_bytes": 1}, {"confirmations": -1}]
)
def test_values_out_of_range(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        ApiSettings(**(GIVEN | wrong))


def test_defaults_are_absolute_so_that_processes_agree(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("COHORT_"):
            monkeypatch.delenv(name)
    settings = StorageSettings()
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/.cohort/market.db"
    assert settings.broker_url.get_secret_value() == f"filesystem://{tmp_path}/.cohort/broker"


def test_the_reference_names_every_setting() -> None:
    text = (ROOT / "deploy" / "settings.md").read_text()
    missing = [name for name in ApiSettings.model_fields if f"`COHORT_{name.upper()}`" not in text]
    assert not missing


def test_importing_the_service_reads_no_setting() -> None:
    """With settings that would be refused, everything still imports."""
    environment = os.environ | {"COHORT_CHAIN_ID": "nonsense", "COHORT_DATABASE_URL": "nonsense", "COHORT_PORT": "x"}
    code = "import cohort_backend.app, cohort_backend.commands, cohort_backend.models"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
