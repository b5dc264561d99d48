"""Two small charts as inline SVG for the report's page.

Colours are CSS variables, so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 720


@dataclass(frozen=True)
class Line:
    """One line: its points (x, y), the CSS variable of its colour, a dash pattern and a marker (`o`, `x`, `s`, `^`)."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: str
    dash: str = ""
    marker: str = "o"
    width: float = 2.0
    in_legend: bool = True


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    text: str
    """Written at the bar's end."""
    colour: str


@dataclass(frozen=True)
class _Scale:
    """Maps [low, high] to pixels [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    y_top: float,
    y_text: str = "{:g}",
    reference: tuple[float, str] | None = None,
    height: int = 320,
) -> str:
    """A line chart from y = 0 to `y_top` with a legend below. `reference` draws a labelled horizontal line."""
    legend = [line for line in lines if line.in_legend]
    bottom = height - 46
    xs = [x for line in lines for x, _ in line.points] or [0.0, 1.0]
    x = _Scale(min(xs), max(max(xs), min(xs) + 1), 52, WIDTH - 20)
    y = _Scale(0, y_top, bottom, 14)
    parts = [_open(title, height + 22 * math.ceil(len(legend) / 2))]
    for tick in _ticks(y_top):
        parts.append(f'<line x1="52" x2="{WIDTH - 20}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" class="grid"/>')
        parts.append(f'<text x="44" y="{y(tick) + 4:.1f}" class="tick end">{y_text.format(tick)}</text>')
    step = max(1, math.ceil((x.high - x.low) / 15))
    for tick in range(math.ceil(x.low), math.floor(x.high) + 1, step):
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 18}" class="tick middle">{tick}</text>')
    parts.append(f'<text x="{(52 + WIDTH - 20) / 2}" y="{bottom + 38}" class="tick middle">{escape(x_label)}</text>')
    if reference is not None:
        level = y(reference[0])
        parts.append(f'<line x1="52" x2="{WIDTH - 20}" y1="{level:.1f}" y2="{level:.1f}" class="reference"/>')
        parts.append(f'<text x="{WIDTH - 20}" y="{level + 16:.1f}" class="tick end">{escape(reference[1])}</text>')
    for line in lines:
        path = " ".join(f"{x(px):.1f},{y(py):.1f}" for px, py in line.points)
        dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="var({line.colour})" stroke-width="{line.width}"{dash}/>'
        )
        parts.extend(_marker(x(px), y(py), line.marker, line.colour) for px, py in line.points)
    parts.extend(_legend(legend, height + 4))
    return "".join(parts) + "</svg>"


def bar_chart(title: str, bars: Sequence[Bar], *, reference: tuple[float, str] | None = None) -> str:
    """Horizontal bars from 0. `reference` draws a labelled vertical line."""
    row, top, left = 30, 26, 190
    height = top + row * len(bars) + 10
    highest = max([bar.value for bar in bars] + ([reference[0]] if reference else []) + [1e-9])
    x = _Scale(0, highest, left, WIDTH - 200)
    parts = [_open(title, height)]
    for index, bar in enumerate(bars):
        y = top + index * row
        width = max(x(bar.value) - left, 1.5)
        parts.append(f'<text x="{left - 10}" y="{y + 17}" class="label end">{escape(bar.label)}</text>')
        parts.append(
            f'<rect x="{left}" y="{y + 3}" width="{width:.1f}" height="{row - 9}" rx="3" fill="var({bar.colour})"/>'
        )
        parts.append(f'<text x="{left + width + 8:.1f}" y="{y + 17}" class="label">{escape(bar.text)}</text>')
    if reference is not None:
        at = x(reference[0])
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top - 6}" y2="{height - 6}" class="reference"/>')
        parts.append(f'<text x="{at:.1f}" y="{top - 11}" class="tick middle">{escape(reference[1])}</text>')
    return "".join(parts) + "</svg>"


def _open(title: str, height: int) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}" class="chart">'
        f"<title>{escape(title)}</title>"
    )


def _ticks(top: float) -> list[float]:
    """Four to seven round values from 0 to `top`."""
    raw = top / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [round(index * step, 10) for index in range(int(top / step + 1e-9) + 1)]


def _marker(x: float, y: float, marker: str, colour: str) -> str:
    if marker == "x":
        return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="var({colour})" stroke-width="2" fill="none"/>'
    if marker == "s":
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="var({colour})"/>'
    if marker == "^":
        return f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" fill="var({colour})"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="var({colour})"/>'


def _legend(lines: Sequence[Line], top: int) -> list[str]:
    parts = []
    for index, line in enumerate(lines):
        x, y = 52 + (index % 2) * 330, top + 22 * (index // 2) + 8
        dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
        parts.append(
            f'<line x1="{x}" x2="{x + 30}" y1="{y}" y2="{y}" stroke="var({line.colour})" stroke-width="2.5"{dash}/>'
        )
        parts.append(_marker(x + 15, y, line.marker, line.colour))
        parts.append(f'<text x="{x + 40}" y="{y + 4}" class="label">{escape(line.label)}</text>')
    return parts
