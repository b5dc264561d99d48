"""The API: one application per process, made from settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from cohort_backend import problems
from cohort_backend.chain import endpoints as chain
from cohort_backend.conditional import EntityTags
from cohort_backend.health import endpoints as health
from cohort_backend.middleware import AccessLog, BodyLimit
from cohort_backend.migrations import upgrade
from cohort_backend.pages import endpoints as pages
from cohort_backend.parts import build_parts, service_version
from cohort_backend.policies import endpoints as policies
from cohort_backend.projects import endpoints as projects
from cohort_backend.proofs import endpoints as proofs
from cohort_backend.public_rows import endpoints as public_rows
from cohort_backend.rewards import endpoints as rewards
from cohort_backend.rounds import endpoints as rounds
from cohort_backend.settings import ApiSettings
from cohort_backend.settlements import endpoints as settlements
from cohort_backend.trainers import endpoints as trainers
from cohort_backend.updates import endpoints as updates

DESCRIPTION = """A marketplace where a project owner pays data owners for what their private data teaches a model.

The service is a convenience, not an authority: it holds no key of an owner or a trainer, every signature that it takes
is checked again by the contract, and everything it says can be checked against chain and IPFS. Amounts and scores are
decimal strings, hashes 0x hex, times unix seconds. Errors are application/problem+json (RFC 9457) with a stable `code`.

Lists come in pages: give `next` as `after`. Every POST may be sent again: the same message is recorded once. Answers to
GET carry an ETag; with If-None-Match one that has not changed is a bare 304. In a browser, `/` shows the same as pages.
"""


def create_app(settings: ApiSettings) -> FastAPI:
    """The application. Contacts nothing before it starts up; then it brings the database's schema up to date."""
    parts = build_parts(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(upgrade, parts.database)
        yield
        parts.watch.close()
        await asyncio.to_thread(parts.close)

    app = FastAPI(
        title="Cohort",
        version=service_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the pages would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.parts = parts
    domains = (chain, policies, projects, rounds, updates, public_rows, settlements, proofs, trainers, rewards, health)
    for domain in (*domains, pages):
        app.include_router(domain.router)
    problems.install(app)
    app.add_middleware(EntityTags)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(AccessLog)  # the outermost
    return app
