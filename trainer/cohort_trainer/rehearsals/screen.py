"""Rehearsals on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cohort_protocol.rehearsal.campaign import AttackResult
from rich.console import Console
from rich.table import Table

from cohort_trainer.amounts import format_amount

LOG_WIDTH = 140
FAIR = 1.05
"""Up to this multiple of honest pay, cheating does not pay better than work."""


def show(described: Mapping[str, Any], results: Sequence[AttackResult], decimals: int, symbol: str) -> None:
    """Prints what was rehearsed, one row per attack, and one sentence per attack."""
    console = _console()
    for line in heading(described, results):
        console.print(line, highlight=False, markup=False)
    table = Table(header_style="bold")
    for head in (
        "attack",
        "accuracy",
        "lost",
        "unfiltered",
        "honest pay",
        "cheat's pay",
        "of honest",
        "worst",
        "cheats out",
    ):
        table.add_column(head, justify="left" if head == "attack" else "right", overflow="fold")
    for one in results:
        style = "bold red" if one.gain > FAIR or one.mean("lost") > 0.03 else None
        table.add_row(*row(one, decimals, symbol), style=style)
    console.print(table)
    for one in results:
        console.print(f"- {sentence(one)}", highlight=False, markup=False)


def heading(described: Mapping[str, Any], results: Sequence[AttackResult]) -> list[str]:
    """What was simulated, in two lines."""
    members, seeds = results[0].members, described["seeds"]
    cheat = "trainer cheats" if members == 1 else "trainers cheat"
    judged = "with" if described["batches"] else "without"
    return [
        f"Rehearsal of {described['title']!r}: {members} of {described['trainers']} {cheat}, "
        f"{described['rounds']} rounds, {seeds} seed{'' if seeds == 1 else 's'}",
        f"{described['model']}; data: {described['data']}, split {described['partition']}; policy "
        f"{described['policy']} {judged} validation batches, "
        f"share cap {described['share_cap']}/{described['trainers']}",
    ]


def row(one: AttackResult, decimals: int, symbol: str) -> list[str]:
    """Cells of an attack: pay per round, in tokens."""
    honest = int(one.mean("honest_pay")) // one.rounds
    cheat = int(one.mean("cheat_pay")) // one.members // one.rounds
    return [
        one.attack,
        f"{one.mean('attacked'):.1%}",
        f"{100 * one.mean('lost'):.1f} pt",
        f"{one.mean('unfiltered'):.1%}",
        money(honest, decimals, symbol),
        money(cheat, decimals, symbol),
        times(one.gain),
        times(one.worst_gain),
        f"{one.rejected:.0%}",
    ]


def sentence(one: AttackResult) -> str:
    """What it means, in plain words."""
    who = "the cheat" if one.members == 1 else f"each of the {one.members} cheats"
    if one.one_owner:
        who = f"one data owner under {one.members} names"
    if len(one.parts) > 1:
        best = max(zip(one.gains(), one.parts, strict=True), key=lambda pair: pair[0])[1]
        names = "" if best.members == 1 else f" ({best.members} cheats)"
        who = f"of {len(one.parts)} attacks at once {best.attack}{names} paid best: a data owner"
    pay = one.gain
    if pay <= 0.2:
        worth = f"{who} earned {times(pay)} honest pay: not worth it"
    elif pay <= FAIR:
        worth = f"{who} earned {times(pay)} honest pay, no more than by working"
    else:
        worth = f"{who} earned {times(pay)} honest pay: IT PAYS TO CHEAT"
    lost = 100 * one.mean("lost")
    harm = f"the model lost {lost:.1f} points of accuracy" if lost >= 0.5 else "the model lost nothing to speak of"
    saved = 100 * (one.mean("attacked") - one.mean("unfiltered"))
    spared = f" (averaging everybody would have lost {saved:.1f} more)" if saved >= 1 else ""
    door = [each.backdoor_success for each in one.seeds if each.backdoor_success is not None]
    opened = f"; the trigger works on {sum(door) / len(door):.0%} of other examples" if door else ""
    stray = f"; {one.wrongly_rejected:.0%} of honest rounds were rejected" if one.wrongly_rejected >= 0.01 else ""
    return f"{one.attack}: {worth}; {harm}{spared}{opened}{stray}."


def money(value: int, decimals: int, symbol: str) -> str:
    """Base units as tokens, rounded down to four digits after the point."""
    kept = min(decimals, 4)
    return format_amount(value // 10 ** (decimals - kept), kept, symbol)


def times(value: float) -> str:
    """A multiple of honest pay."""
    return "only cheats were paid" if value == float("inf") else f"{value:.2f}x"


def show_attacks(rows: Sequence[Mapping[str, Any]]) -> None:
    """The list of attacks."""
    table = Table(header_style="bold")
    table.add_column("attack", no_wrap=True)
    table.add_column("parameters", no_wrap=True)
    table.add_column("what and where from")
    for one in rows:
        parameters = ",".join(f"{name}={value:g}" for name, value in one["parameters"].items())
        table.add_row(one["name"], parameters, one["source"])
    _console().print(table)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal or console.width >= LOG_WIDTH else Console(width=LOG_WIDTH)
