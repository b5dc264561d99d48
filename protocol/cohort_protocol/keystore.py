"""Encrypted keys: the one place where a keystore is opened, and the files of passwords and bare keys beside it.

A keystore is a Web3 Secret Storage file, version 3, as geth and eth-account write it
(https://ethereum.org/en/developers/docs/data-structures-and-encoding/web3-secret-storage/): scrypt (RFC 7914) or PBKDF2
(RFC 8018), AES-128-CTR, a MAC of keccak256. Such a file says itself how much memory and time its key derivation takes,
and it may come from somebody else: everything in it is checked before any of it is computed, and only what was checked
is handed on.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import structlog
from eth_account import Account
from eth_account.signers.local import LocalAccount

from cohort_protocol.errors import InvalidInput, NotFound

log = structlog.get_logger(__name__)

MAX_KEYSTORE_BYTES = 64 * 1024
MAX_PASSWORD_BYTES = 4096
MAX_KEY_FILE_BYTES = 200

MAX_SCRYPT_MEMORY = 1 << 30
"""Bytes: scrypt takes 128 * n * r. geth and eth-account write n = 2^18, r = 8: 256 MiB."""
MAX_SCRYPT_WORK = 1 << 24
"""n * r * p: eight times what geth and eth-account write, about ten seconds."""
MAX_PBKDF2_ROUNDS = 10_000_000
"""Ten times what eth-account writes, about ten seconds."""

_KEY_BYTES = 32
_DERIVED_BYTES = (32, 64)
"""Least and most: the first 32 bytes are used."""
_MAX_SALT_BYTES = 1024
_HEX = re.compile(r"(?:[0-9a-f]{2})*", re.ASCII)


class KeystoreUnreadable(InvalidInput):
    """A keystore, the file of its password or a file with a bare key cannot be read or does not fit."""

    code = "keystore-unreadable"


class KeystoreMissing(KeystoreUnreadable, NotFound):
    """There is no such file."""

    code = "keystore-missing"


class KeystoreTooCostly(KeystoreUnreadable):
    """The keystore asks for a key derivation that would take the memory or the time of this machine."""

    code = "keystore-too-costly"


class PasswordWrong(KeystoreUnreadable):
    """The password does not open the keystore."""

    code = "password-wrong"


def open_keystore(path: Path, password: str) -> LocalAccount:
    """The key in the keystore at `path`. Takes at most `MAX_SCRYPT_MEMORY` bytes and some ten seconds.

    Raises `KeystoreMissing`; `PasswordWrong`; `KeystoreTooCostly`; `KeystoreUnreadable` for what is no keystore.
    """
    checked, address = _checked(_parsed(_read(path, MAX_KEYSTORE_BYTES, "keystore", encrypted=True), path), path)
    try:
        secret = password.encode()
    except UnicodeEncodeError as error:
        raise PasswordWrong(f"the password for {path} is not text that has a UTF-8 form") from error
    try:
        account = Account.from_key(Account.decrypt(checked, secret))
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise PasswordWrong(
                f"the password does not open {path}: give the one that the keystore was made with, or restore the file "
                "from your backup if that is it"
            ) from error
        # Scrypt's own limits on n, r and p; a key that is zero or no number below the curve's order.
        raise KeystoreUnreadable(f"{path} is not a readable keystore: {error}") from error
    except MemoryError as error:
        raise KeystoreTooCostly(f"this machine has too little memory for the key derivation of {path}") from error
    if address is not None and int(address, 16) != int(account.address, 16):
        _refuse(path, f"it holds the key of {account.address} and says that of 0x{address}")
    return account


def read_password_file(path: Path) -> str:
    """The password in a file: UTF-8, without the one line end at its end. Warns in the log if others may read the file.

    Raises `KeystoreMissing`, `KeystoreUnreadable`."""
    data = _read(path, MAX_PASSWORD_BYTES, "password file")
    try:
        text = data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise KeystoreUnreadable(f"the password file {path} is not UTF-8 text") from error
    if not text:
        raise KeystoreUnreadable(f"the password file {path} is empty")
    return text


def read_key_file(path: Path) -> LocalAccount:
    """The account of a file with the 64 hexadecimal digits of a bare key, which no message repeats.

    Raises `KeystoreMissing`, `KeystoreUnreadable`."""
    data = _read(path, MAX_KEY_FILE_BYTES, "key file")
    digits = data.decode("ascii", "replace").strip().removeprefix("0x")
    try:
        if len(digits) != 2 * _KEY_BYTES or not _HEX.fullmatch(digits.lower()):
            raise ValueError("not 64 digits")
        return Account.from_key(bytes.fromhex(digits))
    except ValueError:
        # Without the cause, whose words may quote the digits.
        raise KeystoreUnreadable(
            f"the key file {path} holds no private key: expected 64 hexadecimal digits, below the curve's order"
        ) from None


def _read(path: Path, max_bytes: int, what: str, encrypted: bool = False) -> bytes:
    """The content of a file, 1 .. `max_bytes` bytes; `what` names it. Others than its owner should not be able to read
    what is not encrypted. Raises `KeystoreMissing`, `KeystoreUnreadable`."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise KeystoreMissing(f"there is no {what} {path}") from error
    except (OSError, ValueError) as error:
        # ValueError: a path with a zero in it.
        words = error.strerror if isinstance(error, OSError) else error
        raise KeystoreUnreadable(f"the {what} {str(path)[:200]!a} cannot be read: {words}") from error
    if not data or len(data) > max_bytes:
        size = f"more than {max_bytes} bytes" if data else "no bytes"
        raise KeystoreUnreadable(f"the {what} {path} has {size}; allowed are 1 .. {max_bytes}")
    # A pipe, as of `--password-file <(program)`, has nobody's permissions to look at.
    if not encrypted and sys.platform != "win32" and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("secret-file-readable-by-others", what=what, file=str(path), mend=f"chmod 600 {path}")
    return data


