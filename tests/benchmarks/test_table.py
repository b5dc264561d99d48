"""The row that every benchmark prints."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from benchmarks.table import Row, ordered, print_table, write_json

FAST = Row("fast", 1.0, "s", anchor=5.0, goal=3.0)
SLOW = Row("slow", 4.0, "s", anchor=5.0, goal=3.0)
ACCURATE = Row("accurate", 0.95, "part", goal=0.9, at_most=False)
POOR = Row("poor", 0.85, "part", goal=0.9, at_most=False)
PLAIN = Row("plain", 12345.0, "gas")


def test_goals_are_bounds_from_above_or_below() -> None:
    assert [row.met for row in (FAST, SLOW, ACCURATE, POOR, PLAIN)] == [True, False, True, False, None]


def test_missed_goals_come_first() -> None:
    assert [row.name for row in ordered([PLAIN, FAST, SLOW, ACCURATE, POOR])] == [
        "slow",
        "poor",
        "plain",
        "fast",
        "accurate",
    ]


def test_the_table_shows_goals_and_misses() -> None:
    out = io.StringIO()
    print_table("Title", [FAST, SLOW, PLAIN], Console(file=out, width=120))
    lines = out.getvalue().splitlines()
    assert any("slow" in line and "<= 3" in line and "NO" in line for line in lines)
    assert any("plain" in line and "12,345" in line for line in lines)


def test_the_json_has_exactly_the_agreed_fields(tmp_path: Path) -> None:
    write_json(tmp_path / "rows.json", [FAST, POOR])
    content = json.loads((tmp_path / "rows.json").read_text())
    assert content == [
        {"name": "fast", "value": 1.0, "unit": "s", "anchor": 5.0, "goal": 3.0, "met": True},
        {"name": "poor", "value": 0.85, "unit": "part", "anchor": None, "goal": 0.9, "met": False},
    ]


def test_means_over_seeds_show_their_interval_and_their_worst_seed(tmp_path: Path) -> None:
    spread = Row("mean", 0.5, "of honest pay", goal=1.0, interval=(0.25, 0.75), worst=0.875)
    out = io.StringIO()
    print_table("Title", [spread, PLAIN], Console(file=out, width=160))
    assert any("0.25 .. 0.75" in line and "0.875" in line for line in out.getvalue().splitlines())
    write_json(tmp_path / "rows.json", [spread])
    (row,) = json.loads((tmp_path / "rows.json").read_text())
    assert (row["interval"], row["worst"], row["met"]) == ([0.25, 0.75], 0.875, True)


def test_a_log_is_wide_enough_for_names() -> None:
    out = io.StringIO()
    print_table("Title", [Row("a name that is longer than a narrow terminal lets it be", 1.0, "s")], Console(file=out))
    assert "a name that is longer than a narrow terminal lets it be" in out.getvalue()
