from __future__ import annotations

import json
from pathlib import Path

import pytest
from cohort_worker.keystore import KeystoreUnreadable, load_account
from eth_account import Account

from tests.worker.stage import PASSWORD, write_keystore


def test_a_key_is_read_back(tmp_path: Path) -> None:
    account = Account.create()
    keystore, password = write_keystore(account, tmp_path)
    assert load_account(keystore, password).address == account.address
    password.write_text(PASSWORD + "\r\n")
    assert load_account(keystore, password).address == account.address


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"not json", b"\xff", json.dumps({"crypto": 1, "version": 3}).encode(), b" " * 70_000],
)
def test_what_is_no_keystore_is_named(tmp_path: Path, content: bytes) -> None:
    keystore, password = write_keystore(Account.create(), tmp_path)
    keystore.write_bytes(content)
    with pytest.raises(KeystoreUnreadable, match=str(keystore)):
        load_account(keystore, password)


def test_missing_files_and_wrong_passwords_are_named(tmp_path: Path) -> None:
    keystore, password = write_keystore(Account.create(), tmp_path)
    with pytest.raises(KeystoreUnreadable, match="cannot be read"):
        load_account(tmp_path / "missing.json", password)
    with pytest.raises(KeystoreUnreadable, match="cannot be read"):
        load_account(keystore, tmp_path / "missing.password")
    password.write_text("wrong")
    with pytest.raises(KeystoreUnreadable, match="does not open"):
        load_account(keystore, password)
