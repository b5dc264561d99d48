"""Canonical JSON: one form for every value, and a typed refusal of everything else that claims to be JSON."""

from __future__ import annotations

import json

import pytest
from cohort_protocol.canonical import MAX_DEPTH, MAX_SAFE_INTEGER, canonical_json, parse_json
from cohort_protocol.errors import InvalidInput
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_was_written_is_read_and_written_again(value: object) -> None:
    data = canonical_json(value)
    assert parse_json(data, len(data)) == value
    assert canonical_json(parse_json(data, len(data))) == data


HOSTILE = {
    "deep": b"[" * 1_000_000,
    "deep and closed": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "one too deep": b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
    "repeated key": b'{"a":1,"a":2}',
    "NaN": b"NaN",
    "infinity": b'{"a":-Infinity}',
    "infinite": b"1e999",
    "large": b"9007199254740992",
    "thousands of digits": b"9" * 5000,
    "half a surrogate pair": b'["\\ud800"]',
    "half a surrogate pair in a key": b'{"\\udfff":1}',
    "no UTF-8": b'"\xff\xfe"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "other digits": '{"a":\u0661}'.encode(),
    "nothing": b"",
    "two values": b"{}{}",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_json_is_refused_with_a_type(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse_json(data, 10**7)


def test_length_is_looked_at_first() -> None:
    with pytest.raises(InvalidInput, match="at most 3"):
        parse_json(b"[[[[", 3)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), "\ud800", {"\ud800": 1}, {1: 2}, b"x", object()])
def test_values_without_a_canonical_form_are_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        canonical_json([value])


def test_the_form() -> None:
    assert canonical_json({"b": [1, True, None], "a": "\u00e9\n"}) == b'{"a":"\xc3\xa9\\n","b":[1,true,null]}'
    assert json.loads(canonical_json({"x": "\U0001f600"})) == {"x": "\U0001f600"}
