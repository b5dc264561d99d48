"""The prover against a second, plain one, and what it and the verifier refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest
from cohort_protocol.proof import prover as module
from cohort_protocol.proof.commitment import commit
from cohort_protocol.proof.curve import GENERATOR, INFINITY, ORDER, Point, add, negate
from cohort_protocol.proof.errors import (
    CohortError,
    PointMalformed,
    ProofInvalid,
    SrsTooSmall,
    VectorOutOfRange,
    WitnessInvalid,
)
from cohort_protocol.proof.prover import PARTS, RoundProof, prove
from cohort_protocol.proof.srs import Srs, make_insecure_srs
from cohort_protocol.proof.statement import RoundStatement
from cohort_protocol.proof.transcript import Transcript
from cohort_protocol.proof.verifier import claimed_norm, verify
from cohort_protocol.scoring.kernel import StreamRow

from tests.protocol.proof.plain import at, product, quotient, tau_of, times
from tests.protocol.proof.rounds import SEED, Round, make_round, srs_of

TAU = tau_of(SEED)


def srs_for(found: Round) -> Srs:
    return srs_of(max(2, 1 << (found.statement.dimension - 1).bit_length()))


def plain_proof(found: Round, extra: dict[int, int] | None = None, exact: bool = True) -> RoundProof:
    """The argument by schoolbook polynomials; points by the secret.

    extra: changes of coefficients of S; exact: off for false statements, whose divisions leave something."""
    s = found.statement
    transcript = Transcript.of(s)

    def point(polynomial: list[int]) -> Point:
        return Point(*times(at(polynomial, TAU)))

    v = [sum(x * int(row[i]) for x, row in zip(transcript.x, found.rows, strict=True)) for i in range(s.dimension)]
    correlations = [sum(a * b for a, b in zip(v, v[k:], strict=False)) for k in range(1, s.dimension)] or [0]
    correlations += [0] * (1 + max(extra or {0: 0}) - len(correlations))
    for index, change in (extra or {}).items():
        correlations[index] += change
    c_s = point(correlations)
    transcript.correlation(c_s)
    z, inverse = transcript.z, pow(transcript.z, -1, ORDER)
    v1, v2, s1 = at(v, z), at(v, inverse), at(correlations, z)
    s2 = z * (v1 * v2 - claimed_norm(s.gram, transcript.x) - z * s1)
    assert not exact or (s2 - at(correlations, inverse)) % ORDER == 0
    transcript.evaluations(v1, v2, s1)
    gamma = transcript.gamma
    f = [gamma * a + b for a, b in zip_longest(v, correlations, fillvalue=0)]
    f1, f2 = gamma * v1 + s1, gamma * v2 + s2
    slope = (f2 - f1) * pow(inverse - z, -1, ORDER)
    line = [f1 - slope * z, slope]
    rest = [a - b for a, b in zip([*f, 0, 0], [*line, *[0] * len(f)], strict=True)]
    w = quotient(rest, product([-z, 1], [-inverse, 1]), exact)
    transcript.quotient(point(w))
    y = transcript.y
    scaled = product([(y - z) * (y - inverse)], w)
    last = [a - b for a, b in zip([*f, 0, 0, 0], [*scaled, *[0] * (len(f) + 3 - len(scaled))], strict=True)]
    last[0] -= at(line, y)
    h = pow(z * (1 - z * z), -1, ORDER)
    return RoundProof(c_s, v1, v2, s1, h, point(w), point(quotient(last, [-y, 1], exact)))


@pytest.mark.parametrize(
    ("n", "p", "d"), [(1, 0, 1), (1, 0, 2), (2, 1, 2), (3, 0, 3), (4, 9, 31), (8, 0, 64), (2, 9, 100)]
)
def test_the_prover_is_the_plain_one(n: int, p: int, d: int) -> None:
    found = make_round(n, p, d)
    proof = prove(srs_for(found), found.statement, found.rows)
    assert proof == plain_proof(found)
    verify(found.statement, proof, srs_for(found).tau_g2)


def test_the_same_bytes_with_any_number_of_threads_and_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    found = make_round(3, 1, 1000)
    proofs = [prove(srs_for(found), found.statement, found.rows, threads=threads) for threads in (1, 2, 5)]
    monkeypatch.setattr(module, "PIECE", 96)
    proofs.append(prove(srs_for(found), found.statement, found.rows))
    assert proofs == [proofs[0]] * 4


def test_rows_may_be_streams_that_are_read_once() -> None:
    found = make_round(2, 1, 64)
    reads = []

    def stream(index: int, row: np.ndarray) -> StreamRow:
        def opened():
            reads.append(index)
            yield row.tobytes()

        return StreamRow(opened, row.size, row.dtype.type)

    streams = [stream(index, row) for index, row in enumerate(found.rows)]
    assert prove(srs_for(found), found.statement, streams) == prove(srs_for(found), found.statement, found.rows)
    assert reads == [0, 1, 2]


def test_progress_names_every_part() -> None:
    found, told = make_round(1, 0, 8), []
    prove(srs_for(found), found.statement, found.rows, lambda part, share: told.append((part, share)))
    assert dict(told) == PARTS
    assert [share for _, share in told] == sorted(PARTS.values())


def changed_entry(statement: RoundStatement, a: int, b: int, by: int) -> RoundStatement:
    gram = [list(row) for row in statement.gram]
    gram[a][b] += by
    gram[b][a] = gram[a][b]
    return replace(statement, gram=tuple(tuple(row) for row in gram))


POSITIONS = {
    "diagonal": (0, 0),
    "updates": (0, 3),
    "last update": (3, 3),
    "update and public": (1, 6),
    "public diagonal": (4, 4),
    "last public": (12, 12),
    "publics": (5, 11),
}


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("by", [1, -1, 2**40])
def test_another_entry_of_the_gram_matrix_cannot_be_proved(position: str, by: int) -> None:
    """Not by this prover, and not with its proof of the true one."""
    found = make_round(4, 9, 16)
    wrong = changed_entry(found.statement, *POSITIONS[position], by)
    with pytest.raises(WitnessInvalid, match="inner products"):
        prove(srs_for(found), wrong, found.rows)
    with pytest.raises(ProofInvalid):
        verify(wrong, prove(srs_for(found), found.statement, found.rows), srs_for(found).tau_g2)


def test_errors_of_the_gram_matrix_that_cancel_in_a_sum_do_not_cancel() -> None:
    found = make_round(4, 9, 16)
    in_the_plain_sum = changed_entry(changed_entry(found.statement, 0, 1, 5), 2, 3, -5)
    in_powers_of_one_number = changed_entry(changed_entry(found.statement, 0, 2, 1), 1, 1, -2)
    for wrong in (in_the_plain_sum, in_powers_of_one_number):
        with pytest.raises(WitnessInvalid, match="inner products"):
            prove(srs_for(found), wrong, found.rows)


def recommitted(statement: RoundStatement, order: Callable[[list[Point]], list[Point]]) -> RoundStatement:
    return replace(statement, commitments=tuple(order(list(statement.commitments))))


FALSE: dict[str, Callable[[RoundStatement], RoundStatement]] = {
    "weights swapped": lambda s: replace(s, weights=(s.weights[1], s.weights[0], *s.weights[2:])),
    "weight moved": lambda s: replace(s, weights=(s.weights[0] - 1, s.weights[1] + 1, *s.weights[2:])),
    "weights less": lambda s: replace(s, weights=(0,) * s.n),
    "another step": lambda s: replace(s, step=add(s.step, GENERATOR)),
    "no step": lambda s: replace(s, step=INFINITY),
    "step negated": lambda s: replace(s, step=negate(s.step)),
    "another update": lambda s: recommitted(s, lambda c: [add(c[0], GENERATOR), *c[1:]]),
    "updates swapped": lambda s: recommitted(s, lambda c: [c[1], c[0], *c[2:]]),
    "an update twice": lambda s: recommitted(s, lambda c: [c[0], c[0], *c[2:]]),
    "update and public swapped": lambda s: recommitted(s, lambda c: [c[-1], *c[1:-1], c[0]]),
    "public rows moved": lambda s: recommitted(s, lambda c: [*c[:4], *c[5:], c[4]]),
    "an update at infinity": lambda s: recommitted(s, lambda c: [INFINITY, *c[1:]]),
}


@pytest.mark.parametrize("name", FALSE)
def test_false_statements_cannot_be_proved(name: str) -> None:
    found = make_round(4, 9, 16)
    false = FALSE[name](found.statement)
    assert false != found.statement
    with pytest.raises(WitnessInvalid):
        prove(srs_for(found), false, found.rows)
    with pytest.raises(ProofInvalid):
        verify(false, prove(srs_for(found), found.statement, found.rows), srs_for(found).tau_g2)


CONTEXTS = {
    "chain_id": 1,
    "verifier": "0x" + "77" * 20,
    "market": "0x" + "77" * 20,
    "project": 77,
    "round": 77,
    "dimension": 17,
    "admitted_hash": b"\x77" * 32,
    "validation": b"\x77" * 32,
    "public_rows": b"\x77" * 32,
    "policy_hash": b"\x77" * 32,
    "outcomes_hash": b"\x77" * 32,
    "previous_model": b"\x77" * 32,
    "next_model": b"\x77" * 32,
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_proof_holds_in_its_place_only(name: str) -> None:
    found = make_round(3, 1, 16)
    proof = prove(srs_for(found), found.statement, found.rows)
    with pytest.raises(ProofInvalid):
        verify(replace(found.statement, **{name: CONTEXTS[name]}), proof, srs_for(found).tau_g2)


def test_a_proof_of_fewer_rows_is_none_of_more() -> None:
    found = make_round(3, 0, 16)
    proof = prove(srs_for(found), found.statement, found.rows)
    s = found.statement
    fewer = replace(s, commitments=s.commitments[:2], weights=s.weights[:2], gram=tuple(row[:2] for row in s.gram[:2]))
    with pytest.raises(ProofInvalid):
        verify(fewer, proof, srs_for(found).tau_g2)


def test_no_bit_of_a_proof_may_change() -> None:
    """All 2,560 of them."""
    found = make_round(2, 0, 8)
    data = prove(srs_for(found), found.statement, found.rows).to_bytes()
    for bit in range(8 * len(data)):
        wrong = bytearray(data)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises((ProofInvalid, PointMalformed)):
            verify(found.statement, RoundProof.from_bytes(bytes(wrong)), srs_for(found).tau_g2)


@pytest.mark.parametrize("name", ["correlation", "quotient", "opening"])
@pytest.mark.parametrize("change", [lambda p: negate(p), lambda p: INFINITY, lambda p: add(p, GENERATOR)])
def test_other_points_do_not_do(name: str, change: Callable[[Point], Point]) -> None:
    found = make_round(2, 0, 8)
    proof = prove(srs_for(found), found.statement, found.rows)
    wrong = replace(proof, **{name: change(getattr(proof, name))})
    with pytest.raises(ProofInvalid):
        verify(found.statement, wrong, srs_for(found).tau_g2)


@pytest.mark.parametrize("h", [0, 1, ORDER - 1])
def test_the_given_inverse_is_checked(h: int) -> None:
    found = make_round(2, 0, 8)
    proof = prove(srs_for(found), found.statement, found.rows)
    with pytest.raises(ProofInvalid, match="inverse"):
        verify(found.statement, replace(proof, h=h), srs_for(found).tau_g2)


def test_another_string_is_another_contract() -> None:
    found = make_round(2, 0, 8)
    proof = prove(srs_for(found), found.statement, found.rows)
    with pytest.raises(ProofInvalid):
        verify(found.statement, proof, make_insecure_srs(srs_for(found).path.with_name("else"), 8, "else").tau_g2)


@pytest.mark.parametrize("extra", [{0: 1}, {6: 1}, {7: 1}, {20: 5}, {60: -1}, {3: 1, 5: -1}], ids=str)
def test_another_s_fails_the_identity(extra: dict[int, int]) -> None:
    """Committed to and opened honestly; beyond d, too, where only the string's length ends it."""
    found = make_round(2, 0, 8)
    verify(found.statement, plain_proof(found), srs_for(found).tau_g2)
    with pytest.raises(ProofInvalid, match="pairing"):
        verify(found.statement, plain_proof(found, extra, exact=False), srs_for(found).tau_g2)


