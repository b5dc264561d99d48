"""The reference of `report.json`, written from its model, so that it cannot drift from it.

python -m cohort_devnet.demo.report_guide > docs/guides/report.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from inspect import getdoc
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, PlainSerializer

from cohort_devnet.demo import report as report_module
from cohort_devnet.demo.report import Report

DECIMAL = "whole number as decimal text"


def guide() -> str:
    """Markdown: a table per part of the report, the whole first."""
    introduction = (getdoc(report_module) or "").split("\n\n", 1)[1]
    parts = [
        "# report.json",
        introduction,
        "Written from the model in `anvil/cohort_devnet/demo/report.py`; a test keeps the two the same.",
        *(_table(model) for model in _models(Report)),
    ]
    return "\n\n".join(parts) + "\n"


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """The root and every part below it, in the order in which they are first named."""
    found = [root]
    for model in found:
        for field in model.model_fields.values():
            found += [part for part in _named_in(field.annotation) if part not in found]
    return found


def _named_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for argument in get_args(annotation) for part in _named_in(argument)]


def _table(model: type[BaseModel]) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        kind = DECIMAL if _is_decimal_text(field.metadata) else _type_in_words(field.annotation)
        rows.append(f"| `{name}` | {kind} | {_one_line(field.description or '')} |")
    parts = [f"## {model.__name__}", _one_line(getdoc(model) or ""), "\n".join(rows)]
    return "\n\n".join(part for part in parts if part)


def _is_decimal_text(metadata: Iterable[Any]) -> bool:
    return any(isinstance(item, PlainSerializer) for item in metadata)


def _type_in_words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return DECIMAL if _is_decimal_text(arguments[1:]) else _type_in_words(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{value!r}`".replace("'", '"') for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type_in_words(argument) for argument in arguments)
    if origin is list:
        return f"list of {_type_in_words(arguments[0])}"
    if origin is dict:
        return f"object: {_type_in_words(arguments[0])} to {_type_in_words(arguments[1])}"
    if annotation is type(None):
        return "null"
    if annotation is int:
        return "whole number"
    words = {str: "text", float: "number", bool: "true or false"}
    return words.get(annotation) or f"[{annotation.__name__}](#{annotation.__name__.lower()})"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


if __name__ == "__main__":
    print(guide(), end="")
