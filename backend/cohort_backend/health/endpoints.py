"""For supervisors: is it alive, can it work."""

from __future__ import annotations

from cohort_protocol.service.messages import Health
from fastapi import APIRouter, Response

from cohort_backend import examples
from cohort_backend.health.service import check_parts
from cohort_backend.openapi import answers
from cohort_backend.parts import Parts, service_version

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=answers(examples.LIVE))
async def live() -> Health:
    """The process answers. Says nothing about the parts it depends on."""
    return Health(status="live", version=service_version())


@router.get("/ready", responses=answers(examples.READY, 503))
async def ready(parts: Parts, response: Response) -> Health:
    """Database, chain and IPFS answer: 200 if all do, else 503 with the reason beside each."""
    found = await check_parts(parts)
    everything = all(part.ready for part in found)
    response.status_code = 200 if everything else 503
    return Health(status="ready" if everything else "not-ready", version=service_version(), parts=found)
