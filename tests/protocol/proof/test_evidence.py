"""The evidence of a proven settlement: packing, unpacking, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol.commitments import MarketId
from cohort_protocol.errors import CohortError
from cohort_protocol.proof.curve import FIELD, GENERATOR, compress, decompress, negate
from cohort_protocol.proof.errors import PointMalformed
from cohort_protocol.proof.evidence import EvidenceMalformed, decode_evidence, encode_evidence
from cohort_protocol.proof.statement import gram_bytes
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.proof.evidences import ProvenRound, proven_round

MARKET = MarketId(31337, "0x" + "c1" * 20, "0x" + "c2" * 20)


def _signature(key: int) -> bytes:
    return bytes(Account.sign_message(encode_defunct(text="any"), key.to_bytes(32, "big")).signature)


@pytest.fixture(scope="module", params=[(1, 0), (3, 1), (5, 9)], ids=["n1", "n3p1", "n5p9"])
def proven(request: pytest.FixtureRequest) -> ProvenRound:
    n, p = request.param
    return proven_round(n, p, 16, MARKET, seed=n)


def test_what_is_packed_is_found(proven: ProvenRound) -> None:
    receipts = [(4, _signature(4)), (0, _signature(1))]
    data = proven.evidence(receipts)
    found = decode_evidence(data, proven.statement.previous_model, proven.card is not None)
    assert found.admissions == proven.admissions
    assert found.admitted == proven.statement.admitted_hash
    assert found.card == proven.card
    assert found.commitments == proven.statement.commitments
    assert found.previous_model == decompress(proven.statement.previous_model)
    assert (found.step, found.proof) == (proven.statement.step, proven.proof)
    assert found.gram == gram_bytes(proven.statement.gram, proven.statement.n)
    assert found.receipts == tuple(sorted(receipts))
    assert found.hints == proven.hints


def test_every_other_length_is_refused(proven: ProvenRound) -> None:
    data, posted = proven.evidence(), proven.card is not None
    for length in range(len(data)):
        with pytest.raises(CohortError):
            decode_evidence(data[:length], proven.statement.previous_model, posted)
    with pytest.raises(EvidenceMalformed, match="1 bytes follow"):
        decode_evidence(data + b"\0", proven.statement.previous_model, posted)


@given(data=st.binary(max_size=400), posted=st.booleans())
@settings(max_examples=200, deadline=None)
def test_bytes_from_anywhere_end_in_a_typed_error(data: bytes, posted: bool) -> None:
    with pytest.raises(CohortError):
        decode_evidence(data, bytes(32), posted)


def test_parts_that_do_not_belong_together_are_refused(proven: ProvenRound) -> None:
    row = proven.admissions[0][0]
    other = replace(row, update=compress(negate(decompress(row.update))))
    wrong = ((other, *proven.admissions[0][1:]), *proven.admissions[1:])
    with pytest.raises(EvidenceMalformed, match="row 0 commits to another update"):
        replace(proven, admissions=wrong).evidence()
    with pytest.raises(EvidenceMalformed, match="give every row"):
        replace(proven, admissions=(*proven.admissions, (row,))).evidence()
    with pytest.raises(EvidenceMalformed, match="a witness signed twice"):
        proven.evidence([(1, _signature(1)), (1, _signature(2))])
    with pytest.raises(EvidenceMalformed, match="bytes of hints"):
        replace(proven, hints=bytes(1 << 16)).evidence()
    if proven.card is None:
        return
    with pytest.raises(EvidenceMalformed, match="the card of the public rows hashes to"):
        replace(proven, card=replace(proven.card, manifest=bytes(32))).evidence()
    with pytest.raises(EvidenceMalformed, match="the card of the public rows hashes to"):
        replace(proven, card=None).evidence()
    moved = replace(proven.card, points=(GENERATOR, *proven.card.points[1:]))
    claimed = replace(proven.statement, public_rows=moved.digest)
    with pytest.raises(EvidenceMalformed, match="are not those of the statement"):
        encode_evidence(proven.admissions, claimed, proven.proof, moved, proven.hints)


def test_points_that_do_not_fit_their_rows_are_refused(proven: ProvenRound) -> None:
    data, n, posted = proven.evidence(), proven.statement.n, proven.card is not None
    card = b"" if proven.card is None else proven.card.to_bytes()
    at = 4 + len(proven.admissions) + 69 * n + len(card)
    y = int.from_bytes(data[at : at + 32], "big")
    other = data[:at] + (FIELD - y).to_bytes(32, "big") + data[at + 32 :]
    with pytest.raises(EvidenceMalformed, match="an update is not the point"):
        decode_evidence(other, proven.statement.previous_model, posted)
    off = data[:at] + (y ^ 2).to_bytes(32, "big") + data[at + 32 :]
    with pytest.raises(PointMalformed):
        decode_evidence(off, proven.statement.previous_model, posted)


def test_layouts_that_no_policy_knows_are_refused() -> None:
    proven = proven_round(3, 1, 16, MARKET, seed=3)
    data = bytearray(proven.evidence())
    at = 4 + len(proven.admissions) + 69 * 3 + 34
    for values in (1, 2, 11):
        data[at] = values
        with pytest.raises(EvidenceMalformed, match="value rows none or 3"):
            decode_evidence(bytes(data), proven.statement.previous_model, True)
