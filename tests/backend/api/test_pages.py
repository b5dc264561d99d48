"""The service in a browser: complete without anything from elsewhere, and safe with whatever an owner writes."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from cohort_backend import examples
from cohort_backend.pages import layout, pictures
from cohort_backend.pages.amounts import TokenUnits, Unit
from cohort_backend.pages.markup import Html, el, table
from cohort_backend.projects.models import Project
from cohort_backend.projects.repository import store_spec
from cohort_backend.rounds.models import Round, Row
from cohort_protocol.scoring import Verdict
from cohort_protocol.scoring.outcome import Rule
from cohort_protocol.scoring.verdict import VerdictFigure
from sqlalchemy import select

from tests.backend.api.conftest import Service
from tests.backend.stages import JOINED, OPEN, SETTLED

EMPTY = {"meta", "br", "hr", "input", "img", "link"}
LOADS = {
    "script",
    "link",
    "img",
    "iframe",
    "object",
    "embed",
    "form",
    "base",
    "video",
    "audio",
    "source",
    "image",
    "use",
}


class Structure(HTMLParser):
    """What is in a page, and whether every element is closed by its own end tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


def page(service: Service, path: str, status: int = 200) -> Structure:
    answer = service.http.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    found = Structure(answer.text)
    assert not {tag for tag, _ in found.seen} & LOADS, "a page loads and runs nothing"
    assert not [one for _, one in found.seen if any(name.startswith("on") or name == "style" for name in one)]
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    return found


def with_bundle(service: Service, verdict: Verdict, lie: int = 0) -> None:
    """Has the settlement of round 1 name a bundle about the rows that are on chain; `lie` is added to the scores."""
    with service.parts.database.write() as session:
        rows = list(session.scalars(select(Row).where(Row.project == service.stages.project).order_by(Row.row)))
        first = examples.BUNDLE.rows[0]
        entries = [
            first.model_copy(update={"row": one.row, "first_row": one.row, "trainer": one.trainer}) for one in rows
        ]
        bundle = examples.BUNDLE.model_copy(
            update={
                "rows": entries,
                "outcomes": examples.BUNDLE.outcomes * len(rows),
                "verdicts": [
                    verdict.model_copy(
                        update={"trainer": one.trainer, "score": str(one.score + lie), "reason_code": one.reason}
                    )
                    for one in rows
                ],
                "gram": [[1] * (index + 1) for index in range(len(rows))],
            }
        )
        cid = service.parts.store.put(bundle.to_bytes())
        session.get_one(Round, (service.stages.project, 1)).bundle_cid = str(cid)


def test_a_market_without_projects_says_how_to_make_one(service: Service) -> None:
    found = page(service, "/")
    assert "There is no project yet" in found.text
    assert "cohort project create" in found.text


def test_the_first_page_lists_projects(service: Service) -> None:
    service.fill(OPEN)
    service.http.get(service.path)  # fetches the spec
    found = page(service, "/")
    number = service.stages.project
    assert service.stages.spec.title in found.text
    assert f"/projects/{number}" in [link["href"] for link in found.all("a")]
    assert "running" in found.text
    assert page(service, f"/?after={number}").text.count(service.stages.spec.title) == 0


def test_a_project_from_joining_to_pay(service: Service) -> None:
    number = service.stages.project
    service.fill(JOINED)
    before = page(service, f"/projects/{number}")
    assert "none has opened yet" in before.text
    service.fill(SETTLED)
    found = page(service, f"/projects/{number}")
    assert "settled" in found.text
    assert f"/projects/{number}/rounds/1" in [link["href"] for link in found.all("a")]
    for trainer in service.stages.scene.trainers:
        assert trainer.address in found.text
    assert len(found.all("svg")) == 2, "money and pay"
    assert all(picture["aria-label"] and picture["role"] == "img" for picture in found.all("svg"))


def test_older_rounds_are_a_link_away(service: Service) -> None:
    service.fill(SETTLED)
    found = page(service, f"/projects/{service.stages.project}?before=1")
    assert "No round is shown" in found.text


def test_a_project_whose_spec_nobody_has_still_has_a_page(service: Service) -> None:
    service.stages.fill(service.parts.database, SETTLED)
    found = page(service, f"/projects/{service.stages.project}")
    assert "cannot be fetched from IPFS now" in found.text


def test_a_round_without_its_bundle_says_so(service: Service) -> None:
    service.fill(SETTLED)
    found = page(service, f"/projects/{service.stages.project}/rounds/1")
    assert "cannot be read from IPFS now" in found.text
    assert "Why" not in found.text


def test_a_round_shows_every_verdict_with_its_figures(service: Service) -> None:
    service.fill(SETTLED)
    figure = VerdictFigure(name="cosine", value="0.25", rule=Rule.AT_LEAST, limit="-0.1")
    with_bundle(service, examples.BUNDLE.verdicts[0].model_copy(update={"figures": [figure]}))
    found = page(service, f"/projects/{service.stages.project}/rounds/1")
    assert found.text.count("Accepted: it points the way of the others.") == len(service.stages.scene.trainers)
    assert found.text.count("0.25") >= len(service.stages.scene.trainers)
    gauges = [one for one in found.all("svg") if one.get("class") == "gauge"]
    assert len(gauges) == len(service.stages.scene.trainers)
    assert gauges[0]["aria-label"] == "0.25, limit -0.1"


