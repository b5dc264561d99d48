"""Statements and their bytes, the transcript, and bytes of proofs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol.errors import InvalidInput
from cohort_protocol.proof.curve import GENERATOR, INFINITY, ORDER, PointMalformed
from cohort_protocol.proof.errors import ProofInvalid, StatementInvalid
from cohort_protocol.proof.round_proof import PROOF_BYTES, RoundProof
from cohort_protocol.proof.statement import RoundStatement, check_gram, gram_bytes, gram_length, parse_gram
from cohort_protocol.proof.transcript import Transcript
from cohort_protocol.scoring.rows import PublicRows
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol.proof.rounds import make_round

ROUND = make_round(3, 1, 8)


def entry(a: int, b: int, n: int) -> st.SearchStrategy[int]:
    bits = (55, 71, 87)[(a >= n) + (b >= n)]
    return st.integers(-(2**bits), 2**bits - 1)


@st.composite
def grams(draw) -> tuple[int, tuple[tuple[int, ...], ...]]:
    n, p = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    gram = [[0] * (n + p) for _ in range(n + p)]
    for a in range(n + p):
        for b in range(a, n + p):
            gram[a][b] = gram[b][a] = draw(entry(a, b, n))
    return n, tuple(tuple(row) for row in gram)


@settings(deadline=None)
@given(grams())
def test_gram_bytes_come_back(case: tuple[int, tuple]) -> None:
    n, gram = case
    p = len(gram) - n
    check_gram(gram, n, p)
    data = gram_bytes(gram, n)
    assert len(data) == gram_length(n, p)
    assert parse_gram(data, n, p) == gram
    for wrong in (data[:-1], data + b"\0"):
        with pytest.raises(StatementInvalid):
            parse_gram(wrong, n, p)


def test_widths_hold_what_rows_can_make() -> None:
    """7, 9 and 11 bytes: two vectors of extreme entries, of the largest dimension."""
    d, u, v = 2**24, 2**15, 2**31
    check_gram(((d * u * u, -d * u * v), (-d * u * v, d * v * v)), 1, 1)
    assert gram_bytes(((-1,),), 1) == b"\xff" * 7
    assert gram_length(20, 9) == 7 * 210 + 9 * 180 + 11 * 45


def test_entries_that_do_not_fit_are_refused() -> None:
    for gram in (((2**55,),), ((-(2**55) - 1,),)):
        with pytest.raises(StatementInvalid, match="7 bytes"):
            check_gram(gram, 1, 0)
    with pytest.raises(StatementInvalid, match="differ"):
        check_gram(((1, 2), (3, 4)), 2, 0)
    with pytest.raises(StatementInvalid, match="2 rows"):
        check_gram(((1, 2), (2,)), 2, 0)
    for n, p in ((0, 0), (33, 0), (1, 11), (1, -1)):
        with pytest.raises(StatementInvalid):
            parse_gram(b"", n, p)


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": 0},
        {"dimension": 2**24 + 1},
        {"weights": (1, 2)},
        {"weights": (2**16, 1, 0)},
        {"weights": (-1, 1, 0)},
        {"layout": PublicRows(gradients=True)},
        {"layout": PublicRows(past_steps=11)},
        {"layout": PublicRows(past_steps=4)},
        {"validation": bytes(31)},
        {"round": 2**32},
        {"project": -1},
        {"chain_id": 2**256},
        {"commitments": (INFINITY,) * 40},
        {"gram": ((1,),)},
        {"verifier": "0x12"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_statements_that_no_round_makes(change: dict) -> None:
    with pytest.raises(InvalidInput):
        replace(ROUND.statement, **change).head()


def test_the_head_is_an_abi_encoding() -> None:
    s = ROUND.statement
    types = ["bytes32", "uint256", "address", "address", *["uint256"] * 7, *["bytes32"] * 7]
    values = [
        *(keccak(text="Cohort round proof 1"), s.chain_id, s.verifier, s.market, s.project, s.round, s.dimension),
        *(s.n, 0, 1, 0, s.admitted_hash, s.validation, s.public_rows, s.policy_hash, s.outcomes_hash),
        *(s.previous_model, s.next_model),
    ]
    assert s.head() == keccak(encode(types, values))


CHANGES = {
    "chain_id": 1,
    "verifier": "0x" + "77" * 20,
    "market": "0x" + "77" * 20,
    "project": 77,
    "round": 77,
    "dimension": 77,
    "layout": PublicRows(past_steps=1),
    **{
        name: b"\x77" * 32
        for name in (
            "admitted_hash",
            "validation",
            "public_rows",
            "policy_hash",
            "outcomes_hash",
            "previous_model",
            "next_model",
        )
    },
    "step": GENERATOR,
    "commitments": ROUND.statement.commitments[::-1],
    "weights": (0, 0, 1),
    "gram": tuple(tuple(value + 1 for value in row) for row in ROUND.statement.gram),
}


def test_every_field_is_in_the_transcript() -> None:
    assert set(CHANGES) == set(RoundStatement.__dataclass_fields__)
    states = {Transcript.of(replace(ROUND.statement, **{name: value})).state for name, value in CHANGES.items()}
    assert len(states | {Transcript.of(ROUND.statement).state}) == len(CHANGES) + 1


def test_challenges_follow_every_message() -> None:
    def after(correlation=GENERATOR, values=(1, 2, 3), quotient=GENERATOR) -> Transcript:
        transcript = Transcript.of(ROUND.statement)
        transcript.correlation(correlation)
        transcript.evaluations(*values)
        transcript.quotient(quotient)
        return transcript

    base = after()
    assert all(0 <= x < 2**128 for x in (*base.x, base.gamma, base.rho))
    assert all(0 <= x < ORDER for x in (base.z, base.y))
    assert len({*base.x, base.gamma, base.rho, base.z, base.y}) == len(base.x) + 4
    assert after(correlation=INFINITY).z != base.z
    for values in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        other = after(values=values)
        assert (other.z, other.gamma != base.gamma, other.rho != base.rho) == (base.z, True, True)
    assert (after(quotient=INFINITY).gamma, after(quotient=INFINITY).y != base.y) == (base.gamma, True)


def test_a_proof_has_320_bytes() -> None:
    proof = RoundProof(GENERATOR, 1, 2, 3, ORDER - 1, INFINITY, GENERATOR)
    data = proof.to_bytes()
    assert len(data) == PROOF_BYTES
    assert RoundProof.from_bytes(data) == proof
    for wrong in (data[:-1], data + b"\0", b""):
        with pytest.raises(ProofInvalid, match="320 bytes"):
            RoundProof.from_bytes(wrong)
    for at in (64, 96, 128, 160):
        with pytest.raises(ProofInvalid, match="order"):
            RoundProof.from_bytes(data[:at] + ORDER.to_bytes(32, "big") + data[at + 32 :])
    for at in (0, 192, 256):
        with pytest.raises(PointMalformed):
            RoundProof.from_bytes(data[:at] + (1).to_bytes(32, "big") + (3).to_bytes(32, "big") + data[at + 64 :])
