"""Rounds with true statements, from a seed: what the tests of proofs prove, and then falsify."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from cohort_protocol.proof.commitment import commit
from cohort_protocol.proof.curve import Point, add, compress
from cohort_protocol.proof.srs import Srs, make_insecure_srs, open_srs
from cohort_protocol.proof.statement import RoundStatement
from cohort_protocol.scoring.rows import PublicRows
from eth_utils import keccak

from tests.fixtures.leftovers import run_folder

SEED = "tests"
LAYOUTS = {0: PublicRows(), 1: PublicRows(trainable=True), 9: PublicRows(past_steps=5, trainable=True, values=3)}


@dataclass(frozen=True)
class Round:
    """A statement that is true of `rows`."""

    statement: RoundStatement
    rows: list[np.ndarray]
    """Updates int16[d], then public rows int64[d]."""


@cache
def srs_of(size: int) -> Srs:
    """An insecure string, made once in a test run."""
    path = run_folder() / f"{SEED}-{size}.srs"
    return open_srs(path, size) if path.exists() else make_insecure_srs(path, size, SEED)


def make_round(n: int, p: int, d: int, seed: int = 0, bits: int = 15) -> Round:
    """n updates with entries below 2^bits in size and p public rows (0, 1 or 9) with entries below 2^(2 bits)."""
    numbers = np.random.default_rng([n, p, d, seed])
    rows = [numbers.integers(-(2**bits), 2**bits, d).astype(np.int16) for _ in range(n)]
    rows += [numbers.integers(-(4**bits), 4**bits, d) for _ in range(p)]
    parts = numbers.random(n) ** 2
    weights = tuple(int(part) for part in 2**16 * parts / parts.sum())
    return Round(statement_of(rows, weights, LAYOUTS[p], seed), rows)


def statement_of(rows: list[np.ndarray], weights: tuple[int, ...], layout: PublicRows, seed: int = 0) -> RoundStatement:
    """The statement of these rows; the hashes in it stand for anything."""
    d, n = rows[0].size, len(rows) - layout.count
    srs = srs_of(max(2, 1 << (d - 1).bit_length()))
    wide = [row.astype(object) for row in rows]
    step = sum(weight * row for weight, row in zip(weights, wide, strict=False))
    model = np.random.default_rng(seed).integers(-(2**40), 2**40, d)
    before = commit(srs, model)
    moved = commit(srs, step.astype(np.int64))

    def word(name: str) -> bytes:
        return keccak(text=f"{name} {seed}")

    return RoundStatement(
        chain_id=31337,
        verifier="0x" + word("verifier")[:20].hex(),
        market="0x" + word("market")[:20].hex(),
        project=seed + 1,
        round=seed + 2,
        dimension=d,
        layout=layout,
        admitted_hash=word("admitted"),
        validation=word("validation"),
        public_rows=word("public rows") if layout.count else bytes(32),
        policy_hash=word("policy"),
        outcomes_hash=word("outcomes"),
        previous_model=compress(before),
        next_model=compress(add(before, moved)),
        step=moved,
        commitments=tuple(commit(srs, row) for row in rows),
        gram=tuple(tuple(int((a * b).sum()) for b in wide) for a in wide),
        weights=weights[:n],
    )


def points(count: int, seed: int = 0) -> list[Point]:
    """Some points that are nobody's commitment."""
    srs = srs_of(64)
    return [commit(srs, np.random.default_rng([seed, k]).integers(-99, 99, 5)) for k in range(count)]
