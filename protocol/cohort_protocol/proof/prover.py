"""The prover: from the rows of a round to the 320 bytes that a contract checks.

`docs/protocol/proof.md` has the argument; names are those of the text. Only numpy and the curve library are needed. The
rows are read once, in blocks; what stays in memory is as long as the model, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cohort_protocol.proof.combination import combine_rows, sources_of
from cohort_protocol.proof.commitment import widen
from cohort_protocol.proof.correlation import autocorrelation
from cohort_protocol.proof.curve import ORDER, Point
from cohort_protocol.proof.division import PIECE, Horner
from cohort_protocol.proof.errors import ProofInvalid, WitnessInvalid
from cohort_protocol.proof.field import evaluate, multiplier, pack, scale, unpack
from cohort_protocol.proof.msm import SCALAR_BYTES, Multiplier
from cohort_protocol.proof.round_proof import RoundProof
from cohort_protocol.proof.srs import Srs
from cohort_protocol.proof.statement import RoundStatement
from cohort_protocol.proof.transcript import Transcript
from cohort_protocol.proof.verifier import claimed_norm, verify
from cohort_protocol.scoring.kernel import Row

__all__ = ["PARTS", "Progress", "RoundProof", "prove"]

Progress = Callable[[str, float], None]
"""Is told the part that begins and the share of the work that is done (0 .. 1)."""

PARTS = {
    "combine": 0.0,
    "correlate": 0.01,
    "commit S": 0.16,
    "evaluate": 0.43,
    "divide, commit W": 0.44,
    "divide, commit W'": 0.72,
    "check": 0.99,
}
"""Part -> the share of the work before it, measured at d = 2^20."""


def prove(
    srs: Srs,
    statement: RoundStatement,
    rows: Sequence[Row],
    progress: Progress | None = None,
    *,
    threads: int | None = None,
) -> RoundProof:
    """Proves the statement; the proof is checked before it is returned.

    rows: the n updates int16[d], then the p public rows int32 or int64[d] with entries in int32, arrays or sources,
    each read once from the first column to the last. threads: None for all cores. The same input gives the same bytes.
    Memory: about 600 bytes an entry of the model. Raises `WitnessInvalid` if the rows do not make the statement true,
    `VectorOutOfRange`, `SrsTooSmall`, and what reading a row raises."""
    srs.require(statement.dimension)
    with Multiplier(threads) as multiplier:
        proof = _Proving(srs, statement, multiplier, progress or (lambda part, share: None)).run(rows)
    try:
        verify(statement, proof, srs.tau_g2)
    except ProofInvalid as error:
        raise WitnessInvalid(
            "the rows do not open the statement's commitments, the step is not their weighted sum, or this is not the "
            "reference string that the commitments were made with"
        ) from error
    return proof


class _Proving:
    """One proof on its way."""

    def __init__(self, srs: Srs, statement: RoundStatement, multiplier: Multiplier, progress: Progress) -> None:
        self._srs, self._statement, self._multiplier, self._progress = srs, statement, multiplier, progress
        self._d = statement.dimension

    def run(self, rows: Sequence[Row]) -> RoundProof:
        statement, transcript = self._statement, Transcript.of(self._statement)
        self._part("combine")
        dimensions = {source.dimension for source in sources_of(rows)}
        if dimensions != {self._d} or len(rows) != statement.n + statement.p:
            raise WitnessInvalid(
                f"{len(rows)} rows of {sorted(dimensions)} entries, the statement is about "
                f"{statement.n + statement.p} of {self._d}"
            )
        v = combine_rows(rows, transcript.x)
        self._part("correlate")
        s = np.zeros((self._d, SCALAR_BYTES), np.uint8)
        s[: self._d - 1] = autocorrelation(v, self._multiplier.threads)
        self._part("commit S")
        correlation = self._commit(s)
        transcript.correlation(correlation)
        z = transcript.z
        h = pow(z * (1 - z * z), -1, ORDER)
        self._part("evaluate")
        v1, v2, s1 = self._evaluations(v, s, z, h)
        transcript.evaluations(v1, v2, s1)
        self._part("divide, commit W")
        w, quotient = self._divide_by_both(v, s, z, transcript.gamma)
        transcript.quotient(quotient)
        self._part("divide, commit W'")
        opening = self._divide_by_last(v, s, w, transcript)
        self._part("check")
        return RoundProof(correlation, v1, v2, s1, h, quotient, opening)

    def _part(self, name: str) -> None:
        self._progress(name, PARTS[name])

    def _commit(self, scalars: np.ndarray) -> Point:
        total = self._multiplier.scalars(len(scalars))
        total.add(self._srs.points[: len(scalars)], scalars)
        return total.result()

    def _evaluations(self, v: np.ndarray, s: np.ndarray, z: int, h: int) -> tuple[int, int, int]:
        """V(z), V(1/z), S(z). Raises `WitnessInvalid` if the identity that they are to show does not hold."""
        inverse = h * (1 - z * z) % ORDER
        v1 = v2 = 0
        for start in range(0, self._d, PIECE):
            part = pack(widen(v[:, start : start + PIECE]))
            v1 += pow(z, start, ORDER) * evaluate(part, z)
            v2 += pow(inverse, start, ORDER) * evaluate(part, inverse)
        s1, s2 = evaluate(s, z), evaluate(s, inverse)
        c = claimed_norm(self._statement.gram, Transcript.of(self._statement).x)
        if (v1 * v2 - c - z * s1 - inverse * s2) % ORDER:
            raise WitnessInvalid("the rows have other inner products than the statement's Gram matrix")
        return v1 % ORDER, v2 % ORDER, s1

    def _joined(self, v: np.ndarray, s: np.ndarray, gamma: np.ndarray, part: slice) -> np.ndarray:
        """Some coefficients of F = S + gamma V: the third polynomial, sum w_a U_a - m, is zero."""
        return scale(gamma, v[:, part].astype(np.float64), plus=unpack(s[part]))

    def _divide_by_both(self, v: np.ndarray, s: np.ndarray, z: int, gamma: int) -> tuple[np.ndarray, Point]:
        """W = (F - I) / ((X - z)(X - 1/z)), uint8[d + 2, 32] with W_i in row i + 2, and [W].

        I is of degree one and changes the remainder only. A quotient's coefficient i is Horner's value i + 1."""
        joining, total = multiplier(gamma, len(v)), self._multiplier.scalars(self._d)
        first, second = Horner(z), Horner(pow(z, -1, ORDER))
        w = np.zeros((self._d + 2, SCALAR_BYTES), np.uint8)
        for part in self._pieces():
            w[part] = pack(second.next(first.next(self._joined(v, s, joining, part))))
            low, high = max(part.start, 2), max(part.stop, 2)
            total.add(self._srs.points[low - 2 : high - 2], w[low:high])
        return w, total.result()

    def _divide_by_last(self, v: np.ndarray, s: np.ndarray, w: np.ndarray, transcript: Transcript) -> Point:
        """[W'] with W' = (F - I(y) - (y - z)(y - 1/z) W) / (X - y); I(y) is constant and changes the remainder only."""
        y, z = transcript.y, transcript.z
        joining, total = multiplier(transcript.gamma, len(v)), self._multiplier.scalars(self._d)
        removing = multiplier(-(y - z) * (y - pow(z, -1, ORDER)) % ORDER)
        last = Horner(y)
        for part in self._pieces():
            joined = self._joined(v, s, joining, part)
            values = pack(last.next(scale(removing, unpack(w[part.start + 2 : part.stop + 2]), plus=joined)))
            low = max(part.start, 1)
            total.add(self._srs.points[low - 1 : part.stop - 1], values[low - part.start :])
        return total.result()

    def _pieces(self) -> list[slice]:
        """From the highest coefficients to the lowest."""
        return [slice(start, min(start + PIECE, self._d)) for start in range(0, self._d, PIECE)][::-1]
