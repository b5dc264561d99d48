"""Evidence that a witness has signed two outcomes of one round, which anybody can check again.

A word on an outcome is bound to its bundle, and a bundle holds everything that the word says. So two bundles that
speak of the same round, each with the witness's signature, are all that is needed: no service and no record of ours. A
round is what the chain says of it; after a reorg that admitted other updates it is another one, and signing both is no
fault.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from eth_account.messages import SignableMessage

from cohort_protocol.bundle import RoundBundle, compare, statement_of
from cohort_protocol.commitments import (
    MarketId,
    SettlementStatement,
    check_signature,
    model_bytes_message,
    settlement_message,
)
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.spec import Settlement


@dataclass(frozen=True)
class SignedOutcome:
    """A bundle (its bytes, canonical) and a witness's signature over its outcome (65 bytes)."""

    bundle: bytes
    signature: bytes


@dataclass(frozen=True)
class Equivocation:
    """Two outcomes of one round under one signature."""

    witness: str
    project: int
    round: int
    first: SignedOutcome
    second: SignedOutcome
    difference: str
    """Where the bundles part, in words."""


def settlement_word(
    market: MarketId, statement: SettlementStatement, settlement: Settlement = "attested"
) -> SignableMessage:
    """What a witness signs of an outcome with which it agrees: in an attested project the whole outcome; in a proven
    one, where the chain checks the outcome, that the bytes of model and bundle can be had."""
    if settlement == "attested":
        return settlement_message(market, statement)
    told = statement
    return model_bytes_message(market, told.project, told.round, told.next_model, told.next_model_cid, told.bundle_cid)


def find_equivocation(market: MarketId, witness: str, outcomes: Iterable[SignedOutcome]) -> Equivocation | None:
    """The first pair of outcomes that this witness should not both have signed; None if there is none.

    Every signature is checked. Raises `BundleMalformed`, and `SignatureInvalid` for a signature that is not the
    witness's: then the evidence is somebody else's fault."""
    signed: list[tuple[SignedOutcome, RoundBundle, SettlementStatement]] = []
    for outcome in outcomes:
        bundle = RoundBundle.from_bytes(outcome.bundle)
        statement = statement_of(bundle, cid_of(outcome.bundle))
        check_signature(settlement_word(market, statement, bundle.settlement), outcome.signature, witness)
        signed.append((outcome, bundle, statement))
    for (first, bundle, statement), (second, other, told) in combinations(signed, 2):
        difference = compare(bundle, other)
        if difference is not None and _same_round(statement, told):
            return Equivocation(witness, bundle.project, bundle.round, first, second, difference)
    return None


def _same_round(one: SettlementStatement, other: SettlementStatement) -> bool:
    facts = ("project", "round", "admitted_hash", "previous_model", "validation", "public_rows")
    return all(getattr(one, name) == getattr(other, name) for name in facts)
