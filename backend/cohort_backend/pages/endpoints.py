"""Addresses for browsers. Not in the description of the API: their form may change with any version."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated

from cohort_protocol.errors import CohortError
from fastapi import APIRouter, Query
from starlette.responses import Response

from cohort_backend import problems
from cohort_backend.openapi import ProjectNumber, RoundNumber
from cohort_backend.pages.front import front_page
from cohort_backend.pages.layout import respond
from cohort_backend.pages.markup import el
from cohort_backend.pages.project import project_page
from cohort_backend.pages.round import round_page
from cohort_backend.parts import Parts, ServiceParts

router = APIRouter(include_in_schema=False)

After = Annotated[int, Query(ge=0, lt=2**63)]
Refresh = Annotated[int, Query(ge=0, le=3600, description="Seconds after which the browser asks again; 0: never.")]
SHORTEST_REFRESH = 5


@router.get("/")
async def front(parts: Parts, after: After = 0, refresh: Refresh = 0) -> Response:
    return await _page(parts, partial(front_page, parts, after), refresh)


@router.get("/projects/{project}")
async def project(
    parts: Parts,
    project: ProjectNumber,
    before: Annotated[int | None, Query(ge=1, lt=2**32)] = None,
    after: Annotated[str, Query(max_length=42)] = "",
    refresh: Refresh = 0,
) -> Response:
    return await _page(parts, partial(project_page, parts, project, before, after), refresh)


@router.get("/projects/{project}/rounds/{round}")
async def round(parts: Parts, project: ProjectNumber, round: RoundNumber, refresh: Refresh = 0) -> Response:
    return await _page(parts, partial(round_page, parts, project, round), refresh)


async def _page(parts: ServiceParts, make: Callable[[], Response], refresh: int) -> Response:
    """The page, or one that says why there is none. A page may wait for chain or IPFS, so it has threads of its own."""
    try:
        answer = await parts.pages.run(make)
    except CohortError as error:
        status = problems.status_of(error)
        if status == 500:
            raise
        words = [el("h1", "This cannot be shown"), el("p", str(error)[: problems.MAX_DETAIL])]
        answer = respond("This cannot be shown", [("/", "Projects")], words, status)
    if refresh and answer.status_code == 200:
        answer.headers["refresh"] = str(max(refresh, SHORTEST_REFRESH))
    return answer
