"""Sealed files: every reader can open them, nobody else can, and nobody can make one that only some can open."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentMalformed, ContentTooLarge
from cohort_protocol.sealing import (
    NotAReader,
    OpeningStore,
    Readers,
    ReadersInvalid,
    SealBroken,
    content_secret,
    open_sealed,
    seal,
    sealed_size,
)
from cohort_protocol.sealing.file import CHUNK, MAGIC, TAG, WRAPPED, _header
from cohort_protocol.sealing.readers import address_of, public_key, readers_from
from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

KEYS = [sha256(bytes([i])).digest() for i in range(4)]
READERS = Readers(tuple(public_key(key) for key in KEYS[:3]))
STRANGER = KEYS[3]
CONTEXT = b"31337 market 1"
SECRET = sha256(b"content key").digest()
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 7]


def content_of(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + bytes(size % 251)


def opened(data: bytes, key: bytes = KEYS[1], context: bytes = CONTEXT, piece: int = 1 << 18) -> bytes:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(data), piece):
            yield data[start : start + piece]

    return b"".join(open_sealed(pieces(), key, READERS, context))


@pytest.mark.parametrize("size", SIZES)
def test_every_reader_opens_it(size: int) -> None:
    content = content_of(size)
    data = seal(content, SECRET, READERS, CONTEXT)
    assert len(data) == sealed_size(size, READERS)
    for key in KEYS[:3]:
        assert opened(data, key) == content
        assert opened(data, key, piece=1000) == content


def test_nobody_else_opens_it() -> None:
    data = seal(b"secret", SECRET, READERS, CONTEXT)
    with pytest.raises(NotAReader, match="witnesses and aggregators"):
        opened(data, STRANGER)
    assert b"secret" not in data


def test_same_secret_same_bytes_and_content_keys_differ() -> None:
    assert seal(b"a", SECRET, READERS, CONTEXT) == seal(b"a", SECRET, READERS, CONTEXT)
    secrets = {
        content_secret(key, context, content) for key in KEYS for context in (b"1", b"2") for content in (b"a", b"b")
    }
    assert len(secrets) == 16


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    sealed = seal(content_of(300), SECRET, READERS, CONTEXT)
    place = data.draw(st.integers(0, len(sealed) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = sealed[:place] + bytes([sealed[place] ^ 1 << bit]) + sealed[place + 1 :]
    with pytest.raises(SealBroken):
        opened(changed, data.draw(st.sampled_from(KEYS[:3])))


def test_chunks_cannot_be_cut_off_added_or_exchanged() -> None:
    sealed = seal(content_of(3 * CHUNK), SECRET, READERS, CONTEXT)
    header, whole = len(_header(SECRET, READERS)), CHUNK + TAG
    one, two, three = (sealed[header + i * whole : header + (i + 1) * whole] for i in range(3))
    start = sealed[:header]
    for wrong in (start, start + one, start + one + two, start + two + one + three, start + one + two + three[:-1],
                  sealed + b"\0", sealed + three, start[:-1], b"", MAGIC):  # fmt: skip
        with pytest.raises(SealBroken):
            opened(wrong)


def test_a_file_of_another_project_does_not_open() -> None:
    with pytest.raises(SealBroken, match="another project"):
        opened(seal(b"x", SECRET, READERS, b"31337 market 2"))


def test_a_file_that_only_some_can_open_opens_for_nobody() -> None:
    """Otherwise witnesses would admit an update that the aggregator cannot read, and the round would be its loss."""
    sealed = seal(b"x", SECRET, READERS, CONTEXT)
    start = len(MAGIC) + 34
    for victim in range(3):
        wrap = start + victim * WRAPPED
        other = seal(b"x", sha256(b"another").digest(), READERS, CONTEXT)
        changed = sealed[:wrap] + other[wrap : wrap + WRAPPED] + sealed[wrap + WRAPPED :]
        for key in KEYS[:3]:
            with pytest.raises(SealBroken):
                opened(changed, key)


def test_errors_are_the_publishers_fault() -> None:
    assert issubclass(SealBroken, ContentMalformed)


@pytest.mark.parametrize("size", SIZES)
def test_a_store_opens_what_is_sealed_and_leaves_the_rest(tmp_path: Path, size: int) -> None:
    content = content_of(size)
    with EmbeddedStore(tmp_path) as store:
        reader = OpeningStore(store, KEYS[0], READERS, CONTEXT)
        sealed, plain = reader.put(seal(content, SECRET, READERS, CONTEXT)), reader.put(content)
        for cid in (sealed, plain):
            assert reader.get(cid, size) == content
            assert reader.has(cid)
            assert reader.pinned(cid)
            if size:
                with pytest.raises(ContentTooLarge):
                    reader.get(cid, size - 1)
        assert store.get(sealed, 1 << 20) != content


def test_readers_are_the_addresses_of_the_terms() -> None:
    accounts = [Account.from_key(key) for key in KEYS]
    assert READERS.addresses == tuple(account.address for account in accounts[:3])
    READERS.check_covers([account.address.lower() for account in accounts[:3]])
    with pytest.raises(ReadersInvalid, match=f"missing: {accounts[3].address}"):
        READERS.check_covers([account.address for account in accounts])
    with pytest.raises(ReadersInvalid, match="not in the terms"):
        READERS.check_covers([account.address for account in accounts[:2]])
    assert address_of(public_key(STRANGER)) == accounts[3].address


@pytest.mark.parametrize(
    "texts",
    [[], ["0x" + "02" * 33] * 2, ["zz"], ["0x02" + "ff" * 32], ["0x04" + "11" * 64], ["0x00" * 33], ["0x02"]],
)
def test_wrong_readers_are_refused(texts: list[str]) -> None:
    with pytest.raises(ReadersInvalid):
        readers_from(texts)
