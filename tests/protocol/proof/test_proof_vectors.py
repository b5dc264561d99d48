"""The file of whole proofs that Python and Solidity are both held to."""

from __future__ import annotations

import json

import pytest
from cohort_protocol.proof.curve import Point
from cohort_protocol.proof.round_proof import RoundProof
from cohort_protocol.proof.verifier import verify

from tests.protocol.proof import proof_vectors

FILE = json.loads(proof_vectors.PATH.read_text())


@pytest.mark.parametrize("name", proof_vectors.cases())
def test_python_makes_the_values_of_the_file(name: str) -> None:
    (case,) = [case for case in FILE["cases"] if case["name"] == name]
    assert proof_vectors.case_of(name, proof_vectors.cases()[name]) == case


@pytest.mark.parametrize("case", FILE["cases"], ids=lambda case: case["name"])
def test_the_proofs_of_the_file_hold(case: dict) -> None:
    found = proof_vectors.cases()[case["name"]]
    verify(found.statement, RoundProof.from_bytes(bytes.fromhex(case["proof"][2:])), tuple(map(int, FILE["tauG2"])))


def test_the_round_without_anything_has_only_points_at_infinity() -> None:
    (case,) = [case for case in FILE["cases"] if case["name"] == "zeros"]
    for name in ("correlation", "quotient", "opening", "step"):
        assert Point.from_words(bytes.fromhex(case[name][2:])).is_infinity


def test_the_file_has_no_other_cases() -> None:
    assert [case["name"] for case in FILE["cases"]] == list(proof_vectors.cases())
