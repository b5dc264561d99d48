"""Encoding is strict: what does not fit is refused before it can cost anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol.chain.codec import contract_abi, decode_event, encode_values
from cohort_protocol.chain.errors import AnswerMalformed, ArgumentInvalid, LogMalformed
from cohort_protocol.chain.packed import Batch, CommitLeaf, Opening
from cohort_protocol.chain.types import Admission, Ledger, NextModel, Receipt
from cohort_protocol.errors import InvalidInput
from eth_abi import encode

from tests.fixtures.chain import Devnet

MARKET = contract_abi("CohortMarket")
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
CID = b"\x01\x55\x12\x20" + b"c" * 32
OPENING = Opening(7, b"u" * 32, CID, b"s" * 32)


LEAF = CommitLeaf(3, b"c" * 32)
RECEIPT = Receipt(2, 0b1, 0b0, b"r" * 32 + (5).to_bytes(32, "big") + b"\x1c")


def encode_reveal(devnet: Devnet, opening: Opening = OPENING, receipt: Receipt = RECEIPT) -> bytes:
    return devnet.market.reveal(1, 2, Batch((LEAF,), 0b1), [opening], [receipt]).data


def test_calldata_is_that_of_the_abi(devnet: Devnet) -> None:
    """EIP-2098: the parity of v is the top bit of s."""
    leaf, row = bytes((0, 0, 0, 3)) + b"c" * 32, bytes((0, 0, 0, 7, 0x55)) + b"u" * 32 + b"c" * 32
    vs = (5 | 1 << 255).to_bytes(32, "big")
    expected = encode(
        ["uint256", "uint32", "bytes", "bytes", "bytes32[]", "(uint8,uint32,uint32,bytes32,bytes32)[]"],
        [1, 2, leaf, row, [b"s" * 32], [(2, 1, 0, b"r" * 32, vs)]],
    )
    assert encode_reveal(devnet) == MARKET.functions["reveal"].selector + expected
    expected = encode(["uint256", "uint32", "bytes", "bytes"], [1, 2, leaf, b"r" * 32 + vs])
    assert devnet.market.commit_batch(1, 2, [LEAF], [RECEIPT.signature]).data[4:] == expected


@pytest.mark.parametrize("bad", [b"", b"r" * 64, RECEIPT.signature[:-1] + b"\0", b"r" * 32 + b"\xff" * 32 + b"\x1b"])
def test_signatures_in_another_form_are_refused(devnet: Devnet, bad: bytes) -> None:
    with pytest.raises(ArgumentInvalid, match="signature"):
        devnet.market.commit_batch(1, 2, [LEAF], [bad])
    with pytest.raises(ArgumentInvalid, match="signature"):
        encode_reveal(devnet, receipt=replace(RECEIPT, signature=bad))


def test_cids_are_36_bytes_here_and_two_words_there() -> None:
    model = NextModel.from_abi({"commitment": b"m" * 32, "cid": {"codec": 0x70, "digest": b"d" * 32}})
    assert model == NextModel(b"m" * 32, b"\x01\x70\x12\x20" + b"d" * 32)
    assert NextModel.from_abi(model.abi_members()) == model


@pytest.mark.parametrize(
    "bad",
    [
        replace(OPENING, update=b"u" * 31),
        replace(OPENING, update=b"u" * 33),
        replace(OPENING, update="0x" + "00" * 32),
        replace(OPENING, member=2**32),
        replace(OPENING, member=-1),
        replace(OPENING, salt=b"s" * 31),
        replace(OPENING, cid=None),
        replace(OPENING, cid=CID[:-1]),
        replace(OPENING, cid=b"\x02" + CID[1:]),
        replace(OPENING, cid=CID[:2] + b"\x13" + CID[3:]),
    ],
    ids=repr,
)
def test_openings_that_do_not_pack_are_refused(devnet: Devnet, bad: Opening) -> None:
    with pytest.raises(ArgumentInvalid, match=r"^reveal"):
        encode_reveal(devnet, bad)


@pytest.mark.parametrize(
    "bad",
    [
        Admission(b"", b"r" * 31),
        Admission(b"", "0x" + "00" * 32),
        Admission(7, b"r" * 32),
        NextModel(b"m" * 32, CID),
        (b"", b"r" * 32),
        None,
    ],
    ids=repr,
)
def test_structs_of_the_wrong_shape_are_refused(bad: object) -> None:
    with pytest.raises(ArgumentInvalid, match=r"^closeRound"):
        MARKET.encode_call("closeRound", 1, 2, [bad])


@pytest.mark.parametrize("number", [-1, 2**32, True, 1.0, "1", None])
def test_numbers_outside_their_type_are_refused(number: object) -> None:
    with pytest.raises(ArgumentInvalid):
        MARKET.encode_call("phaseOf", 1, number)


def test_the_number_of_arguments_is_checked() -> None:
    with pytest.raises(ArgumentInvalid, match="takes 2 arguments, got 1"):
        MARKET.encode_call("phaseOf", 1)
    with pytest.raises(ArgumentInvalid, match="is a list"):
        MARKET.encode_call("closeRound", 1, 1, b"rows")


def test_an_argument_error_is_invalid_input() -> None:
    with pytest.raises(InvalidInput):
        MARKET.encode_call("fund", 1, -5)


def test_structs_are_matched_by_name_whatever_their_order() -> None:
    """Packing reorders members in Solidity; amounts must not change places here."""
    names = ("deposited", "free", "held", "claimable", "claimed", "fees", "burned", "refunded", "stakes", "bonds")
    values = dict(zip((*names, "stakesBurned", "bondsBurned", "protocolFees"), range(1, 14), strict=True))
    ledger = Ledger.from_abi(dict(reversed(values.items())))
    assert (ledger.deposited, ledger.free, ledger.held, ledger.claimable) == (1, 2, 3, 4)
    assert (ledger.claimed, ledger.fees, ledger.burned, ledger.refunded) == (5, 6, 7, 8)
    assert (ledger.stakes, ledger.bonds, ledger.stakes_burned, ledger.protocol_fees) == (9, 10, 11, 13)
    assert not ledger.balanced
    assert replace(ledger, deposited=35).balanced


@pytest.mark.parametrize("data", [b"", b"\0" * 31, b"\xff" * 32 * 28])
def test_answers_that_do_not_decode(data: bytes) -> None:
    with pytest.raises(AnswerMalformed, match="roundOf"):
        MARKET.decode_result("roundOf", data)


def test_logs_that_do_not_decode() -> None:
    event = next(event for event in MARKET.events.values() if event.name == "MemberJoined")
    project, trainer = (5).to_bytes(32, "big"), bytes(12) + b"\x11" * 20
    member = (9).to_bytes(32, "big")
    data = encode(["uint32"], [3])
    values = decode_event(event, [event.digest, project, trainer, member], data)
    assert values == {"project": 5, "trainer": "0x" + "11" * 20, "member": 9, "joinedRound": 3}
    for topics, bytes_ in (
        ([event.digest, project, trainer], data),
        ([event.digest, project, trainer, member, member], data),
        ([event.digest, project, b"\x01" * 32, member], data),
        ([event.digest, project, trainer, b"\xff" * 32], data),
        ([event.digest, project, trainer, member], data[:-1]),
        ([event.digest, project, trainer, member], data + b"\0" * 32),
        ([event.digest, project, trainer, member], b"\xff" * 32),
    ):
        with pytest.raises(LogMalformed, match="MemberJoined"):
            decode_event(event, topics, bytes_)


def test_encode_values_names_the_place() -> None:
    with pytest.raises(ArgumentInvalid, match=r"createProject\.terms is a struct of token"):
        encode_values(MARKET.functions["createProject"].inputs, [{}, 1], "createProject")
