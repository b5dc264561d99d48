"""The reference verifier: what the contract computes, to be read beside `docs/protocol/proof.md`."""

from __future__ import annotations

from cohort_protocol.proof.curve import G2_GENERATOR, GENERATOR, ORDER, Twist, combine, negate, pairing_is_one
from cohort_protocol.proof.errors import ProofInvalid
from cohort_protocol.proof.round_proof import RoundProof
from cohort_protocol.proof.statement import RoundStatement
from cohort_protocol.proof.transcript import Transcript


def verify(statement: RoundStatement, proof: RoundProof, tau_g2: Twist) -> None:
    """Checks that `proof` proves `statement` under the string whose [tau]_2 this is. Raises `ProofInvalid`.

    That previous and next model of the statement differ by the step, and what the other hashes stand for, is checked
    by who makes the statement (`proof.evidence`, the contract): here they are bytes."""
    transcript = Transcript.of(statement)
    transcript.correlation(proof.correlation)
    z, h = transcript.z, proof.h
    # One given inverse serves for 1/z, and shows that the two points z and 1/z exist and differ.
    if h * z % ORDER * (1 - z * z) % ORDER != 1:
        raise ProofInvalid("the given inverse of z (1 - z^2) is none")
    inverse = h * (1 - z * z) % ORDER

    c = claimed_norm(statement.gram, transcript.x)
    v1, v2, s1 = proof.v1, proof.v2, proof.s1
    s2 = z * (v1 * v2 - c - z * s1) % ORDER
    """S(1/z), from the identity V(z) V(1/z) = c + z S(z) + S(1/z)/z."""

    transcript.evaluations(v1, v2, s1)
    gamma, rho = transcript.gamma, transcript.rho
    f1, f2 = (s1 + gamma * v1) % ORDER, (s2 + gamma * v2) % ORDER

    transcript.quotient(proof.quotient)
    y = transcript.y
    at_y = (f1 + (f2 - f1) * (y - z) * h * z * z) % ORDER
    """I(y): the line through (z, f1) and (1/z, f2); 1/(1/z - z) = h z^2."""

    weights = (*statement.weights, *[0] * statement.p)
    factors = [gamma * x + rho * w for x, w in zip(transcript.x, weights, strict=True)]
    left = combine(
        [
            *zip(factors, statement.commitments, strict=True),
            (1, proof.correlation),
            (-rho, statement.step),
            (-at_y, GENERATOR),
            (-(y - z) * (y - inverse), proof.quotient),
            (y, proof.opening),
        ]
    )
    if not pairing_is_one([(left, G2_GENERATOR), (negate(proof.opening), tau_g2)]):
        raise ProofInvalid("the pairing check fails: statement, proof and reference string do not belong together")


def claimed_norm(gram: tuple[tuple[int, ...], ...], x: tuple[int, ...]) -> int:
    """c = x^T G x modulo r."""
    return (
        sum(xa * sum(xb * entry for xb, entry in zip(x, row, strict=True)) for xa, row in zip(x, gram, strict=True))
        % ORDER
    )
