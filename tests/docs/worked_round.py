"""The worked round of docs/scoring.md: its table and its picture, computed.

python -m tests.docs.worked_round      # writes the table into docs/scoring.md, and docs/scoring-round.svg
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from cohort_protocol.payout import pays
from cohort_protocol.scoring import ONE, PolicyOutcome, PublicVectors, evaluate_round
from cohort_protocol.scoring.default import DefaultPolicy

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, PICTURE = DOCS / "scoring.md", DOCS / "scoring-round.svg"
BEGIN, END = "<!-- worked round: begin -->", "<!-- worked round: end -->"
POOL = 1_000_000
"""Base units that the round distributes."""

TRAINERS = {
    "Ada": [190, 110, 100, 150, 0, -60, 0, 80, 0, 0, 60, 0],
    "Ben": [150, 60, 100, 0, 150, 0, -70, -60, 0, 70, 0, 0],
    "Cleo": [90, 100, 90, -60, 0, 150, 60, 0, -50, 0, 0, 40],
    "Cleo again": [92, 99, 91, -58, 3, 149, 60, 0, -50, 0, 0, 41],
    "Dan": [0, 0, 240, 0, 0, 0, 0, 1, 0, 0, 0, 0],
    "Eve": [-260, -180, -70, 30, 0, 10, 0, 0, 20, 0, 0, 0],
    "Gus": [60, 30, 70, 0, -90, -80, 100, 0, 90, 0, -80, -60],
}
"""Updates of twelve entries. The first two entries are what the model still has to learn, the third is where it went in
the last round, the others are what each trainer's own examples add."""
LAST_STEP = [0, 0, 9_000_000, 0, 0, 0, 0, 0, 0, 0, 0, 0]
VALUES = (
    [3_000_000, 2_000_000, 400_000, 300_000, 200_000, 100_000, -200_000, 0, -100_000, 0, 0, 0],
    [2_900_000, 2_200_000, 450_000, 250_000, 300_000, 0, -150_000, 0, 0, 100_000, 0, 0],
    [1_000_000, 900_000, 100_000, 300_000, 300_000, 200_000, 300_000, 0, 200_000, 0, 0, 0],
)


def outcome() -> PolicyOutcome:
    """What the default policy says."""
    return evaluate_round(
        [np.array(update, np.int16) for update in TRAINERS.values()],
        [np.array(LAST_STEP, np.int64)],
        DefaultPolicy(),
        PublicVectors(values=tuple(np.array(row, np.int64) for row in VALUES)),
    ).outcome


def paid(result: PolicyOutcome) -> list[int]:
    """Base units."""
    floor = DefaultPolicy().suggested_score_floor(len(TRAINERS))
    return pays(result.scores, result.reasons, POOL, floor, 4)


def _cell(row, name: str) -> str:
    figure = row.figure(name)
    return "" if figure is None else f"{figure.value / ONE:.2f}"


def _gate(row, name: str) -> str:
    """A gate's figure over the value from which it is fully open."""
    figure = row.figure(name)
    return "" if figure is None or not figure.limit else f"{figure.value / figure.limit:.2f}"


def table() -> str:
    """The table in Markdown, with a verdict per trainer."""
    result = outcome()
    lines = [
        "| trainer | measured value | agreement | merit f(z) | new / full | shared / full | kinship | score | weight "
        "of 65,536 | pay |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row, pay in zip(TRAINERS, result.rows, paid(result), strict=True):
        cells = [_cell(row, "value"), _cell(row, "agreement"), _cell(row, "merit")]
        cells += [_gate(row, "novelty"), _gate(row, "company"), _cell(row, "kinship")]
        cells += [f"{row.score / ONE:.3f}", f"{row.weight:,}", f"{pay / POOL:.1%}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    belief = next(row.figure("belief") for row in result.rows if row.figure("belief"))
    lines += ["", f"Belief in the batch: {belief.value / ONE:.2f}. In words:", ""]
    for name, row in zip(TRAINERS, result.rows, strict=True):
        lines.append(f"- **{name}**, {'accepted' if row.accepted else 'rejected'}: {row.words}.")
    return "\n".join(lines)


def picture() -> str:
    """Bars of what each update was worth and what it is paid."""
    result = outcome()
    names, earned = list(TRAINERS), paid(result)
    width, left, row_height = 720, 120, 44
    height = 70 + row_height * len(names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="120" y="22" font-weight="bold">One round: measured value, merit, and pay</text>',
        '<rect x="120" y="34" width="12" height="10" fill="#b8c4d6"/><text x="138" y="44">measured value</text>',
        '<rect x="260" y="34" width="12" height="10" fill="#5b7fb5"/><text x="278" y="44">merit f(z)</text>',
        '<rect x="370" y="34" width="12" height="10" fill="#2f8f5b"/>',
        '<text x="388" y="44">pay, of an equal share</text>',
    ]
    zero, unit = left + 120, 110
    for place, (name, row, pay) in enumerate(zip(names, result.rows, earned, strict=True)):
        top = 58 + place * row_height
        parts.append(f'<text x="{left - 10}" y="{top + 20}" text-anchor="end">{name}</text>')
        share = pay / POOL * len(names)
        bars = [
            (_number(row, "value"), "#b8c4d6"),
            (_number(row, "merit"), "#5b7fb5"),
            (share, "#2f8f5b"),
        ]
        for line, (value, colour) in enumerate(bars):
            size = min(3.4, abs(value)) * unit
            start = zero - min(size, 110) if value < 0 else zero
            parts.append(
                f'<rect x="{start:.1f}" y="{top + 11 * line}" width="{min(size, 110) if value < 0 else size:.1f}" '
                f'height="9" fill="{colour}"/>'
            )
        note = f"{pay / POOL:.1%}" if row.accepted else "rejected"
        parts.append(f'<text x="{width - 10}" y="{top + 20}" text-anchor="end">{note}</text>')
    parts.append(f'<line x1="{zero}" y1="52" x2="{zero}" y2="{height - 8}" stroke="#888"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _number(row, name: str) -> float:
    figure = row.figure(name)
    return 0.0 if figure is None else figure.value / ONE


def page(text: str) -> str:
    """The page with the table between its marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    PICTURE.write_text(picture())
