"""tests/vectors/proofs.json: whole statements with their proofs and every intermediate value.

Written anew, after a change on purpose, by `python -m tests.protocol.proof.proof_vectors`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from cohort_protocol.proof.curve import ORDER
from cohort_protocol.proof.prover import prove
from cohort_protocol.proof.statement import RoundStatement, gram_bytes, layout_numbers
from cohort_protocol.proof.transcript import Transcript
from cohort_protocol.proof.verifier import claimed_norm

from tests.protocol.proof.rounds import LAYOUTS, SEED, Round, make_round, srs_of, statement_of

PATH = Path(__file__).resolve().parents[2] / "vectors" / "proofs.json"
SIZE = 64
"""d, and powers of the insecure string made from `SEED`."""
CASES = {
    "n1": (1, 0),
    "n8": (8, 0),
    "n20p9": (20, 9),
    "n3p1": (3, 1),
    "n32p9": (32, 9),
}


def cases() -> dict[str, Round]:
    """The rounds by name; `zeros` has only zero vectors: every point of it is infinity."""
    rounds = {name: make_round(n, p, SIZE, seed=number) for number, (name, (n, p)) in enumerate(CASES.items())}
    zeros = [np.zeros(SIZE, np.int16)] * 2
    return rounds | {"zeros": Round(statement_of(zeros, (2**15, 2**15), LAYOUTS[0], seed=99), zeros)}


def case_of(name: str, found: Round) -> dict[str, Any]:
    """Numbers as decimal strings, bytes as hex."""
    statement = found.statement
    srs = srs_of(SIZE)
    proof = prove(srs, statement, found.rows)
    transcript = Transcript.of(statement)
    transcript.correlation(proof.correlation)
    transcript.evaluations(proof.v1, proof.v2, proof.s1)
    transcript.quotient(proof.quotient)
    z, c = transcript.z, claimed_norm(statement.gram, transcript.x)
    return {
        "name": name,
        **_statement_members(statement),
        "head": _hex(statement.head()),
        "state": _hex(transcript.state),
        "x": [str(value) for value in transcript.x],
        "c": str(c),
        "state1": _hex(transcript.state1),
        "z": str(z),
        "s2": str(z * (proof.v1 * proof.v2 - c - z * proof.s1) % ORDER),
        "state2": _hex(transcript.state2),
        "gamma": str(transcript.gamma),
        "rho": str(transcript.rho),
        "state3": _hex(transcript.state3),
        "y": str(transcript.y),
        "correlation": _hex(proof.correlation.words()),
        "v1": str(proof.v1),
        "v2": str(proof.v2),
        "s1": str(proof.s1),
        "h": str(proof.h),
        "quotient": _hex(proof.quotient.words()),
        "opening": _hex(proof.opening.words()),
        "proof": _hex(proof.to_bytes()),
        "rows": [[str(value) for value in row] for row in found.rows],
    }


def _statement_members(statement: RoundStatement) -> dict[str, Any]:
    steps, trainable, values = layout_numbers(statement.layout)
    numbers = {
        "chainId": statement.chain_id,
        "project": statement.project,
        "round": statement.round,
        "dimension": statement.dimension,
        "n": statement.n,
        "steps": steps,
        "trainable": trainable,
        "values": values,
    }
    hashes = {
        "admittedHash": statement.admitted_hash,
        "validation": statement.validation,
        "publicRows": statement.public_rows,
        "policyHash": statement.policy_hash,
        "outcomesHash": statement.outcomes_hash,
        "previousModel": statement.previous_model,
        "nextModel": statement.next_model,
        "step": statement.step.words(),
        "commitments": b"".join(point.words() for point in statement.commitments),
        "gram": gram_bytes(statement.gram, statement.n),
    }
    return {
        **{name: str(number) for name, number in numbers.items()},
        "verifier": statement.verifier,
        "market": statement.market,
        **{name: _hex(value) for name, value in hashes.items()},
        "weights": [str(weight) for weight in statement.weights],
    }


def build() -> dict[str, Any]:
    """The whole file."""
    written = [case_of(name, found) for name, found in cases().items()]
    tau = [str(value) for value in srs_of(SIZE).tau_g2]
    head = {"rule": "proofs", "seed": SEED, "size": str(SIZE), "tauG2": tau, "count": str(len(written))}
    return head | {"cases": written}


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def write() -> None:
    file = build()
    lines = ",\n".join(json.dumps(case) for case in file["cases"])
    head = json.dumps({**file, "cases": []})[:-2]
    PATH.write_text(f"{head}\n{lines}\n]}}\n")


if __name__ == "__main__":
    write()
