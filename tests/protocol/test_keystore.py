"""Opening encrypted keys: ours, other programs', damaged ones, and ones made to hurt whoever opens them."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path

import pytest
import structlog
from cohort_protocol.keystore import (
    MAX_KEYSTORE_BYTES,
    KeystoreMissing,
    KeystoreTooCostly,
    KeystoreUnreadable,
    PasswordWrong,
    open_keystore,
    read_key_file,
    read_password_file,
)
from eth_account import Account

PASSWORD = "päss word"
KEY = bytes.fromhex("7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d")

# The two test vectors of the specification, whose password is "testpassword".
SPEC = {
    "pbkdf2": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "scrypt": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
}


def encrypted(kdf: str) -> dict:
    """A keystore as eth-account writes it, quick to open."""
    return Account.encrypt(KEY, PASSWORD, kdf=kdf, iterations=2 if kdf == "scrypt" else 1000)


@pytest.fixture(scope="module", params=["scrypt", "pbkdf2"])
def made(request: pytest.FixtureRequest) -> dict:
    return encrypted(request.param)


def written(folder: Path, document: object) -> Path:
    path = folder / "keystore.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def changed(made: dict, **changes: object) -> dict:
    """A copy with other fields: of "crypto", or of "kdfparams" where it has such a field."""
    document = json.loads(json.dumps(made))
    for name, value in changes.items():
        crypto = document["crypto"]
        (crypto["kdfparams"] if name in ("n", "r", "p", "c", "dklen", "salt", "prf") else crypto)[name] = value
    return document


@pytest.mark.parametrize("kdf", ["pbkdf2", "scrypt"])
def test_the_vectors_of_the_specification_open(tmp_path: Path, kdf: str) -> None:
    document = {"crypto": SPEC[kdf], "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6", "version": 3}
    assert bytes(open_keystore(written(tmp_path, document), "testpassword").key) == KEY


def test_a_key_opens_with_its_password_only(tmp_path: Path, made: dict) -> None:
    path = written(tmp_path, made)
    assert bytes(open_keystore(path, PASSWORD).key) == KEY
    for wrong in ("päss  word", "", PASSWORD + "\n", "\udcff"):
        with pytest.raises(PasswordWrong, match="password") as raised:
            open_keystore(path, wrong)
        assert PASSWORD not in str(raised.value)


def test_names_in_capitals_and_digits_of_other_programs_are_read(tmp_path: Path, made: dict) -> None:
    crypto = {**made["crypto"], "ciphertext": "0x" + made["crypto"]["ciphertext"].upper()}
    document = {"Version": 3, "Crypto": crypto, "Address": "0x" + made["address"].upper().removeprefix("0X")}
    assert bytes(open_keystore(written(tmp_path, document), PASSWORD).key) == KEY
    assert bytes(open_keystore(written(tmp_path, {**made, "address": ""}), PASSWORD).key) == KEY


@pytest.mark.parametrize(
    "text",
    [
        *("not json", "[]", "7", "null", '{"version": 1}', '{"version": 3}', '{"version": 3, "crypto": {}}'),
        *('{"version": true, "crypto": {}}', '{"version": 3, "crypto": []}', "[" * 16_000, '{"version": [3]}'),
        *('{"version": 4, "crypto": {}}', '{"version": "3"}', "\x00", '{"version": 3, "crypto": ' + "9" * 5000 + "}"),
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)  # fmt: skip
def test_what_is_no_keystore_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(KeystoreUnreadable, match=r"keystore\.json is not a readable keystore"):
        open_keystore(written(tmp_path, text), PASSWORD)


@pytest.mark.parametrize(
    ("kdf", "name"), [*(("scrypt", name) for name in ("n", "r", "p", "dklen")), ("pbkdf2", "c"), ("pbkdf2", "dklen")]
)
@pytest.mark.parametrize("value", ["262144", "", None, -1, 0, 2.0, 1e300, True, [2], {}, "0x10", 10**300])
def test_cost_is_a_whole_number_in_bounds(tmp_path: Path, kdf: str, name: str, value: object) -> None:
    with pytest.raises(KeystoreUnreadable, match=name if value != 10**300 else "keystore"):
        open_keystore(written(tmp_path, changed(encrypted(kdf), **{name: value})), PASSWORD)


@pytest.mark.parametrize("name", ["salt", "kdf", "kdfparams", "cipher", "cipherparams", "ciphertext", "mac"])
@pytest.mark.parametrize("value", ["zz", "abc", None, 7, True, [], "00" * 2000, "keccak-2000"])
def test_other_fields_are_what_they_must_be(tmp_path: Path, made: dict, name: str, value: object) -> None:
    with pytest.raises(KeystoreUnreadable, match="is not a readable keystore"):
        open_keystore(written(tmp_path, changed(made, **{name: value})), PASSWORD)


def test_a_missing_field_is_named(tmp_path: Path, made: dict) -> None:
    for name in made["crypto"]["kdfparams"]:
        document = changed(made)
        del document["crypto"]["kdfparams"][name]
        with pytest.raises(KeystoreUnreadable, match=f"{name} in kdfparams|PBKDF2 with None"):
            open_keystore(written(tmp_path, document), PASSWORD)


@pytest.mark.parametrize(
    "cost",
    [
        *({"n": 1 << 30}, {"n": 1 << 21}, {"n": 1 << 20, "r": 64, "p": 1}, {"r": 1 << 28}, {"p": 1 << 28}),
        *({"n": 1 << 63, "r": 1 << 63, "p": 1 << 63}, {"n": 1 << 60}),
        *({"c": 10_000_001}, {"c": 1 << 62}, {"c": 10**300}),
    ],
)
def test_a_derivation_that_would_take_the_machine_is_refused_at_once(tmp_path: Path, cost: dict) -> None:
    path = written(tmp_path, changed(encrypted("pbkdf2" if "c" in cost else "scrypt"), **cost))
    before, peak = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(KeystoreTooCostly, match="at most"):
        open_keystore(path, PASSWORD)
    assert time.process_time() - before < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 64 << 10


@pytest.mark.parametrize("hidden", ["N", "KDFPARAMS", "Crypto"])
def test_a_second_spelling_hides_no_cost(tmp_path: Path, hidden: str) -> None:
    """`eth_keyfile` makes all names lower case and lets the last one win, after whatever was checked."""
    document = Account.encrypt(KEY, PASSWORD, kdf="scrypt", iterations=2)
    crypto = document["crypto"]
    costly = {**crypto["kdfparams"], "n": 1 << 30}
    if hidden == "N":
        crypto["kdfparams"]["N"] = 1 << 30
    elif hidden == "KDFPARAMS":
        crypto["KDFPARAMS"] = costly
    else:
        document["Crypto"] = {**crypto, "kdfparams": costly}
    with pytest.raises(KeystoreUnreadable, match="twice"):
        open_keystore(written(tmp_path, document), PASSWORD)


def test_of_a_number_written_twice_the_checked_one_is_computed(tmp_path: Path) -> None:
    made = json.dumps(Account.encrypt(KEY, PASSWORD, kdf="scrypt", iterations=2))
    with pytest.raises(KeystoreTooCostly):
        open_keystore(written(tmp_path, made.replace('"n": 2', '"n": 2, "n": 1073741824')), PASSWORD)


def test_scrypts_own_rules_are_told_as_ours(tmp_path: Path) -> None:
    made = Account.encrypt(KEY, PASSWORD, kdf="scrypt", iterations=2)
    for cost in ({"n": 3}, {"n": 1}, {"n": 1 << 17, "r": 1}):
        with pytest.raises(KeystoreUnreadable):
            open_keystore(written(tmp_path, changed(made, **cost)), PASSWORD)


def test_a_key_of_another_address_is_refused(tmp_path: Path, made: dict) -> None:
    with pytest.raises(KeystoreUnreadable, match="says that of 0x1111"):
        open_keystore(written(tmp_path, {**made, "address": "11" * 20}), PASSWORD)
    with pytest.raises(KeystoreUnreadable, match="address"):
        open_keystore(written(tmp_path, {**made, "address": 7}), PASSWORD)


def test_files_that_cannot_be_read(tmp_path: Path, made: dict) -> None:
    with pytest.raises(KeystoreMissing, match="no keystore"):
        open_keystore(tmp_path / "absent", PASSWORD)
    for path in (tmp_path, tmp_path / "x\0y", tmp_path / ("x" * 300), written(tmp_path, made) / "below"):
        with pytest.raises(KeystoreUnreadable, match="cannot be read"):
            open_keystore(path, PASSWORD)
    for content in ("", " " * MAX_KEYSTORE_BYTES + json.dumps(made)):
        with pytest.raises(KeystoreUnreadable, match=r"no bytes|more than"):
            open_keystore(written(tmp_path, content), PASSWORD)
    with pytest.raises(KeystoreUnreadable, match="more than"):
        open_keystore(Path("/dev/zero"), PASSWORD)


# --- passwords and bare keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "expected"), [("a\n", "a"), ("a\r\n", "a"), (" a ", " a "), ("a\n\n", "a\n")])
def test_only_the_line_end_of_a_password_is_dropped(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "password").write_bytes(text.encode())
    assert read_password_file(tmp_path / "password") == expected


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "no bytes"), (b"\n", "empty"), (b"\xff", "UTF-8"), (b"a" * 5000, "more")]
)
def test_what_is_no_password_is_named(tmp_path: Path, content: bytes, words: str) -> None:  # fmt: skip
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(KeystoreUnreadable, match=words):
        read_password_file(tmp_path / "password")


def test_a_password_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"secret\n")
    os.close(writing)
    try:
        assert read_password_file(Path(f"/dev/fd/{reading}")) == "secret"
    finally:
        os.close(reading)


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_secrets_that_others_can_read_are_mentioned(tmp_path: Path, mode: int) -> None:
    (tmp_path / "secret").write_text("7a" * 32)
    for read in (read_password_file, read_key_file):
        (tmp_path / "secret").chmod(mode)
        with structlog.testing.capture_logs() as logs:
            read(tmp_path / "secret")
        assert [line["event"] for line in logs] == ["secret-file-readable-by-others"]
        assert "7a7a" not in str(logs)
        (tmp_path / "secret").chmod(0o600)
        with structlog.testing.capture_logs() as logs:
            read(tmp_path / "secret")
        assert not logs


def test_a_key_file_gives_its_key_and_never_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"0x{KEY.hex()}\n")
    assert bytes(read_key_file(path).key) == KEY
    for bad in ("abc", "zz" * 32, "00" * 32, "ff" * 32, KEY.hex() + "00", " " + "7a " * 21 + "7"):
        path.write_text(bad)
        with pytest.raises(KeystoreUnreadable, match="64 hexadecimal") as raised:
            read_key_file(path)
        assert bad not in str(raised.value)
        assert raised.value.__cause__ is None
    with pytest.raises(KeystoreMissing, match="no key file"):
        read_key_file(tmp_path / "absent")
