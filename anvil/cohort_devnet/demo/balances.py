"""`cohort devnet balances`: re-adds all money from a kept chain state, with nothing of the service running."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from cohort_protocol.chain.client import ChainClient
from cohort_protocol.chain.token import Token
from cohort_protocol.errors import InvalidInput
from rich.console import Console
from rich.table import Table

from cohort_devnet.demo.money import re_add
from cohort_devnet.demo.report import Money, Report, tokens
from cohort_devnet.demo.tables import money_line
from cohort_devnet.deployment import Deployment
from cohort_devnet.node import AnvilNode

LINES = (
    ("paid_in", "paid in by the owner"),
    ("claimed", "claimed by trainers"),
    ("claimable", "earned, not claimed yet"),
    ("held", "held for a running round"),
    ("fees", "fees"),
    ("protocol_fees", "  of them the protocol's"),
    ("protocol_fees_collected", "  of those collected"),
    ("burned", "burned"),
    ("refunded", "refunded to the owner"),
    ("free", "free for further rounds"),
    ("stakes", "stakes of trainers (beside it)"),
    ("stakes_burned", "  slashed and burned"),
    ("stake_rewards", "  slashed and paid to who did it"),
    ("bonds", "bonds with fees (beside it)"),
    ("bonds_burned", "  slashed and burned"),
    ("contract_balance", "held by the contract"),
    ("unasked", "  of it sent without a call"),
    ("supply", "all tokens there are"),
)

OF_THE_WHOLE_MARKET = ("stakes", "bonds", "contract_balance", "unasked", "supply")
"""What other projects, trainers who leave and aggregators who take their fees may change after the report was written
(`cohort demo --keep`)."""


def balances(
    state: Annotated[Path, typer.Option(help="Chain state that a run left behind. It is read, never changed.")] = Path(
        "demo-report/chain-state.json"
    ),
    deployment: Annotated[
        Path | None, typer.Option(help="Where the contracts are. Default: deployment.json beside the state.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Report to compare with. Default: report.json beside the state, if it is there.")
    ] = None,
    project: Annotated[int, typer.Option(min=1, help="Project on chain.")] = 1,
) -> None:
    """Re-add all money of a run from its kept chain, without our service, and compare with its report.

    Starts a chain from the state, reads token balances, transfers and events, and ends it again. Exits 1 if anything
    does not add up or differs from the report.

    Example: cohort devnet balances --state demo-report/chain-state.json
    """
    where = Deployment.load(deployment or state.with_name("deployment.json"))
    with tempfile.TemporaryDirectory(prefix="cohort-balances-") as folder, AnvilNode.load(state, Path(folder)) as node:
        client = ChainClient(node.url, where.chain_id)
        where.verify(client)
        if where.token is None:
            raise InvalidInput("the deployment has no test token: it is not of a local chain")
        token = Token(client, where.token)
        money = re_add(client, where.market, where.token, project)
        decimals, symbol = token.decimals(), token.symbol()
    console = Console()
    console.print(_table(money, decimals, symbol))
    console.print(money_line(money, decimals, symbol))
    differences = _compare(money, project, report or state.with_name("report.json"), required=report is not None)
    for line in differences:
        console.print(line, style="bold red")
    if differences or not money.balanced:
        raise typer.Exit(1)


def _table(money: Money, decimals: int, symbol: str) -> Table:
    table = Table(header_style="bold")
    table.add_column("re-added from the chain")
    table.add_column(symbol, justify="right")
    table.add_column("base units", justify="right")
    for name, meaning in LINES:
        amount = getattr(money, name)
        table.add_row(meaning, tokens(amount, decimals), str(amount))
    return table


def _compare(money: Money, project: int, path: Path, required: bool) -> list[str]:
    """Where the report differs from the chain, in words. One of another project has nothing to say."""
    if not path.exists() and not required:
        return []
    loaded = Report.load(path)
    if loaded.project.id != project and not required:
        return []
    stated = loaded.money
    different = [
        name
        for name in Money.model_fields
        if name not in ("findings", *OF_THE_WHOLE_MARKET) and getattr(stated, name) != getattr(money, name)
    ]
    later = [name for name in OF_THE_WHOLE_MARKET if getattr(stated, name) != getattr(money, name)]
    if not different:
        typer.echo(f"The same numbers as in {path}.")
    if later:
        typer.echo(f"Of the whole market, these have changed since (other projects, stakes): {', '.join(later)}.")
    return [f"{path} says {name} {getattr(stated, name)}, the chain {getattr(money, name)}" for name in different]
