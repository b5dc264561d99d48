"""`cohort projects`: what there is to train for, as a service lists it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_protocol.service.messages import ProjectView

    from cohort_trainer.connection import Connection


def projects(
    api: Annotated[str | None, typer.Option(envvar="COHORT_API", help="URL of a service.")] = None,
    home: Annotated[
        Path | None, typer.Option(envvar="COHORT_TRAINER_HOME", help="A home folder instead: amounts in tokens.")
    ] = None,
    after: Annotated[int, typer.Option(min=0, help="Start above this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most projects to show.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List the projects of a market, as a service knows them.

    What a service says is a first look and no more: `cohort trainer join` shows the terms from the chain and asks.

    Examples:

    cohort projects --api http://127.0.0.1:8000

    cohort projects --home ~/cohort --json
    """
    from cohort_protocol.service.client import ServiceClient

    from cohort_trainer.connection import Connection
    from cohort_trainer.errors import HomeMissing
    from cohort_trainer.home import Home

    if api is None and home is None:
        raise HomeMissing("whose projects? Give --api URL, or --home FOLDER of a home")
    connection = None if home is None else Connection(Home.open(home).config)
    try:
        with ServiceClient(api or connection.config.service_url) as service:  # type: ignore[union-attr]
            listed = service.projects(after, limit)
            found = [service.project(one.id) for one in listed.items]
        if as_json:
            items = [one.model_dump(mode="json") for one in found]
            print(json.dumps({"items": items, "next": listed.next}))
            return
        if not found:
            print("No projects." if not after else f"No projects above {after}.")
        for one in found:
            print("\n".join(_lines(one, connection)))
        if listed.next is not None:
            print(f"More: --after {listed.next}")
    finally:
        if connection is not None:
            connection.close()


def _lines(view: ProjectView, connection: Connection | None) -> list[str]:
    from cohort_trainer.foreign_words import printable

    terms, spec = view.terms, view.spec
    title = printable(spec.title) if spec is not None else "(its spec cannot be fetched now)"
    if view.ended or view.round >= terms.rounds:
        state = "over"
    elif view.ledger.free < terms.round_budget and not view.ledger.held:
        state = "out of money"
    else:
        state = "running" if view.round else "waits for trainers"
    lines = [
        f"{view.id}: {title} [{state}]",
        f"  round {view.round} of {terms.rounds}, {view.members} of {terms.slots} trainers",
        f"  pays {_money(connection, terms.token, view.distributable)} a round, "
        f"stake {_money(connection, terms.token, terms.stake)}",
    ]
    if spec is not None:
        shape = " x ".join(map(str, spec.data.shape))
        lines.append(
            f"  {spec.model.family}, {spec.model.dimension:,} parameters, {spec.settlement}; data of shape {shape}, "
            f"{spec.data.classes} classes"
        )
    return lines


def _money(connection: Connection | None, token: str, amount: int) -> str:
    from cohort_trainer.amounts import rough_amount

    if connection is None:
        return f"{amount} base units"
    contract = connection.token(token)
    return rough_amount(amount, contract.decimals(), contract.symbol())
