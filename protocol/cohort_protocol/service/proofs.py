"""What goes over the wire about proven rounds (see `messages`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cohort_protocol.identifiers import Address, Bytes32, CidText
from cohort_protocol.service.terms import Message, Signature


class ProofView(Message):
    """The proof of a round of a proven project, from the moment that its outcome is computed."""

    bundle_cid: CidText
    """The outcome that it is for."""
    state: Literal["queued", "proving", "ready", "failed"]
    part: Annotated[int, Field(ge=0)] = 0
    """Part that is under way, from 1; 0 before the first."""
    parts: Annotated[int, Field(ge=0)] = 0
    step: str = ""
    """That part in words."""
    prover: str = ""
    """What proves: `python` or the name of a compiled prover."""
    bytes: int | None = None
    """Of the proof; what travels with it (Gram matrix, points) is not counted."""
    evidence_bytes: int | None = None
    """Of everything that the contract's verifier reads."""
    prove_seconds: float | None = None
    verify_gas: int | None = None
    """Gas of the verifier's call as the node estimates it, without what any transaction costs."""
    error: str = ""
    """Why it failed, in words."""
    receipts: list[Address] = Field(default_factory=list)
    """Witnesses who vouch for the bytes of the next model."""


class PendingModel(Message):
    """A model that a proven settlement left and that waits for witnesses to vouch for its bytes. A round starts from it
    with their receipts; from `until` on a round opens without it."""

    round: int
    model: Bytes32
    """Commitment."""
    cid: CidText
    until: int
    """Unix seconds."""
    signed_by: list[Address]


class ModelReceiptIntake(Message):
    """POST /v1/projects/{p}/models/receipts: a witness's EIP-712 `ModelReceipt`, that the bytes of the pending model
    can be fetched and open its commitment."""

    witness: Address
    model: Bytes32
    signature: Signature
