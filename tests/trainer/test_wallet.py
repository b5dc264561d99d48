"""Keystores and where passwords come from."""

from __future__ import annotations

import json
import stat

import pytest
import structlog
from cohort_trainer.errors import HomeExists, HomeInvalid, HomeMissing, PasswordMissing, PasswordWrong
from cohort_trainer.wallet import account_from_key_file, create_keystore, find_password, new_account, open_keystore
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
    assert open_keystore(path, PASSWORD).key == account.key
    with pytest.raises(PasswordWrong, match="does not open"):
        open_keystore(path, SecretStr("other"))


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


def test_no_keystore_says_how_to_make_one(tmp_path):
    with pytest.raises(HomeMissing, match="cohort trainer init"):
        open_keystore(tmp_path / "keystore.json", PASSWORD)


@pytest.mark.parametrize(
    "text",
    [
        *("", "not json", "[]", '{"version": 1}', '{"version": 3}', '{"version": 3, "crypto": {}}'),
        *('{"version": 3, "crypto": []}', '{"version": 3, "crypto": {"kdfparams": 7}}', "[" * 16_000),
    ],
)
def test_a_damaged_keystore_is_named_as_such(tmp_path, text):
    path = tmp_path / "keystore.json"
    path.write_text(text)
    with pytest.raises(HomeInvalid):
        open_keystore(path, PASSWORD)


@pytest.mark.parametrize(("name", "number"), [("n", 1 << 40), ("dklen", 10**300), ("p", -1), ("r", 0)])
def test_a_keystore_that_asks_for_absurd_work_is_refused(keystore, name, number):
    path, _ = keystore
    value = json.loads(path.read_text())
    value["crypto"]["kdfparams"][name] = number
    path.write_text(json.dumps(value))
    with pytest.raises(HomeInvalid, match="absurd"):
        open_keystore(path, PASSWORD)


def test_a_key_file_gives_its_key_and_never_shows_it(tmp_path):
    account = new_account()
    path = tmp_path / "key"
    path.write_text("0x" + account.key.hex().removeprefix("0x") + "\n")
    assert account_from_key_file(path).address == account.address
    for bad in ("", "abc", "zz" * 32, "00" * 32, "ff" * 32):
        path.write_text(bad)
        with pytest.raises(HomeInvalid) as raised:
            account_from_key_file(path)
        assert not bad or bad not in str(raised.value)
    with pytest.raises(HomeInvalid, match="no key file"):
        account_from_key_file(tmp_path / "absent")


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


@pytest.mark.parametrize(("text", "expected"), [("a\n", "a"), ("a\r\n", "a"), (" a ", " a "), ("a\n\n", "a\n")])
def test_only_the_line_end_of_a_password_file_is_dropped(tmp_path, text, expected):
    file = tmp_path / "password"
    file.write_bytes(text.encode())
    file.chmod(0o600)
    assert find_password(file, {}, VARIABLE).get_secret_value() == expected


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


def test_a_password_file_that_others_can_read_is_mentioned(tmp_path):
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(0o644)
    with structlog.testing.capture_logs() as logs:
        find_password(file, {}, VARIABLE)
    assert logs[0]["event"] == "password-file-readable-by-others"
    assert "secret" not in str(logs)


def test_a_password_does_not_appear_in_a_representation():
    assert "word" not in repr(PASSWORD)
