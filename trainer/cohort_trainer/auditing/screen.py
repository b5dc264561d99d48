"""An audit on a terminal: a line of progress while it runs, then one table per round."""

from __future__ import annotations

from collections.abc import Iterable

from cohort_protocol.audit.document import AuditDocument, FindingFacts
from cohort_protocol.audit.findings import Finding, State
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cohort_trainer.amounts import format_amount

LOG_WIDTH = 140
STYLES = {"true": "green", "false": "bold red", "unknown": "bold yellow", "absent": "dim", "shown": "cyan"}


class Screen:
    """Progress goes to stderr, what was found to stdout."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._errors = Console(stderr=True)
        self._made = 0

    def say(self, line: str) -> None:
        """What is done next."""
        if not self._quiet:
            self._errors.print(f"... {line}", style="dim", markup=False, highlight=False, soft_wrap=True)

    def saw(self, finding: Finding) -> None:
        """Something that is not as it should be is said at once: an audit can take long."""
        if finding.state in (State.FALSE, State.UNKNOWN) and not self._quiet:
            line = f"{finding.where} is {finding.state}: {finding.text}"
            self._errors.print(line, style=STYLES[finding.state.value], markup=False, highlight=False, soft_wrap=True)

    def show(self, found: AuditDocument) -> None:
        """Prints everything."""
        console = Console()
        if not console.is_terminal and console.width < LOG_WIDTH:
            console = Console(width=LOG_WIDTH)
        for line in heading(found):
            console.print(line, markup=False, highlight=False)
        console.print(_table("project", (one for one in found.findings if one.round is None)))
        for entry in found.rounds:
            title = f"round {entry.number}: {entry.outcome}"
            console.print(_table(title, (one for one in found.findings if one.round == entry.number)))
        console.print(verdict(found), style=STYLES[found.state], markup=False, highlight=False, soft_wrap=True)


def _table(title: str, findings: Iterable[FindingFacts]) -> Table:
    table = Table(header_style="bold", title=title, title_justify="left", expand=True)
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", ratio=1, overflow="fold")
    for one in findings:
        style = STYLES[one.state]
        table.add_row(one.check, f"[{style}]{one.state}[/]", escape(one.text), style="dim" if style == "dim" else None)
    return table


def heading(found: AuditDocument) -> list[str]:
    """What was audited, in three lines."""
    project, read, money = found.project, found.read, found.money

    def amount(name: str) -> str:
        return format_amount(int(money[name]), project.token_decimals, project.token_symbol)

    return [
        f"Audit of project {project.number} {project.title!a}: {project.rounds} rounds, {len(found.rounds)} checked; "
        f"policy {project.policy or 'unknown'}, {project.settlement or 'unknown'} rounds",
        f"market {read.market} on chain {read.chain_id} as of block {read.block}; files from {read.store}",
        f"paid in {amount('deposited')} = free {amount('free')} + held {amount('held')} + claimable "
        f"{amount('claimable')} + claimed {amount('claimed')} + fees {amount('fees')} + burned {amount('burned')} + "
        f"refunded {amount('refunded')}",
    ]


def verdict(found: AuditDocument) -> str:
    """The end in a sentence."""
    counts = found.counts
    if found.first is None:
        return f"All {counts['true']} checks are true ({counts['absent']} do not apply, {counts['shown']} only shown)."
    first = found.first
    where = first.check if first.round is None else f"{first.check} of round {first.round}"
    return (
        f"{counts['false']} checks are false, {counts['unknown']} unknown, {counts['true']} true. First: {where}: "
        f"{first.text}"
    )
