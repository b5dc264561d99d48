"""Following a project, round by round."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated

from cohort_protocol.bundle import MAX_BUNDLE_BYTES
from cohort_protocol.canonical import parse_json
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.service.messages import ProjectState, RoundList, RoundView
from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from cohort_backend import examples
from cohort_backend.chain.repository import chain_now
from cohort_backend.openapi import PageSize, ProjectNumber, RoundNumber, answers
from cohort_backend.parts import Parts, ServiceParts
from cohort_backend.projects.errors import SpecNotHere
from cohort_backend.rounds import repository
from cohort_backend.rounds.errors import NoBundle
from cohort_backend.rounds.lookup import RoundInProject, find_project, find_round
from cohort_backend.rounds.state import Snapshot
from cohort_backend.rounds.views import round_view

router = APIRouter(prefix="/v1/projects/{project}", tags=["rounds"])

JSON = "application/json"
AFTER_DEADLINE = 0.05
"""Seconds past a deadline at which the new phase is certain."""


@router.get("/state", responses=answers(examples.STATE, 404, 503, model=ProjectState))
async def state(
    parts: Parts,
    project: ProjectNumber,
    after: Annotated[int, Query(ge=-1, lt=2**63, description="The version you know; -1 for none.")] = -1,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait for news.")] = 0.0,
) -> Response:
    """The newest round and what is asked of trainers and witnesses now.

    Answers at once if the version is another than `after`, else as soon as something changes, or after `wait` seconds.
    It also answers when a phase ends by time alone; the version is then the one you know."""
    snapshot = await run_in_threadpool(_snapshot, parts, project)
    if snapshot.version == after and wait > 0:
        seconds = min(wait, parts.settings.max_wait_seconds, _until_phase_ends(snapshot))
        await parts.watch.changed(project, after, seconds)
        snapshot = await run_in_threadpool(_snapshot, parts, project)
    return Response(snapshot.body, media_type=JSON)


@router.get("/rounds", responses=answers(examples.ROUNDS, 404, 503))
def list_rounds(
    parts: Parts,
    project: ProjectNumber,
    after: Annotated[int, Query(ge=0, lt=2**32, description="Number after which to go on.")] = 0,
    limit: PageSize = 20,
) -> RoundList:
    """Rounds of a project by number, each with everything that is known of it."""

    def build(session) -> RoundList:
        owner, now = find_project(session, project), chain_now(session)
        found = repository.page(session, project, after, limit + 1)
        shown = [round_view(session, RoundInProject(owner, round, now)) for round in found[:limit]]
        return RoundList(items=shown, next=shown[-1].number if len(found) > limit else None)

    return parts.specs.reading(project, build)


@router.get("/rounds/{round}", responses=answers(examples.ROUND, 404, 503))
def get_round(parts: Parts, project: ProjectNumber, round: RoundNumber) -> RoundView:
    """One round: phase and deadlines, who committed and revealed, rows with scores and pay, refusals in words, gas."""
    return parts.specs.reading(project, lambda session: round_view(session, find_round(session, project, round)))


@router.get("/rounds/{round}/bundle", responses=answers(examples.BUNDLE, 404, 503))
async def get_bundle(parts: Parts, project: ProjectNumber, round: RoundNumber) -> Response:
    """The bundle of a settled round from IPFS: everything that its outcome was computed from, for you to compute again.

    The bytes are those behind the `bundle_cid` on chain; check them against it."""
    content = await parts.slow.run(partial(_bundle, parts, project, round))
    return Response(content, media_type=JSON)


def _bundle(parts: ServiceParts, project: int, round: int) -> bytes:
    with parts.database.read() as session:
        cid = find_round(session, project, round).round.bundle_cid
    if cid is None:
        raise NoBundle(f"round {project}/{round} has no bundle: it has not been settled")
    content = parts.store.get(Cid.parse(cid), MAX_BUNDLE_BYTES)
    parse_json(content, MAX_BUNDLE_BYTES)  # whatever a settlement named: only JSON leaves here as JSON
    return content


def _snapshot(parts: ServiceParts, project: int) -> Snapshot:
    try:
        return parts.states.get(project)
    except SpecNotHere:
        parts.specs.fetch(project)
        return parts.states.get(project)


def _until_phase_ends(snapshot: Snapshot) -> float:
    """Seconds until the phase of the snapshot changes by itself."""
    if snapshot.changes_at is None:
        return float("inf")
    return max(0.0, snapshot.changes_at - max(time.time(), snapshot.built_at)) + AFTER_DEADLINE
