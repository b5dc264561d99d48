"""The keystore of a home: one Ethereum key, encrypted (Web3 Secret Storage v3: scrypt, AES-128-CTR)."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
from eth_account import Account
from eth_account.signers.local import LocalAccount
from pydantic import SecretStr

from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.errors import HomeExists, HomeInvalid, HomeMissing, PasswordMissing, PasswordWrong

log = structlog.get_logger(__name__)

MAX_KEYSTORE_BYTES = 16 * 1024
MAX_PASSWORD_BYTES = 4096

WORK_FACTOR = 262_144
"""scrypt's n: about a second and 32 MB for each guess of a password. Tests and devnets use less."""


def new_account() -> LocalAccount:
    """A fresh key from the operating system's randomness."""
    return Account.create()


def account_from_key_file(path: Path) -> LocalAccount:
    """An existing key: a file with its 64 hex digits. Raises `HomeInvalid`; the digits never appear in a message."""
    data = read_bounded(path, 200)
    if data is None:
        raise HomeInvalid(f"there is no key file {path}")
    text = data.decode("ascii", "replace").strip().removeprefix("0x")
    try:
        if len(text) != 64:
            raise ValueError("length")
        return Account.from_key(bytes.fromhex(text))
    except ValueError as error:
        raise HomeInvalid(f"{path} holds no private key: expected 64 hex digits below the curve's order") from error


def create_keystore(path: Path, account: LocalAccount, password: SecretStr, work_factor: int = WORK_FACTOR) -> None:
    """Writes the encrypted key. Raises `HomeExists` rather than overwrite one, `PasswordMissing` on an empty
    password."""
    if path.exists():
        raise HomeExists(f"{path} exists: a key is never overwritten. Use another folder, or move it away yourself")
    if not password.get_secret_value():
        raise PasswordMissing("the password is empty; choose one, it protects the key that gets paid")
    encrypted = Account.encrypt(account.key, password.get_secret_value(), kdf="scrypt", iterations=work_factor)
    write_durably(path, json.dumps(encrypted, sort_keys=True).encode())


def open_keystore(path: Path, password: SecretStr) -> LocalAccount:
    """The key. Raises `HomeMissing`, `HomeInvalid` (not a keystore) or `PasswordWrong`."""
    data = read_bounded(path, MAX_KEYSTORE_BYTES)
    if data is None:
        raise HomeMissing(f"there is no keystore {path}; `cohort trainer init --home {path.parent}` makes one")
    try:
        encrypted = json.loads(data)
        if not isinstance(encrypted, Mapping) or encrypted.get("version") != 3 or "crypto" not in encrypted:
            raise HomeInvalid(f"{path} is not a Web3 Secret Storage v3 file; restore it from your backup")
        _check_scrypt(encrypted, path)
        return Account.from_key(Account.decrypt(encrypted, password.get_secret_value()))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise PasswordWrong(f"the password does not open {path}") from error
        raise HomeInvalid(f"{path} is not a readable keystore: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, RuntimeError) as error:
        # Of `eth_keyfile`, which believes what a file says; RecursionError of deep JSON, NotImplementedError.
        raise HomeInvalid(f"{path} is not a readable keystore: {type(error).__name__} {error}") from error


def _check_scrypt(encrypted: Mapping, path: Path) -> None:
    """A foreign file must not make us compute for hours."""
    parameters = encrypted["crypto"].get("kdfparams", {})
    found = {name: int(parameters.get(name, 1)) for name in ("n", "r", "p", "c", "dklen")}
    cost = found["n"] * found["r"] * found["p"]
    if min(found.values()) < 1 or cost > 1 << 26 or found["c"] > 10_000_000 or found["dklen"] > 64:
        raise HomeInvalid(f"{path} asks for a key derivation of absurd cost; it is not ours")


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
        return _password_from_file(file)
    if environment.get(variable):
        return SecretStr(environment[variable])
    if prompt is not None:
        return SecretStr(prompt())
    raise PasswordMissing(
        f"no password: use --password-file FILE, set {variable}, or run this in a terminal to be asked for it"
    )


def _password_from_file(file: Path) -> SecretStr:
    data = read_bounded(file, MAX_PASSWORD_BYTES)
    if data is None:
        raise PasswordMissing(f"there is no password file {file}")
    if sys.platform != "win32" and file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("password-file-readable-by-others", file=str(file), mend=f"chmod 600 {file}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise PasswordMissing(f"the password file {file} is not UTF-8 text") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise PasswordMissing(f"the password file {file} is empty")
    return SecretStr(text)