@pytest.mark.parametrize("position", POSITIONS)
def test_a_false_matrix_proved_anew_is_refused(position: str) -> None:
    """All challenges are those of the false statement."""
    found = make_round(4, 9, 16)
    false = replace(found, statement=changed_entry(found.statement, *POSITIONS[position], 1))
    with pytest.raises(ProofInvalid, match="pairing"):
        verify(false.statement, plain_proof(false, exact=False), srs_for(found).tau_g2)


@pytest.mark.parametrize("name", FALSE)
def test_false_statements_proved_anew_are_refused(name: str) -> None:
    found = make_round(4, 9, 16)
    false = replace(found, statement=FALSE[name](found.statement))
    with pytest.raises(ProofInvalid, match="pairing"):
        verify(false.statement, plain_proof(false, exact=False), srs_for(found).tau_g2)


def test_rows_that_do_not_fit_are_refused() -> None:
    found = make_round(2, 1, 16)
    srs = srs_for(found)
    with pytest.raises(WitnessInvalid, match="2 rows"):
        prove(srs, found.statement, found.rows[:2])
    with pytest.raises(WitnessInvalid, match=r"\[15\] entries"):
        prove(srs, found.statement, [row[:15] for row in found.rows])
    with pytest.raises(VectorOutOfRange):
        prove(srs, found.statement, [row.astype(float) for row in found.rows])
    with pytest.raises(SrsTooSmall):
        prove(srs_of(8), found.statement, found.rows)
    with pytest.raises(WitnessInvalid):
        prove(srs, found.statement, [found.rows[0] + 1, *found.rows[1:]])


def test_rows_with_the_right_inner_products_and_other_commitments_are_refused() -> None:
    """-u has the inner products of u."""
    found = make_round(2, 0, 16)
    with pytest.raises(WitnessInvalid, match="commitments"):
        prove(srs_for(found), found.statement, [-row for row in found.rows])


def test_a_longer_update_opens_a_proof_all_the_same() -> None:
    """What the contract cannot see, and witnesses check: entries beyond d (docs/protocol/proof.md)."""
    found = make_round(2, 0, 16)
    long = [np.concatenate([row, np.arange(16).astype(np.int16)]) for row in found.rows]
    srs = srs_of(64)
    wide = [row.astype(object) for row in long]
    step = sum(w * row for w, row in zip(found.statement.weights, wide, strict=True)).astype(np.int64)
    statement = replace(
        found.statement,
        dimension=32,
        commitments=tuple(commit(srs, row) for row in long),
        gram=tuple(tuple(int((a * b).sum()) for b in wide) for a in wide),
        step=commit(srs, step),
    )
    verify(statement, prove(srs, statement, long), srs.tau_g2)


def test_every_refusal_is_an_error_of_ours() -> None:
    assert issubclass(ProofInvalid, CohortError)
