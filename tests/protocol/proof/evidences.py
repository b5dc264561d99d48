"""Real proofs with everything around them that a contract checks: rows, card, scores, next model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from cohort_protocol.commitments import ZERO32, MarketId, admitted_hash, outcomes_hash
from cohort_protocol.proof.curve import compress
from cohort_protocol.proof.evidence import EvidenceRow, encode_evidence
from cohort_protocol.proof.prover import prove
from cohort_protocol.proof.round_proof import RoundProof
from cohort_protocol.proof.rows_card import RowsCard
from cohort_protocol.proof.statement import RoundStatement
from eth_utils import keccak

from tests.protocol.proof.rounds import make_round, srs_of

POLICY_HASH = keccak(text="hinted policy")
"""Of the policy of these rounds (`HintedPolicy` in the contracts' tests): its hints are its answer."""


@dataclass(frozen=True)
class ProvenRound:
    """A round as its settlement shows it. Every part belongs to the others."""

    statement: RoundStatement
    rows: list[np.ndarray]
    proof: RoundProof
    admissions: tuple[tuple[EvidenceRow, ...], ...]
    card: RowsCard | None
    hints: bytes

    def evidence(self, receipts: Sequence[tuple[int, bytes]] = ()) -> bytes:
        """What `settle` takes."""
        return encode_evidence(self.admissions, self.statement, self.proof, self.card, self.hints, receipts)


def proven_round(n: int, p: int, d: int, market: MarketId, seed: int = 0, size: int | None = None) -> ProvenRound:
    """n updates and p public rows (0, 1 or 9) of d entries, judged by words that follow from the seed, and proven.

    size: powers of the insecure reference string; the least power of two that is enough if None."""
    found = make_round(n, p, d, seed)
    commitments = found.statement.commitments
    admissions = _admissions([compress(point) for point in commitments[:n]], seed)
    card = RowsCard(keccak(text=f"manifest {seed}"), found.statement.layout, commitments[n:]) if p else None
    outcomes = [((7 + a) << 30, 0) if weight else (0, 2) for a, weight in enumerate(found.statement.weights)]
    statement = replace(
        found.statement,
        chain_id=market.chain_id,
        market=market.market,
        verifier=market.verifier,
        round=6 if p else 1,
        admitted_hash=admitted_hash(admissions),
        public_rows=ZERO32 if card is None else card.digest,
        policy_hash=POLICY_HASH,
        outcomes_hash=outcomes_hash(outcomes),
    )
    words = [
        (weight << 64 | score) << 8 | reason
        for (score, reason), weight in zip(outcomes, statement.weights, strict=True)
    ]
    srs = srs_of(size or max(2, 1 << (d - 1).bit_length()))
    proof = prove(srs, statement, found.rows)
    hints = b"".join(word.to_bytes(32, "big") for word in words)
    return ProvenRound(statement, found.rows, proof, admissions, card, hints)


def _admissions(updates: list[bytes], seed: int) -> tuple[tuple[EvidenceRow, ...], ...]:
    """Two calls of `reveal`, where there are two rows."""
    rows = [
        EvidenceRow(3 * a + 1, update, bytes((1, 0x55, 0x12, 0x20)) + keccak(text=f"file {seed} {a}"))
        for a, update in enumerate(updates)
    ]
    cut = len(rows) // 2
    return tuple(tuple(part) for part in (rows[:cut], rows[cut:]) if part)
