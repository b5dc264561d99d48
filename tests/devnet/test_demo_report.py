"""The report and its four faces: JSON, picture, page, text."""

from __future__ import annotations

import io
import json
import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cohort_devnet.demo.charts import Bar, Line, bar_chart, line_chart
from cohort_devnet.demo.page import round_to_follow, write_page
from cohort_devnet.demo.pictures import draw_rounds
from cohort_devnet.demo.report import Flag, Proof, Report, tokens
from cohort_devnet.demo.tables import print_report
from cohort_protocol.errors import InvalidInput
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.devnet.demo_sample import sample_report

VOID_ELEMENTS = {"meta", "br", "link", "img"}


class Balance(HTMLParser):
    """Checks that every element is closed in order, and collects what could load something from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(tmp_path: Path, report: Report) -> str:
    write_page(report, tmp_path / "report.html", [("Join", "cohort trainer join --home 'a & b'")])
    return (tmp_path / "report.html").read_text()


def test_the_json_has_the_documented_fields_with_amounts_as_strings(tmp_path: Path) -> None:
    sample_report().save(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["schema_version"] == 3
    assert set(data["parts"]) == {"chain", "ipfs", "database", "broker"}
    assert {
        "id", "contract", "token", "spec_cid", "budget", "protocol_fee", "fee_recipient", "stake", "bond"
    } <= set(data["project"])  # fmt: skip
    assert isinstance(data["project"]["budget"], str)
    assert {
        "number", "accuracy", "model_cid", "bundle_cid", "accepted", "flagged", "scores", "payouts", "gas", "seconds",
        "bytes",
    } <= set(data["rounds"][0])  # fmt: skip
    assert {"trainer", "reason", "detail"} == set(data["rounds"][0]["flagged"][0])
    assert {"step", "tx", "gas"} == set(data["rounds"][0]["gas"][0])
    assert all(isinstance(amount, str) for amount in data["rounds"][0]["payouts"].values())
    assert {
        "address", "role", "earned", "claimed", "member", "stake", "reliability_bps", "losses", "credit",
        "usefulness_bps", "rounds", "rejections",
    } <= set(data["trainers"][0])  # fmt: skip
    assert {
        "paid_in", "claimed", "claimable", "held", "refunded", "protocol_fees", "stakes", "bonds", "stakes_burned",
        "bonds_burned", "balanced",
    } <= set(data["money"])  # fmt: skip


def test_a_saved_report_loads_as_it_was(tmp_path: Path) -> None:
    report = sample_report()
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report


def test_another_schema_version_is_refused_in_words(tmp_path: Path) -> None:
    data = sample_report().model_dump(mode="json") | {"schema_version": 1}
    (tmp_path / "report.json").write_text(json.dumps(data))
    with pytest.raises(InvalidInput, match="schema version 3"):
        Report.load(tmp_path / "report.json")


@given(st.integers(-(10**30), 10**30), st.integers(0, 18), st.integers(0, 6))
def test_amounts_are_rounded_towards_zero(value: int, decimals: int, digits: int) -> None:
    text = tokens(value, decimals, digits)
    shown = int(text.replace(",", "").replace(".", "")) * 10 ** max(decimals - digits, 0)
    exact = value * 10 ** max(digits - decimals, 0)
    assert 0 <= abs(exact) - abs(shown) < 10 ** max(decimals - digits, 0)
    assert shown == 0 or (shown < 0) == (value < 0)


@pytest.mark.parametrize(("trainers", "rounds"), [(8, 10), (1, 1), (32, 40)])
def test_the_picture_is_a_png_of_the_stated_size(tmp_path: Path, trainers: int, rounds: int) -> None:
    draw_rounds(sample_report(trainers, rounds), tmp_path / "rounds.png")
    data = (tmp_path / "rounds.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", data[16:24]) == (1650, 1200)


@pytest.mark.parametrize(("trainers", "rounds"), [(8, 10), (1, 1), (32, 3)])
def test_the_page_is_well_formed_and_loads_nothing_from_elsewhere(tmp_path: Path, trainers: int, rounds: int) -> None:
    text = page(tmp_path, sample_report(trainers, rounds))
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    assert balance.links == []
    assert "@import" not in text
    assert "url(" not in text
    assert "<script" not in text
    for chart in re.findall(r"<svg.*?</svg>", text, re.S):
        ElementTree.fromstring(chart)


def test_the_page_follows_a_typical_round_among_those_with_the_most_flagged(tmp_path: Path) -> None:
    report = sample_report()
    extra = Flag(trainer=report.trainers[5].address, reason="too-small", detail="rejected: too short")
    report.rounds[4].flagged.append(extra)
    report.rounds[6].flagged.append(extra)
    report.rounds[8].flagged.append(extra)
    report.rounds[6].seconds["total"] = 3.0
    report.rounds[8].seconds["total"] = 31.0
    shown = round_to_follow(report)
    assert shown is not None
    assert shown.number == 5
    text = page(tmp_path, report)
    assert "Follow round 5 from commit to claim" in text
    assert shown.model_cid in text
    assert "rejected: its direction opposes the others (cosine -0.613" in text


def test_words_from_outside_cannot_become_markup(tmp_path: Path) -> None:
    report = sample_report()
    for entry in report.rounds:
        entry.verdicts[2].sentence = "<script>alert(1)</script>"
    report.rounds[0].flagged[0].detail = "<img src=x>"
    text = page(tmp_path, report)
    assert "<script>" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text
    assert "a &amp; b" in text


def test_a_page_of_a_run_without_settled_rounds(tmp_path: Path) -> None:
    report = sample_report(rounds=2)
    for entry in report.rounds:
        entry.outcome, entry.bundle_cid = "void", None
    assert round_to_follow(report) is None
    assert "Follow round" not in page(tmp_path, report)


def test_money_that_does_not_add_up_is_loud(tmp_path: Path) -> None:
    report = sample_report()
    report.money.balanced = False
    report.money.findings = ["the contract holds 3 base units less than its ledgers say"]
    assert "does not add up" in page(tmp_path, report)
    out = io.StringIO()
    print_report(report, Console(file=out, width=200))
    assert "MONEY DOES NOT ADD UP: the contract holds 3 base units less" in out.getvalue()


def test_the_tables_name_flagged_trainers_with_their_reasons_and_the_gas() -> None:
    out = io.StringIO()
    print_report(sample_report(), Console(file=out, width=200))
    text = out.getvalue()
    assert "trainer-3 (opposes-others)" in text
    assert "trainer-3 rejected: its direction opposes the others (cosine -0.613" in text
    assert "settle 455,091" in text
    assert "The 2 cheats earned" in text
    assert "Money adds up" in text


def test_charts_place_their_points_inside_the_picture() -> None:
    chart = line_chart("t", [Line("a", [(0, 0), (3, 0.5)], "--market")], x_label="round", y_top=1)
    for x, y in re.findall(r"([\d.]+),([\d.]+)", re.findall(r'points="([^"]*)"', chart)[0]):
        assert 0 <= float(x) <= 720
        assert 0 <= float(y) <= 320
    ElementTree.fromstring(bar_chart("b", [Bar("zero", 0, "0", "--honest"), Bar("one", 1, "1", "--honest")]))


def test_what_rounds_rest_on_is_said_in_tables_and_page(tmp_path: Path) -> None:
    proven = sample_report(4, 2)
    console = Console(width=200, record=True, file=io.StringIO())
    print_report(proven, console)
    text = console.export_text()
    assert "proven 3.2 s" in text
    assert "settled by a proof (3.2 s, 812,345 gas to check), accepted by the contract" in text
    html = page(tmp_path, proven)
    assert "the contract checked a proof" in html
    assert "2 witnesses vouch for the bytes" in html
    attested = sample_report(4, 2)
    attested.project.settlement = "attested"
    for entry in attested.rounds:
        entry.proof = Proof(mode="attested")
    html = page(tmp_path, attested)
    assert "witnesses&#x27; signatures" in html
    assert "a quorum of witnesses signed" in html
    assert "the contract checked a proof" not in html
