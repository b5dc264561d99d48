"""HTML from Python: every text is escaped, only what was made here is markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any


class Html(str):
    """Text that is markup already. Made by `el` and `raw` alone."""

    __slots__ = ()


def el(tag: str, /, *children: Any, **attributes: Any) -> Html:
    """One element. Children: text (escaped), `Html`, or iterables of them; None is left out. Attributes: `class_` is
    `class`, other underscores are dashes; None and False leave one out, True is one without a value."""
    named = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if tag in ("meta", "br", "hr"):
        return Html(f"<{tag}{named}>")
    return Html(f"<{tag}{named}>{joined(children)}</{tag}>")


def joined(children: Iterable[Any]) -> Html:
    """Children one after another, as `el` takes them."""
    return Html("".join(_child(child) for child in children))


def raw(text: str) -> Html:
    """Markup from a constant of the source code, never from data."""
    return Html(text)


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]], label: str, numbers: Iterable[int] = ()) -> Html:
    """A table that scrolls sideways by itself where the screen is narrow, by keyboard too. `numbers`: columns that are
    aligned to the right. The first cell of a row is its heading."""
    right = frozenset(numbers)

    def cell(name: str, index: int, value: Any, scope: str | None) -> Html:
        return el(name, value, class_="n" if index in right else None, scope=scope)

    body = [
        el("tr", [cell("th" if i == 0 else "td", i, value, "row" if i == 0 else None) for i, value in enumerate(row)])
        for row in rows
    ]
    titles = el("tr", [cell("th", i, value, "col") for i, value in enumerate(head)])
    inner = el("table", el("caption", label, class_="hidden"), el("thead", titles), el("tbody", body))
    return el("div", inner, class_="scroll", tabindex="0", role="region", aria_label=label)


def card(label: str, *children: Any) -> Html:
    """A frame that scrolls sideways like a table, for pictures."""
    return el("div", *children, class_="card scroll", tabindex="0", role="region", aria_label=label)


def _attribute(key: str, value: Any) -> str:
    if value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value), quote=True)}"'


def _child(child: Any) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child, quote=True)
    if isinstance(child, Iterable):
        return joined(child)
    return escape(str(child), quote=True)
