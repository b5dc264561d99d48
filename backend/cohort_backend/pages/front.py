"""The first page: every project of the market."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.service.messages import ProjectView
from starlette.responses import Response

from cohort_backend.chain.repository import cursor
from cohort_backend.pages.amounts import Unit
from cohort_backend.pages.layout import facts, respond, when
from cohort_backend.pages.markup import Html, el, table
from cohort_backend.parts import ServiceParts
from cohort_backend.projects import repository
from cohort_backend.projects.errors import SpecNotHere
from cohort_backend.projects.service import spec_in
from cohort_backend.projects.views import project_view

PAGE = 50


@dataclass(frozen=True)
class Listed:
    view: ProjectView
    title: str
    unit: Unit


def front_page(parts: ServiceParts, after: int) -> Response:
    """Projects above `after`, by number."""
    with parts.database.read() as session:
        at = cursor(session)
        found = repository.page(session, after, PAGE + 1)
        views = []
        for project in found[:PAGE]:
            try:
                title = spec_in(session, project).title
            except SpecNotHere:
                title = ""
            views.append((project_view(project, None), title))
    listed = [Listed(view, title, parts.tokens.of(view.terms.token)) for view, title in views]
    more = el("p", el("a", "More projects", href=f"/?after={listed[-1].view.id}")) if len(found) > PAGE else None
    settings = parts.settings
    body = [
        el("h1", "Projects of this market"),
        el("p", "Owners pay data owners for what their private data teaches a model."),
        _table(listed) if listed else _nothing(after),
        more,
        el("h2", "Which market this is"),
        facts(
            [
                ("chain id", settings.chain_id),
                ("market", el("code", settings.market)),
                ("read up to", _read_up_to(at)),
            ]
        ),
    ]
    return respond("Cohort", [], body)


def _read_up_to(at) -> object:
    if at is None or not at.block_timestamp:
        return "nothing yet: the worker reads the chain"
    return [f"block {at.block_number}, ", when(at.block_timestamp)]


def _nothing(after: int) -> Html:
    if after:
        return el("p", "No projects above this number.")
    command = "cohort project create --home ~/owner --spec spec.toml --terms terms.toml --deposit '5000 tokens'"
    return el("p", "There is no project yet. An owner makes one with ", el("code", command), ".")


def _table(listed: list[Listed]) -> Html:
    rows = [
        [
            el("a", str(one.view.id), href=f"/projects/{one.view.id}"),
            el("a", el("bdi", one.title or "(its spec has not been fetched)"), href=f"/projects/{one.view.id}"),
            project_state(one.view),
            f"{one.view.round} of {one.view.terms.rounds}",
            f"{one.view.members} of {one.view.terms.slots}",
            f"{one.unit.short(one.view.distributable)} {one.unit.symbol}",
            f"{one.unit.short(one.view.ledger.claimed + one.view.ledger.claimable)} {one.unit.symbol}",
        ]
        for one in listed
    ]
    head = ("number", "project", "state", "rounds", "trainers", "pays a round", "paid so far")
    return table(head, rows, "Projects", numbers=(5, 6))


def project_state(view: ProjectView) -> Html:
    """Where a project stands, in a word."""
    if view.ended:
        return el("span", "ended", class_="muted")
    if view.round >= view.terms.rounds:
        return el("span", "all rounds opened", class_="muted")
    if not view.ledger.free and not view.ledger.held:
        return el("span", "escrow is empty", class_="wait")
    return el("span", "running" if view.round else "waits for trainers", class_="good" if view.round else "wait")
