"""The row that every benchmark prints, its table (missed goals first) and its JSON file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

LOG_WIDTH = 150


@dataclass(frozen=True)
class Row:
    """One measured figure beside what it is compared with."""

    name: str
    value: float
    unit: str
    anchor: float | None = None
    """The same figure of what we compare with (a peer, or the work without us), measured in the same run or cited."""
    goal: float | None = None
    at_most: bool = True
    """Whether the goal is an upper bound; else a lower one."""
    interval: tuple[float, float] | None = None
    """95% confidence interval of the value, where there is one."""
    worst: float | None = None
    """The worst seed, where the value is a mean over seeds."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def as_json(self) -> dict:
        row = asdict(self)
        del row["at_most"]
        for name in ("interval", "worst"):
            if row[name] is None:
                del row[name]
        return row | {"met": self.met}


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Missed goals first, else as given."""
    return sorted(rows, key=lambda row: row.met is not False)


def print_table(title: str, rows: Sequence[Row], console: Console | None = None) -> None:
    """Prints the rows, missed goals first."""
    console = console or Console()
    if not console.is_terminal and console.width < LOG_WIDTH:
        # A log has no width of its own, and names folded letter by letter help nobody.
        console = Console(file=console.file, width=LOG_WIDTH)
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("what", overflow="fold")
    spread = any(row.interval is not None for row in rows)
    for head in ("value", *(("95% interval", "worst seed") if spread else ()), "anchor", "goal"):
        table.add_column(head, justify="right")
    table.add_column("unit")
    table.add_column("met")
    for row in ordered(rows):
        sign = "<=" if row.at_most else ">="
        met = {True: "yes", False: "NO", None: ""}[row.met]
        table.add_row(
            row.name,
            _number(row.value),
            *(_spread(row) if spread else ()),
            _number(row.anchor) if row.anchor is not None else "",
            f"{sign} {_number(row.goal)}" if row.goal is not None else "",
            row.unit,
            met,
            style="bold red" if row.met is False else None,
        )
    console.print(table)


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """A list of {"name", "value", "unit", "anchor", "goal", "met"}, with "interval" and "worst" where known."""
    path.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")


def _spread(row: Row) -> tuple[str, str]:
    interval = "" if row.interval is None else f"{_number(row.interval[0])} .. {_number(row.interval[1])}"
    return interval, "" if row.worst is None else _number(row.worst)


def _number(value: float) -> str:
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
