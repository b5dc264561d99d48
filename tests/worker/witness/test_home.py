"""The folder of a witness, and the settings that a process needs before it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from cohort_protocol.keystore import open_keystore
from cohort_worker.witness.home import HomeThere, HomeUnusable, WitnessConfig, WitnessHome
from cohort_worker.witness.process import WitnessProcess
from eth_account import Account
from pydantic import SecretStr

ADDRESS = "0x" + "11" * 20
FULL = WitnessConfig(
    chain="http://127.0.0.1:1",
    chain_id=31337,
    ipfs="file:///nowhere",
    market=ADDRESS,
    verifier=ADDRESS,
    projects=[3, 4],
)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("secret\n")
    return path


def test_a_home_is_made_once_and_read_again(tmp_path: Path, password: Path) -> None:
    account, home = Account.create(), WitnessHome(tmp_path / "home")
    home.create(FULL, account, SecretStr("secret"))
    assert home.config() == FULL
    assert open_keystore(home.keystore, "secret").address == account.address
    assert home.keystore.stat().st_mode & 0o077 == 0
    with pytest.raises(HomeThere):
        home.create(FULL, account, SecretStr("secret"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cohort witness init"),
        (b"chain = ", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b"chain = " + b"[" * 10_000, "cannot be read"),
        (b'surprise = "1"', "surprise"),
        (b'market = "nowhere"', "market"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, content: bytes | None, words: str) -> None:
    home = WitnessHome(tmp_path)
    if content is not None:
        home.settings.write_bytes(content)
    with pytest.raises(HomeUnusable, match=words):
        home.config()


@pytest.mark.parametrize("missing", ["chain", "ipfs", "market", "verifier"])
def test_what_is_missing_is_named(tmp_path: Path, password: Path, missing: str) -> None:
    with pytest.raises(HomeUnusable, match=f"--{missing}"):
        WitnessProcess(FULL.model_copy(update={missing: None}), WitnessHome(tmp_path), None, None, password)


def test_somebody_has_to_be_able_to_ask(tmp_path: Path, password: Path) -> None:
    keystore = tmp_path / "key.json"
    with pytest.raises(HomeUnusable, match="nobody can ask"):
        WitnessProcess(FULL, None, keystore, None, password)
