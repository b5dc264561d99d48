"""A round to prove: updates and public rows of the size that training gives, with a true statement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from cohort_devnet.node import repository_root
from cohort_protocol.proof.commitment import commit
from cohort_protocol.proof.curve import add, compress
from cohort_protocol.proof.srs import Srs, make_insecure_srs, open_srs
from cohort_protocol.proof.statement import RoundStatement
from cohort_protocol.scoring.gram import TOTAL_WEIGHT, gram_matrix, weighted_sum
from cohort_protocol.scoring.rows import PublicRows

LAYOUT = PublicRows(past_steps=4, trainable=True, values=3)
"""p = 8."""
SPREAD, WIDE_SPREAD = 400, 3_000_000
"""Standard deviations of an update's entries, as of a demo's first rounds, and of a public row's."""
_HASH = bytes(32)


@dataclass(frozen=True)
class Proved:
    """A round's statement and its rows."""

    statement: RoundStatement
    rows: list[np.ndarray]


def srs_of(d: int) -> Srs:
    """An insecure string of d powers, made once and kept (half a minute for 2^20)."""
    path = repository_root() / ".cohort" / "benchmarks" / f"insecure-{d}.srs"
    if path.exists():
        return open_srs(path, d)
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_insecure_srs(path, d, "benchmarks")


def update(d: int, index: int, spread: float = SPREAD) -> np.ndarray:
    """int16[d], the same for the same numbers."""
    values = np.random.default_rng([d, index]).normal(0, spread, d)
    return np.clip(np.rint(values), -(2**15), 2**15 - 1).astype(np.int16)


def public_row(d: int, index: int) -> np.ndarray:
    """int64[d] within 32 bits."""
    values = np.random.default_rng([d, index, 1]).normal(0, WIDE_SPREAD, d)
    return np.clip(np.rint(values), -(2**31), 2**31 - 1).astype(np.int64)


def make_round(srs: Srs, n: int, d: int, layout: PublicRows = LAYOUT) -> Proved:
    """A round of n updates; its hashes stand for nothing."""
    updates = [update(d, index) for index in range(n)]
    public = [public_row(d, index) for index in range(layout.count)]
    weights = tuple(TOTAL_WEIGHT // n for _ in range(n))
    step = commit(srs, weighted_sum(updates, weights))
    before = commit(srs, update(d, n))
    statement = RoundStatement(
        chain_id=31337,
        verifier="0x" + "11" * 20,
        market="0x" + "22" * 20,
        project=1,
        round=7,
        dimension=d,
        layout=layout,
        admitted_hash=_HASH,
        validation=_HASH,
        public_rows=_HASH,
        policy_hash=_HASH,
        outcomes_hash=_HASH,
        previous_model=compress(before),
        next_model=compress(add(before, step)),
        step=step,
        commitments=tuple(commit(srs, row) for row in (*updates, *public)),
        gram=gram_matrix(updates, public),
        weights=weights,
    )
    return Proved(statement, [*updates, *public])
