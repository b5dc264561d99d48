"""Tables of markdown files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parents[2] / "docs" / "protocol"


@dataclass(frozen=True)
class Table:
    """One table: the heading above it, the names of its columns, its rows as column -> text."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def tables(name: str) -> list[Table]:
    """The tables of a page, in order. A row with another number of cells than the head has fails."""
    found: list[Table] = []
    heading, lines = "", []
    for line in [*page(name).splitlines(), ""]:
        if line.startswith("|"):
            lines.append([cell.strip() for cell in line.strip()[1:-1].split("|")])
            continue
        if lines:
            found.append(_table(heading, lines))
            lines = []
        if line.startswith("#"):
            heading = line.lstrip("# ").strip()
    return found


def _table(heading: str, lines: list[list[str]]) -> Table:
    columns = tuple(lines[0])
    rows = []
    for cells in lines[2:]:
        assert len(cells) == len(columns), f"{heading}: {cells} has other columns than {columns}"
        rows.append(dict(zip(columns, cells, strict=True)))
    return Table(heading, columns, tuple(rows))


def table(name: str, *columns: str, heading: str | None = None) -> Table:
    """The only table of a page that begins with these columns (under this heading)."""
    found = [one for one in tables(name) if one.columns[: len(columns)] == columns and heading in (None, one.heading)]
    assert len(found) == 1, f"{name} has {len(found)} tables that begin with {columns} under {heading}"
    return found[0]


def code(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def whole(cell: str) -> int:
    """`1,000` -> 1000"""
    return int(cell.replace(",", ""))


def numbers(text: str) -> list[int]:
    """Every whole number of a text."""
    return [whole(one) for one in re.findall(r"\d[\d,]*\d|\d", text)]
