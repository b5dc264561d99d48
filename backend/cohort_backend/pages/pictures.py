"""SVG pictures. Every number in them stands in a table of the same page too."""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.service.messages import LedgerView, RoundView, RowView

from cohort_backend.pages.amounts import Unit
from cohort_backend.pages.markup import Html, el

WIDTH = 960
MONEY = ("claimed", "claimable", "held", "free", "fees", "refunded", "burned")
"""Where a deposit went, in the order of the bar."""


def _picture(title: str, height: float, *children: object, class_: str | None = None, width: float = WIDTH) -> Html:
    return el(
        "svg",
        el("title", title),
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        aria_label=title,
        class_=class_,
    )


def _text(x: float, y: float, words: str, class_: str | None = None) -> Html:
    return el("text", words, x=f"{x:.1f}", y=f"{y:.1f}", class_=class_)


def _bar(x: float, y: float, width: float, height: float, fill: str, words: str = "", **more: object) -> Html:
    title = el("title", words) if words else None
    return el(
        "rect",
        *([title] if title is not None else []),
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{max(0.0, width):.1f}",
        height=f"{max(0.0, height):.1f}",
        fill=fill,
        **more,
    )


def money_bar(ledger: LedgerView, unit: Unit) -> Html:
    """Where the deposits are now: one bar, as long as what was paid in."""
    total = max(1, ledger.deposited)
    amounts = {name: getattr(ledger, name) for name in MONEY}
    drawn, x = [], 0.0
    for name, amount in amounts.items():
        wide = WIDTH * amount / total
        if amount:
            drawn.append(_bar(x, 0, wide, 36, f"var(--{name})", f"{name}: {unit.words(amount)}"))
        x += wide
    shown = [(name, amount) for name, amount in amounts.items() if amount]
    for index, (name, amount) in enumerate(shown):
        left = WIDTH / max(1, len(shown)) * index
        drawn.append(_bar(left, 50, 12, 12, f"var(--{name})"))
        drawn.append(_text(left + 18, 60, f"{name} {amount / total:.0%}"))
    said = ", ".join(f"{name} {unit.words(amount)}" for name, amount in shown) or "nothing"
    return _picture(f"Of {unit.words(ledger.deposited)} paid in: {said}", 70, drawn)


def scores_and_pay(rows: Sequence[RowView]) -> Html:
    """Two bars per trainer: part of the round's scores, part of its pay."""
    scores, pays = _parts([row.score or 0 for row in rows]), _parts([row.pay or 0 for row in rows])
    tallest = max([*scores, *pays, 1e-9])
    left, top, bottom = 52, 34, 200
    wide = (WIDTH - left - 8) / max(1, len(rows))
    bar = min(30.0, wide * 0.4)
    drawn: list[Html] = []
    for index, (name, label) in enumerate((("score", "part of all scores"), ("pay", "part of all pay"))):
        drawn += [_bar(left + 190 * index, 6, 12, 12, f"var(--{name})"), _text(left + 190 * index + 18, 16, label)]
    for part in (0.0, 0.5, 1.0):
        y = bottom - (bottom - top) * part
        drawn.append(el("path", d=f"M{left} {y:.1f}H{WIDTH - 8}", stroke="var(--rule)"))
        drawn.append(_text(left - 6, y + 4, f"{tallest * part:.0%}", "end quiet"))
    for index, row in enumerate(rows):
        middle = left + wide * (index + 0.5)
        for offset, name, share in ((-bar, "score", scores[index]), (0.0, "pay", pays[index])):
            tall = (bottom - top) * share / tallest
            words = f"member {row.member}: {share:.1%} of all {'scores' if name == 'score' else 'pay'}"
            drawn.append(_bar(middle + offset, bottom - tall, bar - 1, max(tall, 0.5), f"var(--{name})", words))
        drawn.append(_text(middle, bottom + 16, f"#{row.member}", "middle quiet"))
    return _picture("Scores and pay of the round by member; the table below has the numbers", bottom + 26, drawn)


def pay_grid(rounds: Sequence[RoundView], unit: Unit) -> Html:
    """Rounds across, members down: the darker, the more the member was paid; a cross where an update was rejected."""
    members = sorted({row.member for round in rounds for row in round.rows})
    left, top, tall = 60, 26, 22
    wide = min(112.0, (WIDTH - left) / max(1, len(rounds)))
    drawn: list[Html] = []
    for column, round in enumerate(rounds):
        most = max([row.pay or 0 for row in round.rows] + [1])
        drawn.append(_text(left + wide * (column + 0.5), 16, str(round.number), "middle quiet"))
        for row in round.rows:
            x, y = left + wide * column + 1, top + tall * members.index(row.member) + 1
            words = f"round {round.number}, member {row.member}: {unit.words(row.pay or 0)}"
            opacity = f"{0.08 + 0.92 * (row.pay or 0) / most:.2f}"
            drawn.append(_bar(x, y, wide - 2, tall - 2, "var(--score)", words, fill_opacity=opacity))
            if row.reason:
                drawn.append(_text(x + wide / 2 - 1, y + 14, "\u00d7", "middle"))
    drawn += [_text(left - 8, top + tall * (i + 0.7), f"#{member}", "end quiet") for i, member in enumerate(members)]
    title = "Pay by round (across) and member (down): darker is more, a cross is a rejected update"
    return _picture(title, top + tall * len(members) + 6, drawn)


def gauge(value: str, limit: str) -> Html | None:
    """A figure beside its limit: a bar to the value, a line at the limit. None for what is no number."""
    try:
        found, edge = float(value), float(limit)
    except ValueError:
        return None
    low, high = min(0.0, found, edge), max(0.0, found, edge)
    if not (high - low) or high - low == float("inf") or found != found or edge != edge:
        return None
    scale = 130 / (high - low)

    def at(number: float) -> float:
        return 5 + (number - low) * scale

    start, end = sorted((at(0.0), at(found)))
    return _picture(
        f"{value}, limit {limit}",
        16,
        _bar(start, 4, max(1.0, end - start), 8, "var(--score)"),
        el("path", d=f"M{at(edge):.1f} 1V15", stroke="var(--bad)", stroke_width="2"),
        class_="gauge",
        width=140,
    )


def _parts(values: Sequence[int]) -> list[float]:
    total = sum(values)
    return [value / total if total else 0.0 for value in values]