def _parsed(data: bytes, path: Path) -> Mapping[str, object]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KeystoreUnreadable(f"{path} is not a readable keystore: not JSON. {_BACKUP}") from error
    return _Fields(found, path, "the file").members


def _checked(document: Mapping[str, object], path: Path) -> tuple[dict[str, object], str | None]:
    """What `eth_keyfile` needs of the file and nothing else, every value checked; and the address that it names, if it
    names one. Names are compared without case, as `eth_keyfile` does: some programs write "Crypto"."""
    version = document.get("version")
    if isinstance(version, bool) or version != 3:
        _refuse(path, f"version {_shown(version)} found; Web3 Secret Storage version 3 is read here")
    crypto = _Fields(document.get("crypto"), path, "crypto")
    cipher = crypto.members.get("cipher")
    if cipher != "aes-128-ctr":
        _refuse(path, f"cipher {_shown(cipher)} found; only aes-128-ctr is known")
    kdf = crypto.members.get("kdf")
    parameters = _Fields(crypto.members.get("kdfparams"), path, "kdfparams")
    if kdf == "scrypt":
        derivation = _checked_scrypt(parameters)
    elif kdf == "pbkdf2":
        derivation = _checked_pbkdf2(parameters)
    else:
        _refuse(path, f"key derivation {_shown(kdf)} found; scrypt and pbkdf2 are known")
    checked = {
        "version": 3,
        "crypto": {
            "cipher": cipher,
            # Leading zeros of the initial value are not written by every program.
            "cipherparams": {"iv": _Fields(crypto.members.get("cipherparams"), path, "cipherparams").hex("iv", 1, 16)},
            "ciphertext": crypto.hex("ciphertext", _KEY_BYTES, _KEY_BYTES),
            "kdf": kdf,
            "kdfparams": derivation,
            "mac": crypto.hex("mac", 32, 32),
        },
    }
    named = document.get("address") or None
    return checked, None if named is None else _Fields({"address": named}, path, "the file").hex("address", 20, 20)


def _checked_scrypt(parameters: _Fields) -> dict[str, object]:
    n, r, p = (parameters.number(name, 1) for name in ("n", "r", "p"))
    if 128 * n * r > MAX_SCRYPT_MEMORY or n * r * p > MAX_SCRYPT_WORK:
        raise KeystoreTooCostly(
            f"{parameters.path} asks for scrypt with n = {_shown(n)}, r = {_shown(r)}, p = {_shown(p)}; at most "
            f"{MAX_SCRYPT_MEMORY} bytes of memory (128 n r) and {MAX_SCRYPT_WORK} of work (n r p) are spent. If the "
            "file is your own, encrypt its key again with common parameters: n = 262144, r = 8, p = 1"
        )
    return {"n": n, "r": r, "p": p, **_common(parameters)}


def _checked_pbkdf2(parameters: _Fields) -> dict[str, object]:
    rounds = parameters.number("c", 1)
    if rounds > MAX_PBKDF2_ROUNDS:
        raise KeystoreTooCostly(
            f"{parameters.path} asks for {_shown(rounds)} rounds of PBKDF2; at most {MAX_PBKDF2_ROUNDS} are computed. "
            "If the file is your own, encrypt its key again with scrypt, or with 1000000 rounds"
        )
    prf = parameters.members.get("prf")
    if prf != "hmac-sha256":
        _refuse(parameters.path, f"PBKDF2 with {_shown(prf)} found; only hmac-sha256 is known")
    return {"c": rounds, "prf": prf, **_common(parameters)}


def _common(parameters: _Fields) -> dict[str, object]:
    least, most = _DERIVED_BYTES
    length = parameters.number("dklen", least)
    if length > most:
        _refuse(parameters.path, f"dklen {_shown(length)} found; {least} .. {most} are allowed")
    return {"dklen": length, "salt": parameters.hex("salt", 0, _MAX_SALT_BYTES)}


class _Fields:
    """An object of the file, read strictly. `where` names it in messages."""

    def __init__(self, found: object, path: Path, where: str) -> None:
        self.path = path
        self.where = where
        if not isinstance(found, Mapping):
            _refuse(path, f"{where} is not an object")
        self.members = {name.lower(): value for name, value in found.items()}
        if len(self.members) != len(found):
            _refuse(path, f"{where} has a field twice, in upper and lower case")

    def number(self, name: str, least: int) -> int:
        found = self.members.get(name)
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            _refuse(self.path, f"{name} in {self.where} is {_shown(found)}; expected a whole number from {least}")
        return found

    def hex(self, name: str, least: int, most: int) -> str:
        """Hexadecimal digits of `least` .. `most` bytes, in lower case, without "0x"."""
        found = self.members.get(name)
        digits = found.lower().removeprefix("0x") if isinstance(found, str) else None
        if digits is None or not _HEX.fullmatch(digits) or not least <= len(digits) // 2 <= most:
            size = f"{least}" if least == most else f"{least} .. {most}"
            _refuse(self.path, f"{name} in {self.where} is not {size} bytes in hexadecimal digits")
        return digits


_BACKUP = "If it should be one, restore it from your backup"


def _refuse(path: Path, words: str) -> NoReturn:
    raise KeystoreUnreadable(f"{path} is not a readable keystore: {words}. {_BACKUP}")


def _shown(value: object) -> str:
    """A value of the file for a message: at most 40 characters, printable."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return f"a number of {value.bit_length()} bits"  # Python refuses to write out very long ones
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."
