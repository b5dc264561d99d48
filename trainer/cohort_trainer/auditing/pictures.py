"""Pictures of an audit as inline SVG. Colours are CSS variables of the page, so that they follow light and dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from cohort_protocol.audit.document import AuditDocument, RoundFacts

WIDTH = 880
MARKS = {"false": "x", "unknown": "?"}
"""Beside colour, for those who do not see it."""


def money_flow(deposited: int, parts: Sequence[tuple[str, int]], amount: Callable[[int], str]) -> str:
    """What was paid in on the left, flowing into its parts on the right, heights in proportion."""
    kept = [(name, value) for name, value in parts if value > 0]
    gap, top, tall = 26, 10, 250
    total = sum(value for _, value in kept) or 1
    height = top + tall + gap * max(0, len(kept) - 1) + 20
    left, right, bar = 200, WIDTH - 330, 14
    start = (height - tall) / 2
    drawn = [_open("where the money went", height)]
    drawn.append(f'<rect x="{left - bar}" y="{start:.1f}" width="{bar}" height="{tall}" fill="var(--muted)"/>')
    drawn.append(f'<text x="{left - bar - 8}" y="{height / 2 - 4:.1f}" class="right">paid in</text>')
    drawn.append(
        f'<text x="{left - bar - 8}" y="{height / 2 + 14:.1f}" class="right quiet">{escape(amount(deposited))}</text>'
    )
    source, target = start, float(top)
    for name, value in kept:
        thick = tall * value / total
        colour, middle = f"var(--{name})", (left + right) / 2
        drawn.append(
            f'<path d="M{left} {source:.1f}C{middle} {source:.1f} {middle} {target:.1f} {right} {target:.1f}'
            f"V{target + thick:.1f}C{middle} {target + thick:.1f} {middle} {source + thick:.1f} {left} "
            f'{source + thick:.1f}Z" fill="{colour}" opacity=".35"/>'
        )
        drawn.append(
            f'<rect x="{right}" y="{target:.1f}" width="{bar}" height="{max(thick, 1.5):.1f}" fill="{colour}"/>'
        )
        drawn.append(
            f'<text x="{right + bar + 8}" y="{target + thick / 2 + 4:.1f}">{name} {escape(amount(value))}</text>'
        )
        source += thick
        target += thick + gap
    return "".join(drawn) + "</svg>"


def check_grid(found: AuditDocument) -> str:
    """A square for every check: one line per check, a column for the project and for each round."""
    names = list(dict.fromkeys(one.check for one in found.findings))
    columns: list[int | None] = [None, *(entry.number for entry in found.rounds)]
    left, row, top = 170, 19, 26
    wide = min(34.0, (WIDTH - left - 10) / len(columns))
    place = {(one.check, one.round): one for one in found.findings}
    drawn = [_open("checks by round", top + row * len(names) + 6)]
    step = max(1, round(28 / wide))
    for index, column in enumerate(columns):
        if column is None or column % step == 0 or step == 1:
            label = "all" if column is None else str(column)
            drawn.append(f'<text x="{left + wide * (index + 0.5):.1f}" y="16" class="middle quiet">{label}</text>')
    for line, name in enumerate(names):
        y = top + line * row
        drawn.append(f'<text x="{left - 10}" y="{y + 13}" class="right">{escape(name)}</text>')
        for index, column in enumerate(columns):
            one = place.get((name, column))
            if one is not None:
                said = escape(f"{name}, {'project' if column is None else f'round {column}'}: {one.state}. {one.text}")
                drawn.append(
                    f'<rect x="{left + wide * index + 1:.1f}" y="{y + 2}" width="{max(wide - 2, 1):.1f}" '
                    f'height="{row - 4}" rx="2" fill="var(--{one.state})"><title>{said}</title></rect>'
                )
                if (mark := MARKS.get(one.state)) is not None and wide > 9:
                    x = left + wide * (index + 0.5)
                    drawn.append(f'<text x="{x:.1f}" y="{y + 14}" class="middle mark">{mark}</text>')
    return "".join(drawn) + "</svg>"


def scores_and_pay(entry: RoundFacts) -> str:
    """Three bars for every row: its share of the scores, of the pay, and of the Shapley values where they are known."""
    scores = _shares([int(row.score) for row in entry.rows])
    pays = _shares([int(row.pay) for row in entry.rows])
    kinds = [("score", "of the scores", scores), ("pay", "of the pay", pays)]
    if entry.shapley_shares:
        kinds.append(("value", "of the Shapley values", [share or 0.0 for share in entry.shapley_shares]))
    tallest = max([share for _, _, shares in kinds for share in shares] + [1e-9])
    left, bottom, top = 46, 190, 34
    wide = (WIDTH - left - 10) / max(1, len(entry.rows))
    bar = min(26.0, wide * 0.8 / len(kinds))
    drawn = [_open(f"scores and pay of round {entry.number}", bottom + 26)]
    for number, (name, label, _) in enumerate(kinds):
        x = left + 200 * number
        drawn.append(f'<rect x="{x}" y="6" width="12" height="12" fill="var(--{name})"/>')
        drawn.append(f'<text x="{x + 18}" y="16">share {label}</text>')
    for part in (0.0, 0.5, 1.0):
        y = bottom - (bottom - top) * part
        drawn.append(f'<path d="M{left} {y:.1f}H{WIDTH - 10}" stroke="var(--rule)"/>')
        drawn.append(f'<text x="{left - 6}" y="{y + 4:.1f}" class="right quiet">{tallest * part:.0%}</text>')
    for row in entry.rows:
        start = left + wide * row.row + (wide - bar * len(kinds)) / 2
        for number, (name, label, shares) in enumerate(kinds):
            share = shares[row.row] if row.row < len(shares) else 0.0
            tall = (bottom - top) * share / tallest
            drawn.append(
                f'<rect x="{start + bar * number:.1f}" y="{bottom - tall:.1f}" width="{bar - 1:.1f}" '
                f'height="{max(tall, 0.5):.1f}" fill="var(--{name})"><title>row {row.row}: {share:.2%} {label}</title>'
                "</rect>"
            )
        out = "" if row.reason == 0 else " out"
        drawn.append(
            f'<text x="{left + wide * (row.row + 0.5):.1f}" y="{bottom + 17}" class="middle quiet">'
            f"{row.member}{out}</text>"
        )
    return "".join(drawn) + "</svg>"


def _shares(values: Sequence[int]) -> list[float]:
    total = sum(values)
    return [value / total if total else 0.0 for value in values]


def _open(title: str, height: float) -> str:
    said = escape(title)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{said}"><title>{said}</title>'
