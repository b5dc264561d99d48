"""CIDs: known values, one spelling each, and nothing but `CidMalformed` for the rest."""

from __future__ import annotations

import pytest
from cohort_protocol.errors import InvalidInput
from cohort_protocol.ipfs.cid import DAG_PB, RAW, Cid
from cohort_protocol.ipfs.errors import CidMalformed
from hypothesis import given, settings
from hypothesis import strategies as st

# The empty file and "hello world", as every IPFS node prints them.
EMPTY = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
HELLO_WORLD = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"

cids = st.builds(Cid, st.sampled_from([RAW, DAG_PB]), st.binary(min_size=32, max_size=32))


def test_known_values() -> None:
    assert str(Cid.of_block(RAW, b"")) == EMPTY
    assert str(Cid.of_block(RAW, b"hello world")) == HELLO_WORLD
    assert bytes(Cid.of_block(RAW, b"")).hex() == (
        "01551220e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert Cid.parse(EMPTY).matches(b"")
    assert not Cid.parse(EMPTY).matches(b"\0")


@settings(deadline=None)
@given(cids)
def test_both_forms_round_trip(cid: Cid) -> None:
    assert Cid.parse(str(cid)) == cid
    assert Cid.from_bytes(bytes(cid)) == cid
    assert len(str(cid)) == 59
    assert len(bytes(cid)) == 36


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        EMPTY[:-1],
        EMPTY + "a",
        EMPTY + "=",
        EMPTY + "\n",
        " " + EMPTY,
        EMPTY.upper(),
        "B" + EMPTY[1:].upper(),
        "z" + EMPTY[1:],
        EMPTY[:20] + "1" + EMPTY[21:],
        EMPTY[:20] + "\u0131" + EMPTY[21:],
        # stray bits after the last byte
        EMPTY[:-1] + "v",
        # CIDv0, CIDv1 in base58, codec dag-cbor, hash sha2-512
        "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH",
        "zb2rhmy65F3REf8SZp7De11gxtECBGgUKaLdiDj7MCGCHxbDW",
        "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
        "bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs",
        f"/ipfs/{EMPTY}",
        f"ipfs://{EMPTY}",
    ],
)
def test_other_spellings_and_kinds_are_refused(text: str) -> None:
    with pytest.raises(CidMalformed) as refused:
        Cid.parse(text)
    assert isinstance(refused.value, InvalidInput)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_cid_or_malformed(text: str) -> None:
    try:
        assert str(Cid.parse(text)) == text
    except CidMalformed:
        with pytest.raises(CidMalformed, match=r"(?s)\A.{0,300}\Z"):
            Cid.parse(text * 100)


@settings(deadline=None)
@given(cids, st.integers(0, 58), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_changed_letter_is_another_cid_or_malformed(cid: Cid, at: int, letter: str) -> None:
    text = str(cid)[:at] + letter + str(cid)[at + 1 :]
    try:
        assert str(Cid.parse(text)) == text
    except CidMalformed:
        assert text != str(cid)


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=80), st.binary(min_size=36, max_size=36)))
def test_any_bytes_are_a_cid_or_malformed(raw: bytes) -> None:
    try:
        assert bytes(Cid.from_bytes(raw)) == raw
    except CidMalformed:
        assert raw[:4] not in (b"\x01\x55\x12\x20", b"\x01\x70\x12\x20") or len(raw) != 36


@settings(deadline=None)
@given(cids, st.integers(0, 3), st.integers(0, 255))
def test_other_headers_are_refused(cid: Cid, at: int, value: int) -> None:
    raw = bytearray(bytes(cid))
    raw[at] = value
    if bytes(raw[:4]) not in (b"\x01\x55\x12\x20", b"\x01\x70\x12\x20"):
        with pytest.raises(CidMalformed):
            Cid.from_bytes(bytes(raw))


@pytest.mark.parametrize("value", [None, 5, b"bafk", EMPTY.encode()])
def test_what_is_not_text_is_refused(value: object) -> None:
    with pytest.raises(CidMalformed):
        Cid.parse(value)


@pytest.mark.parametrize(("codec", "digest"), [(0x71, bytes(32)), (RAW, bytes(31)), (RAW, bytes(33)), (-1, bytes(32))])
def test_wrong_parts_are_refused(codec: int, digest: bytes) -> None:
    with pytest.raises(CidMalformed):
        Cid(codec, digest)
