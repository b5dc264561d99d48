"""Signatures and CIDs in the forms that go on chain, and what commitments bind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol import commitments
from cohort_protocol.chain.packed import AdmittedRow, ClaimItem, pack_claims
from cohort_protocol.commitments import MarketId
from cohort_protocol.errors import InvalidInput, SignatureInvalid
from eth_abi import decode, encode
from eth_account import Account
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

MARKET = MarketId(31337, "0x" + "11" * 20, "0x" + "22" * 20)
TRAINER, DELEGATE = Account.from_key(b"\x01" * 32), Account.from_key(b"\x02" * 32)
CID = commitments.cid_from_parts(0x55, b"d" * 32)
MESSAGE = commitments.commit_message(MARKET, 1, 2, 3, b"c" * 32)


@given(st.integers(1, 2**256 - 1), st.binary(min_size=32, max_size=32))
def test_compact_signatures_lose_nothing(key: int, commitment: bytes) -> None:
    account = Account.from_key((key % (2**255) + 1).to_bytes(32, "big"))
    message = commitments.commit_message(MARKET, 1, 2, 3, commitment)
    signature = commitments.sign(message, account)
    assert commitments.full_signature(*commitments.compact_signature(signature)) == signature
    commitments.check_signature(message, signature, account.address)


def test_only_the_form_that_contracts_take_is_a_signature() -> None:
    good = commitments.sign(MESSAGE, TRAINER)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(good[32:64], "big")).to_bytes(32, "big")
    bad = {
        "65 bytes": good[:-1],
        "27 or 28": good[:-1] + bytes([good[-1] - 27]),
        "high s": good[:32] + high + bytes([55 - good[-1]]),
        "malformed": bytes(64) + b"\x1b",
    }
    for words, signature in bad.items():
        with pytest.raises(SignatureInvalid, match=words):
            commitments.check_signature(MESSAGE, signature, TRAINER.address)


def test_the_trainer_or_its_delegate_may_have_signed() -> None:
    allowed = (TRAINER.address, DELEGATE.address)
    for account in (TRAINER, DELEGATE):
        assert commitments.signed_by(MESSAGE, commitments.sign(MESSAGE, account), allowed) == account.address
    stranger = Account.from_key(b"\x03" * 32)
    with pytest.raises(SignatureInvalid, match=f"by {stranger.address}, expected {TRAINER.address} or"):
        commitments.signed_by(MESSAGE, commitments.sign(MESSAGE, stranger), allowed)


def test_a_commitment_binds_everything() -> None:
    def of(market: MarketId = MARKET, **changes) -> bytes:
        fields = {"project": 1, "round": 2, "member": 3, "update": b"u" * 32, "cid": CID, "salt": b"s" * 32}
        return commitments.commitment(market, **(fields | changes))

    others = [
        of(replace(MARKET, chain_id=1)),
        of(replace(MARKET, market="0x" + "33" * 20)),
        *(of(**{name: 9}) for name in ("project", "round", "member")),
        of(update=b"v" * 32),
        of(cid=commitments.cid_from_parts(0x70, b"d" * 32)),
        of(cid=commitments.cid_from_parts(0x55, b"e" * 32)),
        of(salt=b"t" * 32),
    ]
    assert len({of(), *others}) == 1 + len(others)


@pytest.mark.parametrize("cid", [b"", CID[:-1], CID + b"\0", b"\0" + CID[1:], CID[:3] + b"\x1f" + CID[4:], "text"])
def test_other_cids_are_refused(cid) -> None:
    with pytest.raises(InvalidInput, match="CIDv1"):
        commitments.cid_parts(cid)


def test_a_cid_is_hashed_as_its_36_bytes() -> None:
    assert commitments.cid_parts(CID) == (0x55, b"d" * 32)
    assert commitments.cid_hash(CID) == keccak(CID)


def test_evidence_is_sorted_and_each_witness_once() -> None:
    signatures = [commitments.sign(MESSAGE, account) for account in (TRAINER, DELEGATE)]
    evidence = commitments.encode_evidence([(4, signatures[0]), (1, signatures[1])])
    found = decode(["(uint8,bytes32,bytes32)[]"], evidence)[0]
    assert [(one[0], commitments.full_signature(*one[1:])) for one in found] == [(1, signatures[1]), (4, signatures[0])]
    with pytest.raises(InvalidInput, match="twice"):
        commitments.encode_evidence([(1, signatures[0]), (1, signatures[1])])


def test_outcomes_are_words_of_score_and_reason() -> None:
    outcomes = [(2**64 - 1, 0), (0, 255)]
    assert decode(["uint256[]"], commitments.encode_outcomes(outcomes))[0] == ((2**64 - 1) << 8, 255)
    for bad in ((2**64, 0), (0, 256), (-1, 0), (0, -1)):
        with pytest.raises(InvalidInput, match="row 0"):
            commitments.outcomes_hash([bad])


def test_claims_are_hashed_by_their_words() -> None:
    items = [ClaimItem(1, 2, 3, (b"p" * 32,)), ClaimItem(4, 5, 6, ())]
    words, proofs = pack_claims(items)
    assert proofs == [b"p" * 32]
    assert words == [1 << 152 | 1 << 120 | 2 << 112 | 3, 4 << 120 | 5 << 112 | 6]
    assert commitments.claim_items_hash(words) == keccak(encode(["uint256", "uint256"], words))


def test_a_row_is_69_bytes_and_a_leaf_36() -> None:
    row = commitments.pack_row(0x01020304, b"u" * 32, CID)
    assert row == bytes((1, 2, 3, 4, 0x55)) + b"u" * 32 + b"d" * 32
    assert commitments.pack_leaf(0x01020304, b"c" * 32) == bytes((1, 2, 3, 4)) + b"c" * 32
    for bad in ((2**32, b"u" * 32), (-1, b"u" * 32), (1, b"u" * 31)):
        with pytest.raises(InvalidInput):
            commitments.pack_row(*bad, CID)
        with pytest.raises(InvalidInput):
            commitments.pack_leaf(*bad)


def test_the_chain_of_admitted_rows_tells_calls_apart() -> None:
    rows = [AdmittedRow(row, row + 1, bytes([row]) * 32, CID) for row in range(3)]
    assert commitments.admitted_hash([]) == bytes(32)
    one, parted = commitments.admitted_hash([rows]), commitments.admitted_hash([rows[:1], rows[1:]])
    first = keccak(bytes(32) + keccak(bytes((0, 0, 0, 1))) + commitments.openings_hash(rows[:1]))
    members = keccak(bytes((0, 0, 0, 2, 0, 0, 0, 3)))
    assert parted == keccak(first + members + commitments.openings_hash(rows[1:]))
    swapped = commitments.admitted_hash([rows[1:], rows[:1]])
    assert len({one, parted, swapped}) == 3
