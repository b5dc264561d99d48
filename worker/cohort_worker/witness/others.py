"""Whether any witness of a round has signed two outcomes of it: from a service's record, which is checked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import structlog
from cohort_protocol.bundle import MAX_BUNDLE_BYTES
from cohort_protocol.chain import ChainClient, Market
from cohort_protocol.commitments import MarketId
from cohort_protocol.equivocation import SignedOutcome, find_equivocation
from cohort_protocol.errors import CohortError
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.connect import connect_store
from cohort_protocol.ipfs.store import IpfsStore
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.messages import SettlementSignature

log = structlog.get_logger(__name__)


def look_for_equivocations(
    api: str, chain: str, market: str, ipfs: str, project: int, round: int
) -> Iterator[dict[str, Any]]:
    """Evidence against each witness who signed two outcomes, as JSON. Raises what service and chain raise; a word whose
    bundle cannot be had, or that is not the witness's, is logged and passed over."""
    client = ChainClient(chain)
    try:
        identity = Market(client, market).identity(project)
        with ServiceClient(api) as service, connect_store(ipfs) as store:
            yield from evidence(identity, service.settlement_signatures(project, round).items, store)
    finally:
        client.close()


def evidence(identity: MarketId, words: list[SettlementSignature], store: IpfsStore) -> Iterator[dict[str, Any]]:
    """As `look_for_equivocations`, of words that are here."""
    ordered = sorted(words, key=lambda word: (word.witness, word.bundle_cid))
    for witness, given in groupby(ordered, key=lambda word: word.witness):
        signed = list(_genuine(identity, list(given), store))
        found = find_equivocation(identity, witness, signed)
        if found is not None:
            yield {
                "witness": witness,
                "project": found.project,
                "round": found.round,
                "difference": found.difference,
                "outcomes": [
                    {"bundle_cid": str(cid_of(one.bundle)), "signature": to_hex(one.signature)}
                    for one in (found.first, found.second)
                ],
            }


def _genuine(identity: MarketId, words: list[SettlementSignature], store: IpfsStore) -> Iterator[SignedOutcome]:
    """The words that are the witness's and whose bundle is here."""
    for word in words:
        try:
            bundle = store.get(Cid.parse(word.bundle_cid), MAX_BUNDLE_BYTES)
            outcome = SignedOutcome(bundle, bytes.fromhex(word.signature[2:]))
            find_equivocation(identity, word.witness, [outcome])
        except CohortError as error:
            log.warning("word_passed_over", witness=word.witness, bundle=word.bundle_cid, detail=str(error))
        else:
            yield outcome
