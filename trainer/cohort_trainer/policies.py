"""`cohort policies`: every rule that a project can be paid by, and every score for reports."""

from __future__ import annotations

import json
from typing import Annotated

import typer


def policies(
    name: Annotated[str, typer.Argument(help="One of them, with its parameters.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List the policies: what each needs, what it pays, when to use it, and the paper it is from.

    Example:

    cohort policies multi-krum
    """
    from cohort_protocol.scoring import catalogue, catalogue_entry

    chosen = [catalogue_entry(name)] if name else list(catalogue())
    if as_json:
        print(json.dumps({"policies": [entry.as_json() for entry in chosen]}, indent=2))
        return
    for entry in chosen:
        print(f"{entry.name}: {entry.title} ({entry.paper})")
        print(f"  needs {', '.join(entry.needs)}" + (f"; uses {', '.join(entry.uses)}" if entry.uses else ""))
        print(f"  pays {entry.pays}")
        print(f"  {entry.when}")
        if name:
            for parameter in entry.parameters():
                print(f"  {parameter.name} = {parameter.default}, {parameter.low} .. {parameter.high}")
