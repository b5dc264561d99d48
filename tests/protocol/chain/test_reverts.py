"""Revert data of any kind becomes a typed error with words; nothing makes the decoder raise."""

from __future__ import annotations

from cohort_protocol.chain.errors import TransactionReverted, UnknownProject
from cohort_protocol.chain.reverts import PANICS, decode_revert, known_errors
from cohort_protocol.errors import NotFound
from cohort_protocol.phases import Phase
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

ADDRESS = "0x" + "11" * 20


def data_of(signature: str, *values: object) -> bytes:
    kinds = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(kinds.split(",") if kinds else [], list(values))


def test_a_custom_error_has_name_arguments_and_words() -> None:
    error = decode_revert(data_of("WrongPhase(uint256,uint256,uint8,uint8)", 4, 2, 1, 3), "reveal")
    assert (error.name, error.arguments) == (
        "WrongPhase",
        {"project": 4, "round": 2, "found": Phase.COMMIT, "allowed": Phase.REVEAL},
    )
    assert str(error) == ("reveal was refused: round 2 of project 4 is in phase Commit; this call is allowed in Reveal")


def test_texts_in_bytes32_become_texts() -> None:
    what = b"minTrainers".ljust(32, b"\0")
    error = decode_revert(data_of("TermsInvalid(bytes32,uint256,uint256)", what, 5, 4))
    assert error.arguments["what"] == "minTrainers"
    unprintable = decode_revert(data_of("TermsInvalid(bytes32,uint256,uint256)", b"\x01" + bytes(31), 5, 4))
    assert unprintable.arguments["what"] == b"\x01" + bytes(31)


def test_an_unknown_project_is_not_found() -> None:
    error = decode_revert(data_of("UnknownProject(uint256)", 9))
    assert isinstance(error, UnknownProject)
    assert isinstance(error, NotFound)
    assert error.code == "unknown-project"


def test_require_texts_and_panics() -> None:
    assert "too bad" in str(decode_revert(data_of("Error(string)", "too bad")))
    for code, words in PANICS.items():
        error = decode_revert(data_of("Panic(uint256)", code))
        assert (error.name, error.arguments) == ("Panic", {"code": code})
        assert words in str(error)
    assert "0x99" in str(decode_revert(data_of("Panic(uint256)", 0x99)))


def test_unknown_and_empty_data() -> None:
    assert decode_revert(b"").name == "Unknown"
    assert "no reason given" in str(decode_revert(b""))
    assert "0xdeadbeef" in str(decode_revert(bytes.fromhex("deadbeef")))
    assert decode_revert(b"\x01").name == "Unknown"


def test_truncated_arguments_keep_the_name() -> None:
    error = decode_revert(data_of("UnknownProject(uint256)", 9)[:20])
    assert error.name == "UnknownProject"
    assert "malformed" in str(error)


@given(st.sampled_from(sorted(known_errors())), st.binary(max_size=300))
def test_no_data_makes_it_raise(selector: bytes, rest: bytes) -> None:
    assert isinstance(decode_revert(selector + rest), TransactionReverted)


@given(st.binary(max_size=64))
def test_nothing_at_all_makes_it_raise(data: bytes) -> None:
    assert isinstance(decode_revert(data), TransactionReverted)
