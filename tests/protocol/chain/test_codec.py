"""Encoding is strict: what does not fit is refused before it can cost anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol.chain.codec import contract_abi, decode_event, encode_values
from cohort_protocol.chain.errors import AnswerMalformed, ArgumentInvalid, LogMalformed
from cohort_protocol.chain.types import Ledger, Reveal, Windows
from cohort_protocol.errors import InvalidInput
from eth_abi import encode

MARKET = contract_abi("CohortMarket")
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
REVEAL = Reveal(ADDRESS, b"u" * 32, b"s" * 32, b"c" * 36)


def encode_reveal(reveal: object) -> bytes:
    return MARKET.encode_call("reveal", 1, 2, [], [reveal], [])


def test_calldata_is_that_of_the_abi() -> None:
    expected = encode(
        ["uint256", "uint32", "(address,bytes32)[]", "(address,bytes32,bytes32,bytes)[]",
         "(uint8,uint32,uint32,bytes)[]"],
        [1, 2, [], [(ADDRESS, b"u" * 32, b"s" * 32, b"c" * 36)], []],
    )  # fmt: skip
    assert encode_reveal(REVEAL) == MARKET.functions["reveal"].selector + expected


@pytest.mark.parametrize(
    "bad",
    [
        replace(REVEAL, update=b"u" * 31),
        replace(REVEAL, update=b"u" * 33),
        replace(REVEAL, update="0x" + "00" * 32),
        replace(REVEAL, trainer=ADDRESS[:-1]),
        replace(REVEAL, trainer=bytes(20)),
        replace(REVEAL, cid=None),
        Windows(1, 2, 3, 4),
        (ADDRESS, b"u" * 32, b"s" * 32, b"c" * 36),
        None,
    ],
    ids=repr,
)
def test_structs_of_the_wrong_shape_are_refused(bad: object) -> None:
    with pytest.raises(ArgumentInvalid, match=r"reveal\.reveals\[0\]"):
        encode_reveal(bad)


@pytest.mark.parametrize("number", [-1, 2**32, True, 1.0, "1", None])
def test_numbers_outside_their_type_are_refused(number: object) -> None:
    with pytest.raises(ArgumentInvalid):
        MARKET.encode_call("advance", 1, number)


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(ArgumentInvalid, match="takes 2 arguments, got 1"):
        MARKET.encode_call("advance", 1)
    with pytest.raises(ArgumentInvalid, match="is a list"):
        MARKET.encode_call("closeRound", 1, 1, b"rows")


def test_an_argument_error_is_invalid_input() -> None:
    with pytest.raises(InvalidInput):
        MARKET.encode_call("fund", 1, -5)


def test_structs_are_matched_by_name_whatever_their_order() -> None:
    """Packing reorders members in Solidity; amounts must not change places here."""
    names = {"refunded": 8, "free": 2, "deposited": 1, "held": 3, "claimed": 5, "claimable": 4, "burned": 7, "fees": 6}
    ledger = Ledger.from_abi(names)
    assert (ledger.deposited, ledger.free, ledger.held, ledger.claimable) == (1, 2, 3, 4)
    assert (ledger.claimed, ledger.fees, ledger.burned, ledger.refunded) == (5, 6, 7, 8)
    assert not ledger.balanced
    assert replace(ledger, deposited=35).balanced


@pytest.mark.parametrize("data", [b"", b"\0" * 31, b"\xff" * 32 * 18])
def test_answers_that_do_not_decode(data: bytes) -> None:
    with pytest.raises(AnswerMalformed, match="roundOf"):
        MARKET.decode_result("roundOf", data)


def test_logs_that_do_not_decode() -> None:
    event = next(event for event in MARKET.events.values() if event.name == "MemberJoined")
    project, trainer = (5).to_bytes(32, "big"), bytes(12) + b"\x11" * 20
    data = encode(["uint256", "uint32"], [100, 3])
    values = decode_event(event, [event.digest, project, trainer], data)
    assert values == {"project": 5, "trainer": "0x" + "11" * 20, "stake": 100, "joinedRound": 3}
    for topics, bytes_ in (
        ([event.digest, project], data),
        ([event.digest, project, trainer, trainer], data),
        ([event.digest, project, b"\x01" * 32], data),
        ([event.digest, project, trainer], data[:-1]),
        ([event.digest, project, trainer], data + b"\0" * 32),
        ([event.digest, project, trainer], data[:32] + b"\xff" * 32),
    ):
        with pytest.raises(LogMalformed, match="MemberJoined"):
            decode_event(event, topics, bytes_)


def test_encode_values_names_the_place() -> None:
    with pytest.raises(ArgumentInvalid, match=r"createProject\.terms is a struct of token"):
        encode_values(MARKET.functions["createProject"].inputs, [{}, 1], "createProject")
