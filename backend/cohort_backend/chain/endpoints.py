"""Which market this is."""

from __future__ import annotations

from cohort_protocol.service.messages import MarketInfo
from fastapi import APIRouter

from cohort_backend import examples
from cohort_backend.chain.repository import cursor
from cohort_backend.openapi import answers
from cohort_backend.parts import Parts, service_version

router = APIRouter(prefix="/v1", tags=["market"])


@router.get("/market", responses=answers(examples.MARKET_INFO, 503))
def market(parts: Parts) -> MarketInfo:
    """Chain, contracts and how far the chain has been read.

    Compare with your own address book: every signature you make is bound to these addresses."""
    with parts.database.read() as session:
        found = cursor(session)
    return MarketInfo(
        chain_id=parts.settings.chain_id,
        market=parts.settings.market,
        verifier=parts.settings.verifier,
        policy=parts.settings.policy,
        proven_verifier=parts.settings.proven_verifier,
        block=max(0, found.block_number) if found is not None else 0,
        version=service_version(),
    )
