"""Reading an encrypted key: the aggregator's by the worker, a witness's by its own process. Never anybody else's."""

from __future__ import annotations

import json
from pathlib import Path

from cohort_protocol.errors import InvalidInput
from eth_account import Account
from eth_account.signers.local import LocalAccount

MAX_KEYSTORE_BYTES = 64 * 1024
MAX_PASSWORD_BYTES = 4096


class KeystoreUnreadable(InvalidInput):
    """The keystore or its password file cannot be read, or the password does not fit."""

    code = "keystore-unreadable"


def load_account(keystore: Path, password_file: Path) -> LocalAccount:
    """Decrypts a Web3 Secret Storage file (version 3). A newline at the end of the password file is not part of the
    password. Raises `KeystoreUnreadable`."""
    password = read_password(password_file)
    content = _read(keystore, MAX_KEYSTORE_BYTES, "keystore")
    try:
        return Account.from_key(Account.decrypt(json.loads(content), password))
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # Of `eth_keyfile`, which believes what a file says; RecursionError of deep JSON.
        raise KeystoreUnreadable(
            f"the keystore {keystore} does not open with the password in {password_file}: {error}"
        ) from error


def read_password(path: Path) -> str:
    """The content of a password file without the newline at its end. Raises `KeystoreUnreadable`."""
    return _read(path, MAX_PASSWORD_BYTES, "password file").decode("utf-8", "replace").rstrip("\r\n")


def read_key_file(path: Path) -> LocalAccount:
    """The account of a file with a private key in hexadecimal digits. Raises `KeystoreUnreadable`."""
    text = _read(path, MAX_PASSWORD_BYTES, "key file").decode("ascii", "replace").strip()
    try:
        return Account.from_key(bytes.fromhex(text.removeprefix("0x")))
    except ValueError as error:
        raise KeystoreUnreadable(f"the key file {path} does not hold 64 hexadecimal digits") from error


def _read(path: Path, limit: int, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise KeystoreUnreadable(f"the {what} {path} cannot be read: {error.strerror or error}") from error
    if not content or len(content) > limit:
        raise KeystoreUnreadable(f"the {what} {path} has {len(content)} bytes, allowed are 1 .. {limit}")
    return content
