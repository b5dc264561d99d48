"""The end of a run in text: a table per round and per trainer, the headline in money, one line on trust."""

from __future__ import annotations

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cohort_devnet.demo.report import HONEST, Money, Privacy, Report, Round, tokens
from cohort_devnet.demo.wording import price_text, privacy_text, proof_text, role_text, share_text, short


def print_report(report: Report, console: Console) -> None:
    """Everything that a reader of the terminal needs."""
    console.print()
    console.print(_rounds_table(report))
    console.print(_detail(report))
    console.print(_trainers_table(report))
    if report.privacy is not None:
        console.print(_readers_table(report.privacy))
    for event in report.drama:
        console.print(Text(f"Drama in round {event.round}: {event.what}. {event.outcome}.", style="yellow"))
    print_headline(report, console)


def print_headline(report: Report, console: Console) -> None:
    """The run in money, in a few lines."""
    for line in _headline(report):
        console.print(line)
    console.print(money_line(report.money, report.project.token_decimals, report.project.token_symbol))


def _rounds_table(report: Report) -> Table:
    table = Table(title="Rounds", title_justify="left", title_style="bold", header_style="bold")
    for head in ("round", "accuracy", "accepted"):
        table.add_column(head, justify="right")
    table.add_column("judged by")
    table.add_column("proof", overflow="fold")
    table.add_column("flagged", overflow="fold")
    for head in ("paid out", "gas", "seconds"):
        table.add_column(head, justify="right")
    names = report.names()
    for entry in report.rounds:
        flagged = ", ".join(f"{names.get(flag.trainer, short(flag.trainer))} ({flag.reason})" for flag in entry.flagged)
        table.add_row(
            str(entry.number),
            f"{entry.accuracy:.3f}",
            f"{len(entry.accepted)}/{len(report.trainers)}",
            entry.judged_by.partition(":")[0] or "nobody",
            _proof(entry),
            flagged or "nobody",
            report.amount(sum(entry.payouts.values())),
            f"{sum(step.gas for step in entry.gas):,}",
            f"{entry.seconds.get('total', 0.0):.1f}",
        )
    return table


def _proof(entry: Round) -> str:
    """Short: the detail below has the rest."""
    if entry.proof is None:
        return "none"
    if entry.proof.mode == "attested" or entry.proof.prove_seconds is None:
        return entry.proof.mode
    return f"proven {entry.proof.prove_seconds:.1f} s"


def _detail(report: Report) -> Group:
    """What the table has no room for: why trainers were flagged, who got what, gas per transaction."""
    blocks: list[Text | Padding] = []
    for entry in report.rounds:
        blocks.append(Text(f"Round {entry.number}", style="bold"))
        blocks.append(Padding(Text("\n".join(_round_lines(report, entry))), (0, 0, 0, 2)))
    return Group(*blocks)


def _round_lines(report: Report, entry: Round) -> list[str]:
    names, decimals = report.names(), report.project.token_decimals
    lines = [f"{names.get(flag.trainer, short(flag.trainer))} {flag.detail}" for flag in entry.flagged]
    pays = ", ".join(
        f"{trainer.name} {tokens(entry.payouts.get(trainer.address, 0), decimals)}" for trainer in report.trainers
    )
    lines.append(f"paid ({report.project.token_symbol}): {pays}")
    lines.append("gas: " + ", ".join(f"{step.step} {step.gas:,}" for step in entry.gas))
    if entry.proof is not None and entry.proof.mode == "proven":
        vouched = f"{entry.proof.receipts} witnesses vouch for the model's bytes"
        lines.append(f"settled by {proof_text(entry.proof)}, accepted by the contract; {vouched}")
    if entry.outcome != "settled":
        lines.append(f"the round was {entry.outcome}: no outcome was settled in time")
    return lines


def _trainers_table(report: Report) -> Table:
    symbol, decimals = report.project.token_symbol, report.project.token_decimals
    title = f"Trainers (pay in {symbol})"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for head in ("trainer", "role"):
        table.add_column(head, no_wrap=True)
    for head in ("examples", "earned", "share", "claimed", "credit", "usefulness", "rejected", "reliability"):
        table.add_column(head, justify="right")
    paid = report.headline.paid_to_trainers or 1
    for trainer in report.trainers:
        table.add_row(
            trainer.name,
            role_text(trainer.role),
            str(trainer.examples),
            tokens(trainer.earned, decimals),
            share_text(trainer.earned / paid),
            tokens(trainer.claimed, decimals),
            f"{trainer.credit:,}",
            f"{trainer.usefulness_bps / 10_000:.2f}",
            f"{trainer.rejections} of {trainer.rounds}",
            f"{trainer.reliability_bps / 100:.1f}%",
            style=None if trainer.role == HONEST else "yellow",
        )
    return table


def _readers_table(privacy: Privacy) -> Table:
    table = Table(title="Who can open the updates", title_justify="left", title_style="bold", header_style="bold")
    for head in ("key of", "address"):
        table.add_column(head, no_wrap=True)
    table.add_column("opens", justify="right")
    for reader in privacy.readers:
        table.add_row(reader.name, short(reader.address), f"{reader.opened} of {privacy.updates}")
    stolen = privacy.opened_by_outsiders
    others = f"the owner and {privacy.outsiders - 1} trainers"
    table.add_row(others, "", f"{stolen} of {privacy.updates}", style="bold red" if stolen else None)
    return table


def _headline(report: Report) -> list[Text]:
    head, base = report.headline, report.baseline
    cheats = sum(trainer.role != HONEST for trainer in report.trainers)
    lines = [
        f"Accuracy {base.accuracy_final:.3f} (initial {base.accuracy_initial:.3f}, each alone "
        f"{base.accuracy_local_only_mean:.3f}, honest ones only {base.accuracy_clean_fedavg:.3f}, without a filter "
        f"{base.accuracy_unfiltered_rounds[-1]:.3f}).",
    ]
    if cheats:
        who, whom = (f"The {cheats} cheats", "them") if cheats > 1 else ("The cheat", "it")
        lines.append(
            f"{who} earned {report.amount(head.cheats_earned)}, {share_text(head.cheats_earned_part)} of all pay; an "
            f"equal split would have paid {whom} {report.amount(head.equal_split_would_pay_cheats)}. An honest trainer "
            f"earned {report.amount(head.mean_honest_earned)} on average."
        )
    lines.append(
        f"A round cost {head.gas_per_round:,} gas: {head.gas_per_round_usd:,.2f} USD {price_text(head.prices)} "
        f"(assumed). Its budget was {report.amount(report.project.round_budget)} "
        f"({head.round_budget_usd:,.0f} USD at {head.prices.token_usd:g} USD each, assumed)."
    )
    lines.append(head.trust)
    if report.privacy is not None:
        lines.append(privacy_text(report.privacy))
    return [Text(line) for line in lines]


def money_line(money: Money, decimals: int, symbol: str) -> Text:
    """One line that says whether money adds up, with its terms."""
    terms = " + ".join(
        f"{name} {tokens(amount, decimals)}"
        for name, amount in (
            ("free", money.free),
            ("held", money.held),
            ("claimable", money.claimable),
            ("claimed", money.claimed),
            ("fees", money.fees),
            ("burned", money.burned),
            ("refunded", money.refunded),
        )
    )
    if money.balanced:
        return Text(f"Money adds up: paid in {tokens(money.paid_in, decimals)} {symbol} = {terms}.", style="green")
    return Text("MONEY DOES NOT ADD UP: " + "; ".join(money.findings), style="bold red")
