"""Bits of HTML that the report's page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def code(text: str) -> str:
    """An identifier."""
    return f'<code class="id">{escape(text)}</code>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of HTML cells; a head that starts with # makes its column one of numbers."""
    numeric = [head.startswith("#") for head in heads]
    top = "".join(
        f"<th{_number_class(right)}>{escape(head.removeprefix('#'))}</th>"
        for head, right in zip(heads, numeric, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{_number_class(right)}>{cell}</td>" for cell, right in zip(row, numeric, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _number_class(right: bool) -> str:
    return ' class="n"' if right else ""