def test_a_bundle_about_other_rows_is_not_shown(service: Service) -> None:
    service.fill(SETTLED)
    with service.parts.database.write() as session:
        cid = service.parts.store.put(examples.BUNDLE.to_bytes())
        session.get_one(Round, (service.stages.project, 1)).bundle_cid = str(cid)
    found = page(service, f"/projects/{service.stages.project}/rounds/1")
    assert "other scores than were settled" in found.text
    assert "Accepted: it points" not in found.text


def test_verdicts_are_shown_only_beside_the_scores_that_were_settled(service: Service) -> None:
    service.fill(SETTLED)
    with_bundle(service, examples.BUNDLE.verdicts[0], lie=1)
    found = page(service, f"/projects/{service.stages.project}/rounds/1")
    assert "other scores than were settled" in found.text
    assert "Accepted: it points" not in found.text


def test_what_an_owner_writes_stays_text(service: Service) -> None:
    service.fill(SETTLED)
    hostile = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    spec = service.stages.spec.model_copy(update={"title": hostile[:80], "description": hostile})
    with service.parts.database.write() as session:
        digest = store_spec(session, spec.to_bytes())
        session.get_one(Project, service.stages.project).spec_digest = digest
    number = service.stages.project
    for path in ("/", f"/projects/{number}", f"/projects/{number}/rounds/1"):
        assert "<script>alert(1)" in page(service, path).text, "shown, and as text"


@pytest.mark.parametrize(
    ("path", "status"), [("/projects/999999", 404), ("/projects/{p}/rounds/77", 404), ("/projects/{p}/rounds/1", 200)]
)
def test_what_is_not_there_is_a_page_too(service: Service, path: str, status: int) -> None:
    service.fill(SETTLED)
    found = page(service, path.format(p=service.stages.project), status)
    assert ("This cannot be shown" in found.text) == (status == 404)


def test_reloading_is_asked_for_and_not_too_often(service: Service) -> None:
    assert "refresh" not in service.http.get("/").headers
    assert service.http.get("/?refresh=1").headers["refresh"] == "5"
    assert service.http.get("/?refresh=60").headers["refresh"] == "60"
    assert service.http.get("/?refresh=-1").status_code == 422


def test_pages_can_be_used_without_a_mouse_and_on_a_phone(service: Service) -> None:
    service.fill(SETTLED)
    found = page(service, f"/projects/{service.stages.project}")
    assert found.all("html")[0]["lang"] == "en"
    assert any(one.get("name") == "viewport" for one in found.all("meta"))
    assert len(found.all("h1")) == 1
    assert len(found.all("main")) == 1
    for wide in [one for one in found.all("div") if "scroll" in (one.get("class") or "")]:
        assert (wide["tabindex"], wide["role"]) == ("0", "region"), "scrolls by keyboard"
        assert wide["aria-label"]
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(cell.get("scope") in ("col", "row") for cell in found.all("th"))


def _schemes() -> list[dict[str, str]]:
    light, dark = (dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in layout.STYLE.split("@media")[:2])
    return [light, light | dark]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", _schemes(), ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "muted", "link", "good", "bad", "wait"])
def test_text_has_contrast(scheme: dict[str, str], name: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    for ground in ("paper", "card"):
        low, high = sorted((_luminance(scheme[name]), _luminance(scheme[ground])))
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"--{name} on --{ground}"


def test_markup_escapes_what_it_is_given() -> None:
    assert el("p", "<b>", Html("<i></i>"), title='"&') == '<p title="&quot;&amp;">&lt;b&gt;<i></i></p>'
    assert el("a", ["x", None, 3], href="/", class_=None, hidden=True, open=False) == '<a href="/" hidden>x3</a>'
    assert "&lt;x&gt;" in table(["<x>"], [["<y>"]], "label")


@pytest.mark.parametrize(("value", "limit"), [("nan", "1"), ("1", "inf"), ("0", "0"), ("many", "1")])
def test_a_figure_without_a_scale_has_no_picture(value: str, limit: str) -> None:
    assert pictures.gauge(value, limit) is None


def test_amounts() -> None:
    unit = Unit("DAI", 18)
    assert unit.words(1_234_500_000_000_000_000_000) == "1,234.5 DAI"
    assert unit.short(1_239_900_000_000_000_000_000) == "1,239.90"
    assert unit.short(1) == "< 0.01"
    assert unit.short(0) == "0.00"
    assert Unit().words(1234) == "1,234 base units"
    assert Unit().short(1234) == "1,234"


def test_a_token_that_is_none_is_counted_in_base_units(service: Service) -> None:
    units = TokenUnits(service.parts.client)
    assert units.of(examples.TRAINER) == Unit()
    assert units.of(service.stages.scene.terms.token).decimals == 18
