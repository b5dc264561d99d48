"""The page of a round: how everybody was judged, why, and what it paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
from cohort_protocol.bundle import MAX_BUNDLE_BYTES, RoundBundle
from cohort_protocol.errors import CohortError
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.scoring import ONE, Verdict
from cohort_protocol.scoring.outcome import Reason
from cohort_protocol.service.messages import RoundView, RowView
from starlette.responses import Response

from cohort_backend.pages.amounts import Unit
from cohort_backend.pages.layout import facts, respond, when
from cohort_backend.pages.markup import Html, card, el, table
from cohort_backend.pages.pictures import gauge, scores_and_pay
from cohort_backend.pages.project import phase_words
from cohort_backend.parts import ServiceParts
from cohort_backend.projects.service import spec_in
from cohort_backend.rounds.lookup import find_project, find_round
from cohort_backend.rounds.views import round_view

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Judged:
    """A round and, once it is settled and its bundle can be had, the verdicts by row."""

    title: str
    token: str
    view: RoundView
    bundle: RoundBundle | None
    missing: str
    """Why there is no bundle, in words."""


def round_page(parts: ServiceParts, project: int, number: int) -> Response:
    """Raises `UnknownProject`, `UnknownRound`, `SpecNotHere`."""

    def read(session) -> tuple[str, str, RoundView]:
        found = find_project(session, project)
        view = round_view(session, find_round(session, project, number))
        return spec_in(session, found).title, found.token, view

    title, token, view = parts.specs.reading(project, read)
    bundle, missing = _bundle(parts, view)
    judged = Judged(title, token, view, bundle, missing)
    unit = parts.tokens.of(token)
    address = f"/v1/projects/{project}/rounds/{number}"
    body = [
        el("h1", f"Round {number}"),
        facts(
            [
                ("state", phase_words(view.phase)),
                ("judged by", None if bundle is None else bundle.judged_by),
                ("budget", unit.words(view.budget)),
            ]
        ),
        *_verdicts(judged, unit),
        *_trouble(view),
        el("h2", "Times"),
        facts(_times(view)),
        el("h2", "On chain and IPFS"),
        facts(_records(view)),
        _gas(view),
        el("h2", "Check it yourself"),
        el("p", el("code", f"cohort audit {project} --round {number}"), " computes all of it again."),
        el("p", "In JSON: ", el("a", address, href=address), _bundle_link(view, address), "."),
    ]
    crumbs = [("/", "Projects"), (f"/projects/{project}", title)]
    return respond(f"Round {number}", crumbs, body)


def _bundle(parts: ServiceParts, view: RoundView) -> tuple[RoundBundle | None, str]:
    if view.bundle_cid is None:
        return None, ""
    try:
        bundle = RoundBundle.from_bytes(parts.store.get(Cid.parse(view.bundle_cid), MAX_BUNDLE_BYTES))
    except CohortError as error:
        _log.warning("bundle-not-shown", project=view.project, round=view.number, error=str(error))
        return None, "The bundle of this round cannot be read from IPFS now, so that the reasons are not shown."
    # A quorum that lies can sign for any bundle.
    said = [(one.trainer, one.score, one.reason_code) for one in bundle.verdicts]
    if said != [(row.trainer, str(row.score), row.reason) for row in view.rows]:
        words = "The verdicts in the bundle that the settlement names speak of other scores than were settled"
        return None, f"{words}: cohort audit says where they part."
    return bundle, ""


def _verdicts(judged: Judged, unit: Unit) -> list[Any]:
    rows = judged.view.rows
    if not rows:
        waiting = "Updates are judged when everybody has handed in, or when the time for it is over."
        return [el("h2", "Verdicts"), el("p", waiting if not judged.view.phase.terminal else "No update was admitted.")]
    head = ("member", "verdict", "score", f"paid, {unit.symbol}", "claimed", "trainer")
    shown = [
        [
            f"#{row.member}",
            _reason(row),
            "" if row.score is None else f"{row.score / ONE:.3f}",
            "" if row.pay is None else unit.short(row.pay),
            "yes" if row.claimed else "no",
            el("code", row.trainer),
        ]
        for row in rows
    ]
    settled = any(row.pay is not None for row in rows)
    verdicts = judged.bundle.verdicts if judged.bundle is not None else []
    return [
        el("h2", "Verdicts"),
        card("Scores and pay, as a picture", scores_and_pay(rows)) if settled else None,
        table(head, shown, "Verdicts", numbers=(2, 3)),
        el("p", "A score of 1 is an average contribution.", class_="muted") if settled else None,
        el("p", judged.missing) if judged.missing else None,
        el("h2", "Why") if verdicts else None,
        *[_why(row, verdict, unit) for row, verdict in zip(rows, verdicts, strict=bool(verdicts))],
    ]


def _reason(row: RowView) -> Html:
    if row.reason is None:
        return el("span", "not judged yet", class_="wait")
    if row.reason == 0:
        return el("span", "accepted", class_="good")
    known = row.reason in set(Reason)
    words = Reason(row.reason).word.replace("-", " ") if known else f"reason {row.reason}"
    return el("span", f"rejected: {words}", class_="bad")


def _why(row: RowView, verdict: Verdict, unit: Unit) -> Html:
    figures = [
        [one.name, one.value, gauge(one.value, one.limit) or "", one.rule.value, one.limit] for one in verdict.figures
    ]
    label = f"Figures of member {row.member}"
    limits = table(("figure", "value", "picture", "rule", "limit"), figures, label, numbers=(1, 4))
    lines = []
    if verdict.accepted:
        doubt = f" (give or take {verdict.uncertainty})" if verdict.uncertainty is not None else ""
        score, step = int(verdict.score) / ONE, verdict.weight / 2**16
        lines.append(f"Rank {verdict.rank}, score {score:.3f}{doubt}, {step:.1%} of the model's step.")
    if len(verdict.group) > 1:
        others = ", ".join(one for one in verdict.group if one != verdict.trainer)
        lines.append(f"Counts as one trainer with {others}.")
    return el(
        "section",
        el("h3", f"#{row.member} ", el("code", row.trainer), f": {unit.words(row.pay or 0)}"),
        el("p", verdict.sentence),
        *[el("p", line, class_="muted") for line in lines],
        el("details", el("summary", "Figures and limits"), limits) if figures else None,
        class_="card",
    )


def _trouble(view: RoundView) -> list[Any]:
    rows = [[el("code", one.trainer), one.code, one.detail, el("code", one.witness or "")] for one in view.refusals]
    shown: list[Any] = []
    if rows:
        title = "Updates that witnesses refused"
        shown += [el("h2", title), table(("trainer", "code", "words", "witness"), rows, title)]
    for title, addresses in (("Opened too late for pay", view.rescued), ("Stake lost: never opened", view.slashed)):
        if addresses:
            shown += [el("h2", title), el("ul", [el("li", el("code", one)) for one in addresses])]
    return shown


def _times(view: RoundView) -> list[tuple[str, Any]]:
    return [
        ("opened", when(view.opened_at)),
        ("commitments until", when(view.commit_end)),
        ("updates from", when(view.reveal_start)),
        ("updates until", when(view.reveal_end)),
        ("late openings until", when(view.rescue_end)),
        ("to be settled until", when(view.settle_end)),
    ]


def _records(view: RoundView) -> list[tuple[str, Any]]:
    proof = view.proof
    seconds = "" if proof is None or proof.prove_seconds is None else f", made in {proof.prove_seconds:.1f} s"
    return [
        ("starts from model", el("code", view.model.cid)),
        ("next model", el("code", view.next_model.cid) if view.next_model else None),
        ("bundle", el("code", view.bundle_cid) if view.bundle_cid else None),
        ("root of pay", el("code", view.payout_root) if view.payout_root else None),
        ("proof", None if proof is None else f"{proof.state}{seconds}"),
        ("accepted by", el("code", view.acceptor)),
    ]


def _gas(view: RoundView) -> Html | None:
    if not view.gas:
        return None
    rows = [[one.step, f"{one.gas:,}", el("code", one.tx)] for one in view.gas]
    rows.append(["all", f"{sum(one.gas for one in view.gas):,}", ""])
    return table(("step", "gas", "transaction"), rows, "Gas by step", numbers=(1,))


def _bundle_link(view: RoundView, address: str) -> Any:
    return [", ", el("a", "bundle", href=f"{address}/bundle")] if view.bundle_cid else None
