"""Looking at trainers: standing across projects, place in one."""

from __future__ import annotations

from typing import Annotated

from cohort_protocol.service.messages import TrainerList, TrainerView
from fastapi import APIRouter, Query

from cohort_backend import examples
from cohort_backend.openapi import PageSize, ProjectNumber, TrainerAddress, answers
from cohort_backend.parts import Parts
from cohort_backend.rounds.lookup import find_project
from cohort_backend.trainers import repository
from cohort_backend.trainers.views import member_view, trainer_view

router = APIRouter(prefix="/v1", tags=["trainers"])


@router.get("/trainers/{address}", responses=answers(examples.STANDING, 503))
def get_trainer(parts: Parts, address: TrainerAddress) -> TrainerView:
    """Standing across projects, and which of them vouch for it when joining one that asks for reliability.

    A newcomer has 0 everywhere, so any address has an answer. The contract gives the same number for the same list
    (`reliabilityOf`)."""
    with parts.database.read() as session:
        return trainer_view(address, repository.standing(session, address))


@router.get("/projects/{project}/trainers", responses=answers(examples.TRAINERS, 404, 503))
def list_trainers(
    parts: Parts,
    project: ProjectNumber,
    after: Annotated[str, Query(max_length=42, description="Address after which to go on.")] = "",
    limit: PageSize = 100,
) -> TrainerList:
    """Everybody who ever joined the project or was staked for, by address."""
    with parts.database.read() as session:
        owner = find_project(session, project)
        found = repository.page(session, project, after, limit + 1)
        standing = repository.standings(session, [member.trainer for member in found[:limit]])
        shown = [member_view(one.trainer, standing[one.trainer], owner, one) for one in found[:limit]]
    return TrainerList(items=shown, next=shown[-1].address if len(found) > limit else None)


@router.get("/projects/{project}/trainers/{address}", responses=answers(examples.MEMBER, 404, 503))
def get_project_trainer(parts: Parts, project: ProjectNumber, address: TrainerAddress) -> TrainerView:
    """Standing, and place in this project: number, stake, delegate, record, earned, claimed."""
    with parts.database.read() as session:
        found = find_project(session, project)
        place = repository.member(session, project, address)
        return member_view(address, repository.standing(session, address), found, place)
