"""Reveals that the aggregator does not post. What witnesses have signed is all that a `reveal` transaction needs, so a
trainer whose update they endorse posts it itself, with the updates of everybody in the same set.

Nothing that the service says is believed: receipts have to be signed by witnesses of the project's terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from cohort_protocol.chain.packed import Opening
from cohort_protocol.chain.types import Receipt
from cohort_protocol.commitments import check_signature, openings_hash, receipt_message
from cohort_protocol.errors import InvalidInput, SignatureInvalid
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.service.messages import ReceiptedSet

from cohort_trainer.projects import VerifiedProject

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SignedReveal:
    """Openings by increasing member, with receipts by increasing witness."""

    openings: list[Opening]
    receipts: list[Receipt]

    @property
    def digest(self) -> bytes:
        """What the receipts sign."""
        return openings_hash(self.openings)


def own_reveal_due(reveal_start: int, reveal_end: int, place: int, of: int) -> int:
    """When (unix seconds) a trainer no longer waits for the aggregator, which posts a quarter of the window before tR
    at the latest: an eighth of the window before tR, 2 to 60 s, for the first of the members; the others follow within
    half of that time, so that one transaction does for all."""
    ahead = min(60, max(2, (reveal_end - reveal_start) // 8))
    return reveal_end - ahead + (ahead // 2) * place // max(1, of)


def usable(project: VerifiedProject, round: int, opening: Opening, found: ReceiptedSet) -> SignedReveal | None:
    """The set as `reveal` takes it, if a quorum endorses this opening in it, else None. What else may be wrong in a set
    costs nothing: the market passes over an opening of what is not on chain."""
    try:
        openings = [
            Opening(one.member, parse_bytes32(one.update), bytes(Cid.parse(one.cid)), parse_bytes32(one.salt))
            for one in found.reveals
        ]
    except InvalidInput as error:
        log.warning("receipts-malformed", project=project.id, round=round, why=str(error))
        return None
    members = [one.member for one in openings]
    if opening not in openings or members != sorted(set(members)):
        return None
    receipts = _receipts(project, round, openings, found)
    bit = openings.index(opening)
    endorsing = sum((one.endorsed & ~one.refused) >> bit & 1 for one in receipts)
    return SignedReveal(openings, receipts) if endorsing >= project.terms.quorum else None


def _receipts(project: VerifiedProject, round: int, openings: list[Opening], found: ReceiptedSet) -> list[Receipt]:
    """Those that are signed by a witness of the project: the market would refuse the call for any other."""
    digest, witnesses = openings_hash(openings), project.terms.witnesses
    receipts: dict[int, Receipt] = {}
    for one in found.receipts:
        message = receipt_message(project.identity, project.id, round, digest, one.endorsed, one.refused)
        signature = bytes.fromhex(one.signature[2:])
        try:
            check_signature(message, signature, one.witness)
        except SignatureInvalid as error:
            log.warning("receipt-invalid", project=project.id, round=round, witness=one.witness, why=str(error))
            continue
        if one.witness in witnesses:
            place = witnesses.index(one.witness)
            receipts[place] = Receipt(place, one.endorsed, one.refused, signature)
    return [receipts[place] for place in sorted(receipts)]
