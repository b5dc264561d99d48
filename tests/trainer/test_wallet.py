"""Keystores and where passwords come from."""

from __future__ import annotations

import stat

import pytest
from cohort_protocol.keystore import PasswordWrong, open_keystore
from cohort_trainer.errors import HomeExists, PasswordMissing
from cohort_trainer.wallet import create_keystore, find_password, new_account
from pydantic import SecretStr

PASSWORD = SecretStr("päss word")
VARIABLE = "COHORT_TRAINER_PASSWORD"


@pytest.fixture
def keystore(tmp_path):
    path, account = tmp_path / "keystore.json", new_account()
    create_keystore(path, account, PASSWORD, work_factor=2)
    return path, account


def test_the_key_comes_back_with_the_password_only(keystore):
    path, account = keystore
    assert open_keystore(path, PASSWORD.get_secret_value()).key == account.key
    with pytest.raises(PasswordWrong, match="does not open"):
        open_keystore(path, "other")


def test_neither_key_nor_password_is_readable_in_the_file(keystore):
    path, account = keystore
    text = path.read_text()
    assert account.key.hex() not in text
    assert PASSWORD.get_secret_value() not in text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_keystore_is_never_overwritten(keystore):
    path, _ = keystore
    before = path.read_bytes()
    with pytest.raises(HomeExists):
        create_keystore(path, new_account(), PASSWORD, work_factor=2)
    assert path.read_bytes() == before


def test_an_empty_password_is_refused(tmp_path):
    with pytest.raises(PasswordMissing):
        create_keystore(tmp_path / "k", new_account(), SecretStr(""), work_factor=2)
    assert not (tmp_path / "k").exists()


# --- where the password comes from ----------------------------------------------------------------------------------


def test_the_file_comes_before_the_environment_and_that_before_the_prompt(tmp_path):
    file = tmp_path / "password"
    file.write_text("from file\n")
    file.chmod(0o600)
    environment = {VARIABLE: "from environment"}

    def prompt() -> str:
        return "from prompt"

    assert find_password(file, environment, VARIABLE, prompt).get_secret_value() == "from file"
    assert find_password(None, environment, VARIABLE, prompt).get_secret_value() == "from environment"
    assert find_password(None, {}, VARIABLE, prompt).get_secret_value() == "from prompt"
    with pytest.raises(PasswordMissing, match=VARIABLE):
        find_password(None, {}, VARIABLE, None)


def test_a_password_file_that_is_none(tmp_path):
    with pytest.raises(PasswordMissing, match="no password file"):
        find_password(tmp_path / "absent", {}, VARIABLE)
    file = tmp_path / "password"
    file.write_bytes(b"\n")
    with pytest.raises(PasswordMissing, match="empty"):
        find_password(file, {}, VARIABLE)
    file.write_bytes(b"\xff")
    with pytest.raises(PasswordMissing, match="UTF-8"):
        find_password(file, {}, VARIABLE)


def test_a_password_does_not_appear_in_a_representation():
    assert "word" not in repr(PASSWORD)
