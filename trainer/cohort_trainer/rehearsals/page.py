"""Rehearsals as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cohort_protocol.rehearsal.campaign import AttackResult

from cohort_trainer.rehearsals.screen import FAIR, heading, row, sentence

HEADS = (
    "attack",
    "accuracy",
    "lost",
    "without a filter",
    "honest pay a round",
    "a cheat's pay a round",
    "of honest pay",
    "worst seed",
    "cheats rejected",
)
STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fff; --rule: #d5dae2; --bad: #b3261e; --ok: #2f6f4f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ee; --paper: #14181f; --rule: #39414d; --bad: #ff8a80; --ok: #7fd1a5; }
}
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 70rem;
  margin: 2rem auto; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; border-bottom: 1px solid var(--rule); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tr.bad td { color: var(--bad); font-weight: 600; }
svg { display: block; max-width: 100%; height: auto; margin: 1rem 0; }
svg text { fill: currentColor; font: 12px system-ui, sans-serif; paint-order: stroke; stroke: var(--paper);
  stroke-width: 4px; }
"""
BAR, LEFT, WIDE, MOST = 22, 170, 460, 2.0


def page(described: Mapping[str, Any], results: Sequence[AttackResult], decimals: int, symbol: str) -> str:
    """The whole page: what was rehearsed, a picture of pay, the table, a sentence per attack."""
    title, details = (escape(line) for line in heading(described, results))
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    body = "".join(_row(one, decimals, symbol) for one in results)
    said = "".join(f"<li>{escape(sentence(one))}</li>" for one in results)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{title}</h1><p>{details}</p><h2>What a cheat earns, of what an honest trainer earns</h2>{_bars(results)}"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div><ul>{said}</ul>'
        "<p>Simulated with the project's model, policy and rules of pay. Accuracy is the mean of the last "
        "three rounds; lost is against the same honest trainers without the cheats.</p></body></html>\n"
    )


def _row(one: AttackResult, decimals: int, symbol: str) -> str:
    bad = ' class="bad"' if one.gain > FAIR or one.mean("lost") > 0.03 else ""
    return f"<tr{bad}>" + "".join(f"<td>{escape(cell)}</td>" for cell in row(one, decimals, symbol)) + "</tr>"


def _bars(results: Sequence[AttackResult]) -> str:
    """One bar per attack, and a line at honest pay."""
    height = BAR * len(results) + 24
    honest = LEFT + WIDE / MOST
    parts = [f'<svg viewBox="0 0 {LEFT + WIDE + 60} {height}" role="img" aria-label="pay of cheats">']
    parts.append(f'<path d="M{honest} 0V{height - 20}" stroke="currentColor" stroke-dasharray="4 3" fill="none"/>')
    for index, one in enumerate(results):
        top, value = index * BAR, one.gain
        length = WIDE * min(value, MOST) / MOST
        colour = "var(--bad)" if value > FAIR else "var(--ok)"
        shown = "all" if value == float("inf") else f"{value:.2f}"
        parts.append(f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(one.attack)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{top + 4}" width="{length:.1f}" height="{BAR - 8}" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{top + 15}">{shown}</text>')
    parts.append(f'<text x="{honest}" y="{height - 6}" text-anchor="middle">honest pay</text></svg>')
    return "".join(parts)
