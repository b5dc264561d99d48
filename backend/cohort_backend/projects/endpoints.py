"""Creating, funding, ending and looking at projects. Whatever moves money comes back as transactions to sign."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from cohort_protocol.service.messages import (
    FundingRequest,
    ProjectDraft,
    ProjectList,
    ProjectRequest,
    ProjectView,
    TransactionsToSign,
)
from fastapi import APIRouter, Query

from cohort_backend import examples
from cohort_backend.openapi import PageSize, ProjectNumber, answers, body
from cohort_backend.parts import Parts
from cohort_backend.projects import draft, repository
from cohort_backend.projects.errors import SpecNotHere, TermsRefused
from cohort_backend.projects.service import spec_in
from cohort_backend.projects.views import project_view
from cohort_backend.rounds.lookup import find_project

router = APIRouter(prefix="/v1/projects", tags=["projects"])


@router.post("", responses=answers(examples.PROJECT_DRAFT, 404, 503), openapi_extra=body(examples.PROJECT_REQUEST))
async def create_project(parts: Parts, request: ProjectRequest) -> ProjectDraft:
    """Checks a project, publishes its spec and returns the transactions that create and fund it.

    The first model's bytes must be on the service's IPFS store already. Nothing exists until the owner has signed and
    sent the transactions in order; compare them with what you asked for before you sign."""
    work = partial(draft.draft_project, parts.database, parts.market, parts.store, parts.contracts, request)
    return await parts.slow.run(work)


@router.get("", responses=answers(examples.PROJECTS, 503))
def list_projects(
    parts: Parts,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Number after which to go on.")] = 0,
    limit: PageSize = 20,
) -> ProjectList:
    """Projects by number: owner, terms, progress, ledger. Specs are left out; ask for one project to see its spec."""
    with parts.database.read() as session:
        found = repository.page(session, after, limit + 1)
        shown = [project_view(project, None) for project in found[:limit]]
    return ProjectList(items=shown, next=shown[-1].id if len(found) > limit else None)


@router.get("/{project}", responses=answers(examples.PROJECT, 404, 503))
def get_project(parts: Parts, project: ProjectNumber) -> ProjectView:
    """Terms, ledger and spec of a project. The spec is null while it cannot be fetched from IPFS."""

    def build(session) -> ProjectView:
        found = find_project(session, project)
        return project_view(found, spec_in(session, found))

    try:
        return parts.specs.reading(project, build)
    except SpecNotHere:
        with parts.database.read() as session:
            return project_view(find_project(session, project), None)


@router.post(
    "/{project}/funding", responses=answers(examples.TRANSACTIONS, 404, 503), openapi_extra=body(examples.FUNDING)
)
def fund_project(parts: Parts, project: ProjectNumber, request: FundingRequest) -> TransactionsToSign:
    """The transactions that add to a project's escrow: the allowance, then the deposit. Anybody may fund a project; the
    tokens are whoever signs it."""
    if not 0 < request.amount <= draft.MAX_UINT112:
        raise TermsRefused(f"the amount is {request.amount}, allowed is 1 .. 2^112 - 1")
    with parts.database.read() as session:
        found = find_project(session, project)
    request_to_fund = parts.market.fund(project, request.amount)
    return TransactionsToSign(transactions=draft.funded(parts.market, found.token, request.amount, request_to_fund))


@router.post("/{project}/end", responses=answers(examples.TRANSACTIONS, 404, 503))
def end_project(parts: Parts, project: ProjectNumber) -> TransactionsToSign:
    """The transaction that ends a project between two rounds: no round opens any more. For the owner to sign."""
    with parts.database.read() as session:
        find_project(session, project)
    return TransactionsToSign(transactions=[draft.to_sign(parts.market.end_project(project))])


@router.post("/{project}/refund", responses=answers(examples.TRANSACTIONS, 404, 503))
def refund_project(parts: Parts, project: ProjectNumber) -> TransactionsToSign:
    """The transaction that sends the free escrow of an ended project back to its owner. Anybody may sign it."""
    with parts.database.read() as session:
        find_project(session, project)
    return TransactionsToSign(transactions=[draft.to_sign(parts.market.refund(project))])
