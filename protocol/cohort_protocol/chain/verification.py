"""Asking a proven verifier whether a settlement would hold, before it is sent, and what checking it costs."""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.codec import contract_abi
from cohort_protocol.chain.transactions import TransactionRequest
from cohort_protocol.commitments import SettlementStatement, cid_hash
from cohort_protocol.identifiers import parse_address

BASE_GAS = 21_000
ZERO_BYTE_GAS, BYTE_GAS = 4, 16
"""What every transaction costs before it does anything (EIP-2028)."""


def verification(
    verifier: str,
    market: str,
    statement: SettlementStatement,
    witnesses: Sequence[str],
    quorum: int,
    evidence: bytes,
) -> TransactionRequest:
    """The very call that the market makes of its project's verifier in a settlement."""
    fields = {
        "market": parse_address(market),
        "project": statement.project,
        "round": statement.round,
        "dimension": statement.dimension,
        "admitted_hash": statement.admitted_hash,
        "validation": statement.validation,
        "public_rows": statement.public_rows,
        "policy_hash": statement.policy_hash,
        "outcomes_hash": statement.outcomes_hash,
        "previous_model": statement.previous_model,
        "next_model": statement.next_model,
        "next_model_cid": cid_hash(statement.next_model_cid),
        "bundle_cid": cid_hash(statement.bundle_cid),
    }
    data = contract_abi("ProvenVerifier").encode_call("verify", fields, list(witnesses), quorum, evidence)
    describe = f"verify the outcome of round {statement.project}/{statement.round}"
    return TransactionRequest(parse_address(verifier), data, describe=describe)


def gas_of(client: ChainClient, request: TransactionRequest, sender: str) -> int:
    """What the node says that the call uses, without what any transaction costs for itself and its data.

    Raises `TransactionReverted` with the verifier's reason if the settlement would not hold, `ChainUnavailable`."""
    zeros = request.data.count(0)
    intrinsic = BASE_GAS + ZERO_BYTE_GAS * zeros + BYTE_GAS * (len(request.data) - zeros)
    return max(0, client.estimate_gas(request, sender) - intrinsic)
