"""What a proven round costs on chain, call by call and part by part, beside an attested one.

Real transactions on a local chain: the market, the verifier with a reference string of its own, the policy contract,
proofs by the prover. "Steady" is a project's third round: the first pays for slots that later ones only change. Parts
of a settlement: its base fee and calldata from the transaction's bytes (EIP-2028), verifier and policy from the call
trace, curve and pairing by the number of operations (EIP-1108: 6,000 for a multiplication, 150 for an addition, 45,000
and 34,000 for each pair), and what is left of each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cohort_protocol.chain.transactions import TransactionRequest
from eth_account.signers.local import LocalAccount

from benchmarks.gas import BASE, Gauge, Measured, measure_rounds, terms_for
from benchmarks.table import Row
from tests.contracts.proven_chain import ProvenChain
from tests.fixtures.proven_scene import ProvenScene, proven_devnet
from tests.fixtures.scene import BUDGET
from tests.protocol.proof.evidences import proven_round
from tests.protocol.proof.rounds import srs_of

SIZES = (8, 20, 32)
ROUNDS = 5
"""The last of them has all three past steps."""
PER_TRAINER = 55_000
GOAL_FROM = 20
"""Trainers; smaller rounds share the pairing among fewer."""
LENGTHS, QUICK_LENGTHS = (2**16, 2**20), (2**8, 2**10)
ECMUL, ECADD, PAIRING = 6_000, 150, 45_000 + 2 * 34_000
OTHER_TERMS = 4
"""Multiplications of a proof besides one for each row."""
CALLS = ("commitBatch", "reveal", "postPublicRows", "settle")


@dataclass(frozen=True)
class Parts:
    """Gas of a settlement, by part. `market`: rows, pay, payout root, standing, events."""

    base: int
    calldata: int
    curve: int
    pairing: int
    arithmetic: int
    """The rest of the verifier: hashes, the quadratic form, checks, signatures."""
    policy: int
    market: int

    @classmethod
    def of(cls, settled: int, calldata: int, verifier: int, policy: int, terms: int) -> Parts:
        """From the gas of the transaction, of its bytes, of the calls in it, and the number of curve terms."""
        curve = terms * (ECMUL + ECADD) + ECADD
        arithmetic = verifier - policy - curve - PAIRING
        return cls(BASE, calldata, curve, PAIRING, arithmetic, policy, settled - BASE - calldata - verifier)

    def rows(self, n: int) -> list[Row]:
        return [Row(f"n = {n}: settle, {name}", gas / n, "gas per trainer") for name, gas in vars(self).items()]


class ProofGauge(Gauge):
    """A gauge that remembers which transaction was the newest."""

    newest: bytes = b""

    def send(self, account: LocalAccount, request: TransactionRequest):
        receipt = super().send(account, request)
        self.newest = receipt.hash
        return receipt


def run(quick: bool) -> list[Row]:
    """Rounds of 8, 20 and 32 trainers (quick: of 8)."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as home, proven_devnet(Path(home), ProofGauge) as gauge:
        assert isinstance(gauge, ProofGauge)
        for n in SIZES[:1] if quick else SIZES:
            rows += measure_proven(gauge, n)
            _, attested = measure_rounds(gauge, n)
            rows.append(
                Row(f"n = {n}: attested round with its commitments", attested.per_trainer(n), "gas per trainer")
            )
        rows += measure_lengths(gauge, QUICK_LENGTHS if quick else LENGTHS)
    return rows


def measure_proven(gauge: ProofGauge, n: int) -> list[Row]:
    """A steady round with n trainers and all public rows."""
    with gauge.undone():
        scene = ProvenScene.of(gauge, n, deposit=(ROUNDS + 1) * BUDGET, **terms_for(n))
        for _ in range(ROUNDS):
            calls = _run_round(scene, gauge)
        parts = _parts(scene, gauge, n, calls["settle"])
        scene.money_holds()
    whole = sum(calls[name].gas for name in CALLS) / n
    revealed = whole - calls["commitBatch"].gas / n
    goal = PER_TRAINER if n >= GOAL_FROM else None
    rows = [
        Row(f"n = {n}: proven round from reveal to settlement", revealed, "gas per trainer", goal=goal),
        Row(f"n = {n}: proven round with its commitments", whole, "gas per trainer"),
    ]
    rows += [Row(f"n = {n}: {name}", calls[name].gas / n, "gas per trainer") for name in CALLS]
    return [*rows, *parts.rows(n), Row(f"n = {n}: settle, calldata", calls["settle"].size, "bytes")]


def measure_lengths(gauge: ProofGauge, lengths: Sequence[int]) -> list[Row]:
    """The verifier alone, for the same number of rows of different lengths."""
    rows: list[Row] = []
    with gauge.undone():
        chain = ProvenChain.deploy(gauge, srs_of(lengths[0]).tau_g2)
        for d in lengths:
            found = proven_round(20, 9, d, chain.market, seed=1)
            chain.send(found.statement, found.evidence())
            goal = 1.02 * rows[0].value if rows else None
            rows.append(Row(f"n = 20: verify alone, d = 2^{d.bit_length() - 1}", gauge.last.gas, "gas", goal=goal))
    return rows


def _run_round(scene: ProvenScene, gauge: ProofGauge) -> dict[str, Measured]:
    calls = {}
    scene.open()
    scene.commit()
    calls["commitBatch"] = gauge.last
    scene.reveal()
    calls["reveal"] = gauge.last
    card = scene.post_public_rows()
    calls["postPublicRows"] = gauge.last
    ready = scene.judged(card)
    scene.send_settlement(ready, scene.evidence_of(ready))
    calls["settle"] = gauge.last
    return calls


def _parts(scene: ProvenScene, gauge: ProofGauge, n: int, settle: Measured) -> Parts:
    trace = gauge.client.rpc(
        "debug_traceTransaction", ["0x" + gauge.newest.hex(), {"tracer": "callTracer"}], "the settlement's trace"
    )
    layout, _, _ = scene.public_rows()
    return Parts.of(
        settled=settle.gas,
        calldata=settle.calldata,
        verifier=gas_of(trace, scene.terms.verifier),
        policy=gas_of(trace, gauge.deployment.proven_policy or ""),
        terms=n + layout.count + OTHER_TERMS,
    )


def gas_of(call: dict[str, Any], contract: str) -> int:
    """Gas of the calls of a contract within a trace."""
    if call.get("to", "").lower() == contract.lower():
        return int(call["gasUsed"], 16)
    return sum(gas_of(inner, contract) for inner in call.get("calls", ()))
