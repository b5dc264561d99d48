"""Making the keystore of a home (one Ethereum key, encrypted: Web3 Secret Storage v3, scrypt, AES-128-CTR), and where
its password comes from. `cohort_protocol.keystore` opens it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cohort_protocol.keystore import KeystoreUnreadable, read_password_file
from eth_account import Account
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from cohort_trainer.durable_files import write_durably
from cohort_trainer.errors import HomeExists, PasswordMissing

WORK_FACTOR = 262_144
"""scrypt's n: about a second and 32 MB for each guess of a password. Tests and devnets use less."""


def new_account() -> LocalAccount:
    """A fresh key from the operating system's randomness."""
    return Account.create()


def create_keystore(path: Path, account: LocalAccount, password: SecretStr, work_factor: int = WORK_FACTOR) -> None:
    """Writes the encrypted key. Raises `HomeExists` rather than overwrite one, `PasswordMissing` on an empty
    password."""
    if os.path.exists(path):  # `Path.exists` raises for a name that is too long
        raise HomeExists(f"{path} exists: a key is never overwritten. Use another folder, or move it away yourself")
    if not password.get_secret_value():
        raise PasswordMissing("the password is empty; choose one, it protects the key that gets paid")
    encrypted = Account.encrypt(account.key, password.get_secret_value(), kdf="scrypt", iterations=work_factor)
    write_durably(path, json.dumps(encrypted, sort_keys=True).encode())


def find_password(
    file: Path | None,
    environment: Mapping[str, str],
    variable: str,
    prompt: Callable[[], str] | None = None,
) -> SecretStr:
    """The password from, in this order: `file` (without its line end), the environment `variable`, the prompt.

    `prompt` is None where nobody can answer. Raises `PasswordMissing`, naming the three ways.
    """
    if file is not None:
        try:
            return SecretStr(read_password_file(file))
        except KeystoreUnreadable as error:
            raise PasswordMissing(str(error)) from error
    if environment.get(variable):
        return SecretStr(environment[variable])
    if prompt is not None:
        return SecretStr(prompt())
    raise PasswordMissing(
        f"no password: use --password-file FILE, set {variable}, or run this in a terminal to be asked for it"
    )
