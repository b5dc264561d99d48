"""Home folders: made once, read strictly, run by one process."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest
from cohort_trainer.errors import HomeBusy, HomeExists, HomeInvalid, HomeMissing
from cohort_trainer.home import Home, HomeConfig
from cohort_trainer.wallet import new_account
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

PASSWORD = SecretStr("password")


def config_for(address: str, **changes) -> HomeConfig:
    fields = {
        "address": address,
        "service_url": "http://127.0.0.1:8000",
        "chain_url": "http://127.0.0.1:8545",
        "chain_id": 31337,
        "market": "0x" + "ab" * 20,
        "verifier": "0x" + "cd" * 20,
        "ipfs_url": "file:///tmp/ipfs",
    }
    return HomeConfig(**{**fields, **changes})


@pytest.fixture
def home(tmp_path) -> Home:
    account = new_account()
    return Home.create(tmp_path / "home", config_for(account.address), account, PASSWORD, work_factor=2)


def test_a_home_is_read_back_as_it_was_made(home):
    opened = Home.open(home.root)
    assert opened.config == home.config
    assert opened.unlock(PASSWORD).address == home.config.address


@given(url=st.text(st.characters(exclude_categories=["Cs"]), max_size=40), block=st.integers(0, 2**60))
def test_any_text_survives_the_configuration_file(url, block):
    config = config_for("0x" + "11" * 20, chain_url=url, start_block=block)
    assert HomeConfig.model_validate(tomllib.loads(config.to_toml())) == config


@pytest.mark.parametrize("left", ["config.toml", "keystore.json"])
def test_a_home_is_never_made_over_another(home, left):
    other = new_account()
    gone = "keystore.json" if left == "config.toml" else "config.toml"
    before = (home.root / left).read_bytes()
    (home.root / gone).unlink()
    with pytest.raises(HomeExists):
        Home.create(home.root, config_for(other.address), other, PASSWORD, work_factor=2)
    assert (home.root / left).read_bytes() == before
    assert not (home.root / gone).exists()


def test_a_folder_that_is_no_home(tmp_path):
    with pytest.raises(HomeMissing, match="cohort trainer init"):
        Home.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not toml = [", "not TOML"),
        ("", "address"),
        ("\xff", "not TOML"),
        ("address = " + "[" * 60_000, "not TOML"),
        ('extra = 1\naddress = "0x1"', "address"),
    ],
)
def test_a_damaged_configuration_names_file_and_field(home, text, words):
    (home.root / "config.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(HomeInvalid, match=words):
        Home.open(home.root)


def test_a_keystore_of_another_home_is_noticed(home, tmp_path):
    other = new_account()
    second = Home.create(tmp_path / "second", config_for(other.address), other, PASSWORD, work_factor=2)
    (home.root / "keystore.json").write_bytes((second.root / "keystore.json").read_bytes())
    with pytest.raises(HomeInvalid, match="two homes"):
        home.unlock(PASSWORD)


def test_a_home_without_its_keystore_says_how_to_make_one(home):
    (home.root / "keystore.json").unlink()
    with pytest.raises(HomeMissing, match="cohort trainer init --home"):
        home.unlock(PASSWORD)


def test_the_lock_excludes_another_process_and_ends_with_its_holder(home):
    script = (
        "import sys, time, pathlib\n"
        "from cohort_trainer.home import Home\n"
        f"home = Home.open(pathlib.Path({str(home.root)!r}))\n"
        "with home.exclusive():\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HomeBusy, match=f"process {holder.pid}"), home.exclusive():
            pass
    finally:
        holder.kill()
        holder.wait()
    with home.exclusive():
        assert (home.root / "run.lock").read_text() == f"{os.getpid()}\n"


def test_projects_are_the_folders_with_a_number(home):
    assert home.projects() == []
    for name in ("10", "2", "notes"):
        (home.root / "projects" / name).mkdir(parents=True)
    assert home.projects() == [2, 10]
