"""The page of a project: money, rounds, trainers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import ProjectView, RoundView, TrainerView
from sqlalchemy.orm import Session
from starlette.responses import Response

from cohort_backend.chain.repository import chain_now
from cohort_backend.pages.amounts import Unit
from cohort_backend.pages.front import project_state
from cohort_backend.pages.layout import facts, respond
from cohort_backend.pages.markup import Html, card, el, joined, table
from cohort_backend.pages.pictures import MONEY, money_bar, pay_grid
from cohort_backend.parts import ServiceParts
from cohort_backend.projects.errors import SpecNotHere
from cohort_backend.projects.service import spec_in
from cohort_backend.projects.views import project_view
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.lookup import RoundInProject, find_project
from cohort_backend.rounds.views import round_view
from cohort_backend.trainers import repository as trainers
from cohort_backend.trainers.views import member_view

ROUNDS_SHOWN = 20
TRAINERS_SHOWN = 100

PHASES = {
    Phase.NONE: ("not opened", "muted"),
    Phase.COMMIT: ("open: trainers train and commit", "wait"),
    Phase.GUARD: ("between commitments and updates", "wait"),
    Phase.REVEAL: ("updates are handed in and checked", "wait"),
    Phase.SETTLE: ("being scored and settled", "wait"),
    Phase.FINAL: ("settled", "good"),
    Phase.VOID: ("void: too few trainers", "bad"),
    Phase.DEFAULTED: ("not settled in time: shared equally", "bad"),
}
MEANINGS = {
    "claimed": "taken out by trainers",
    "claimable": "earned, not taken out yet",
    "held": "set aside for rounds that run",
    "free": "for rounds to come",
    "fees": "protocol and aggregators",
    "refunded": "back with the owner",
    "burned": "what settled rounds left undistributed",
}


@dataclass(frozen=True)
class Shown:
    """What the page is made of."""

    view: ProjectView
    rounds: list[RoundView]
    """Newest first; empty while the spec cannot be had."""
    more_rounds: bool
    trainers: list[TrainerView]
    more_trainers: bool


def phase_words(phase: Phase) -> Html:
    words, kind = PHASES[phase]
    return el("span", words, class_=kind)


def project_page(parts: ServiceParts, project: int, before: int | None, after: str) -> Response:
    """before: rounds below this number, default the newest; after: trainers above this address. Raises
    `UnknownProject`."""
    try:
        shown = parts.specs.reading(project, lambda session: _read(session, project, before, after, with_spec=True))
    except SpecNotHere:
        with parts.database.read() as session:
            shown = _read(session, project, before, after, with_spec=False)
    unit = parts.tokens.of(shown.view.terms.token)
    view = shown.view
    title = view.spec.title if view.spec else f"Project {project}"
    body = [
        el("h1", el("bdi", title)),
        el("p", el("bdi", view.spec.description)) if view.spec and view.spec.description else None,
        _terms(view, unit),
        el("h2", "Rounds"),
        *_rounds(shown, unit),
        el("h2", "Money"),
        el("p", f"{unit.words(view.ledger.deposited)} were paid in. This is where they are:"),
        card("Where the money is, as a picture", money_bar(view.ledger, unit)),
        _money(view, unit),
        el("h2", "Trainers"),
        *_trainers(shown, unit),
        el("h2", "Check it yourself"),
        el("p", el("code", f"cohort audit {project}"), " with a chain node and an IPFS gateway of your own."),
        el("p", "In JSON: ", el("a", f"/v1/projects/{project}", href=f"/v1/projects/{project}"), "."),
    ]
    return respond(title, [("/", "Projects")], body)


def _read(session: Session, project: int, before: int | None, after: str, with_spec: bool) -> Shown:
    owner, now = find_project(session, project), chain_now(session)
    last = min(owner.round, before - 1) if before is not None else owner.round
    first = max(0, last - ROUNDS_SHOWN)
    found = rounds.page(session, project, first, last - first) if with_spec and last > first else []
    members = trainers.page(session, project, after, TRAINERS_SHOWN + 1)
    standing = trainers.standings(session, [member.trainer for member in members])
    return Shown(
        view=project_view(owner, spec_in(session, owner) if with_spec else None),
        rounds=[round_view(session, RoundInProject(owner, round, now)) for round in reversed(found)],
        more_rounds=first > 0,
        trainers=[member_view(one.trainer, standing[one.trainer], owner, one) for one in members[:TRAINERS_SHOWN]],
        more_trainers=len(members) > TRAINERS_SHOWN,
    )


def _terms(view: ProjectView, unit: Unit) -> Html:
    terms, spec = view.terms, view.spec
    pairs: list[tuple[str, Any]] = [
        ("state", project_state(view)),
        ("rounds", f"{view.round} of at most {terms.rounds} opened"),
        ("trainers", f"{view.members} joined, {terms.slots} slots, at least {terms.min_trainers} in a round"),
        ("a round pays", f"{unit.words(view.distributable)} by score"),
        ("stake to join", unit.words(terms.stake)),
    ]
    if spec is not None:
        pairs += [
            ("model", f"{spec.model.family}, {spec.model.dimension:,} parameters"),
            ("policy", spec.policy.name),
            ("settlement", "proven on chain" if spec.settlement == "proven" else "attested by witnesses"),
        ]
    else:
        pairs.append(("spec", "cannot be fetched from IPFS now: rounds are not shown"))
    return facts([*pairs, ("owner", el("code", view.owner)), ("spec", el("code", view.spec_cid))])


def _rounds(shown: Shown, unit: Unit) -> list[Any]:
    project = shown.view.id
    if not shown.rounds:
        return [el("p", "No round is shown: none has opened yet, or the spec could not be fetched.")]
    rows = [
        [
            el("a", f"round {one.number}", href=f"/projects/{project}/rounds/{one.number}"),
            phase_words(one.phase),
            str(len(one.committed)),
            str(len(one.revealed)),
            str(sum(1 for row in one.rows if row.reason == 0)),
            str(sum(1 for row in one.rows if row.reason)),
            unit.short(sum(row.pay or 0 for row in one.rows)),
        ]
        for one in shown.rounds
    ]
    head = ("round", "state", "committed", "revealed", "accepted", "rejected", f"paid, {unit.symbol}")
    older = el("a", "Older rounds", href=f"/projects/{project}?before={shown.rounds[-1].number}")
    judged = [one for one in reversed(shown.rounds) if any(row.pay is not None for row in one.rows)]
    return [
        table(head, rows, "Rounds, newest first", numbers=(2, 3, 4, 5, 6)),
        el("p", older) if shown.more_rounds else None,
        card("Who was paid", el("h3", "Who was paid"), pay_grid(judged, unit)) if judged else None,
    ]


def _money(view: ProjectView, unit: Unit) -> Html:
    rows = [[name, unit.words(getattr(view.ledger, name)), MEANINGS[name]] for name in MONEY]
    rows.append(["stakes", unit.words(view.ledger.stakes), "of trainers, beside the deposits"])
    rows.append(["bonds", unit.words(view.ledger.bonds), "of aggregators with their fees, beside the deposits"])
    return table(("part", "amount", "what it is"), rows, "Where the money is", numbers=(1,))


def _trainers(shown: Shown, unit: Unit) -> list[Any]:
    if not shown.trainers:
        command = f"cohort trainer join {shown.view.id} --home ~/cohort --data mine.csv"
        return [el("p", "Nobody has joined. A data owner does with ", el("code", command), ".")]
    total = sum(one.earned or 0 for one in shown.trainers)
    by_number = sorted(shown.trainers, key=lambda one: one.number or 0)
    rows = [
        [
            f"#{one.number}",
            "member" if one.member else "left",
            str(one.record.rounds if one.record else 0),
            str(one.record.rejections if one.record else 0),
            f"{one.reliability_bps / 100:.1f}%",
            joined([unit.short(one.earned or 0), f" ({(one.earned or 0) / total:.0%})" if total else ""]),
            unit.short(one.claimed or 0),
            el("code", one.address),
        ]
        for one in by_number
    ]
    money = (f"earned, {unit.symbol}", f"claimed, {unit.symbol}")
    head = ("member", "state", "rounds", "rejected", "reliability", *money, "address")
    last = max(one.address for one in shown.trainers)
    more = el("a", "More trainers", href=f"/projects/{shown.view.id}?after={last}")
    return [
        table(head, rows, "Trainers", numbers=(2, 3, 4, 5, 6)),
        el("p", more) if shown.more_trainers else None,
    ]
