"""What a run looks like while it runs: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import ProjectState, RoundView
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cohort_devnet.demo.report import HONEST, tokens
from cohort_devnet.demo.wording import role_text, short

REFRESH_PER_SECOND = 4
REASON_WORDS = {1: "too small", 2: "opposes others"}
"""Reason codes of the policy, for the eye; the report has the policy's own sentences."""


@dataclass(frozen=True)
class RoundLine:
    """One finished round in one line."""

    number: int
    outcome: str
    paid: dict[str, int]
    """Trainer -> pay, base units."""
    flagged: dict[str, str]
    """Trainer -> why, short."""
    accepted: int
    seconds: float

    @classmethod
    def of(cls, view: RoundView, seconds: dict[str, float]) -> RoundLine:
        flagged = {row.trainer: REASON_WORDS.get(row.reason, "rejected") for row in view.rows if row.reason}
        flagged |= dict.fromkeys(view.rescued, "late reveal")
        flagged |= {refusal.trainer: refusal.code.replace("-", " ") for refusal in view.refusals}
        return cls(
            number=view.number,
            outcome={Phase.VOID: "void", Phase.DEFAULTED: "defaulted"}.get(view.phase, "settled"),
            paid={row.trainer: row.pay or 0 for row in view.rows},
            flagged=flagged,
            accepted=sum(row.reason == 0 for row in view.rows),
            seconds=seconds["total"],
        )


@dataclass
class MarketView:
    """Everything that the display shows."""

    rounds: int
    people: dict[str, tuple[str, str]]
    """Address -> (name, role)."""
    symbol: str
    decimals: int
    started: float = field(default_factory=time.monotonic)
    state: ProjectState | None = None
    done: dict[int, RoundLine] = field(default_factory=dict)
    accuracies: dict[int, float] = field(default_factory=dict)

    def name(self, address: str) -> str:
        return self.people.get(address, (short(address), ""))[0]

    def paid(self) -> dict[str, int]:
        """Trainer -> pay of all rounds so far."""
        total: dict[str, int] = dict.fromkeys(self.people, 0)
        for line in self.done.values():
            for trainer, pay in line.paid.items():
                total[trainer] = total.get(trainer, 0) + pay
        return total


class Display(Protocol):
    """Where a run's progress goes."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def step(self, text: str) -> None:
        """One thing done during set-up or at the end."""

    def event(self, text: str) -> None:
        """Something out of the ordinary: a process died, drama."""

    def update(self, view: MarketView) -> None:
        """The market has moved."""

    def round_over(self, view: MarketView, line: RoundLine) -> None:
        """A round has ended."""


class LineDisplay:
    """Plain lines, for logs and pipes. `quiet`: no set-up steps."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def _print(self, text: str) -> None:
        self._console.print(
            f"[{time.monotonic() - self._started:6.1f} s] {text}", markup=False, highlight=False, soft_wrap=True
        )

    def step(self, text: str) -> None:
        if not self._quiet:
            self._print(text)

    def event(self, text: str) -> None:
        self._print(f"! {text}")

    def update(self, view: MarketView) -> None:
        return

    def round_over(self, view: MarketView, line: RoundLine) -> None:
        flagged = ", ".join(f"{view.name(trainer)} ({why})" for trainer, why in line.flagged.items()) or "nobody"
        measured = view.accuracies.get(line.number - 1)
        before = f"accuracy before it {measured:.3f}, " if measured is not None else ""
        self._print(
            f"round {line.number} of {view.rounds} {line.outcome} in {line.seconds:.1f} s: {before}"
            f"{line.accepted} of {len(view.people)} accepted, flagged {flagged}, "
            f"paid {tokens(sum(line.paid.values()), view.decimals)} {view.symbol}"
        )


class LiveDisplay:
    """A view that stays in place: the running round, every trainer, the rounds so far."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=REFRESH_PER_SECOND, transient=True)
        self._events: list[str] = []
        self._view: MarketView | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def step(self, text: str) -> None:
        self._console.print(Text(f"✓ {text}", style="green"))

    def event(self, text: str) -> None:
        self._console.print(Text(f"! {text}", style="yellow"))

    def update(self, view: MarketView) -> None:
        self._live.update(render(view))

    def round_over(self, view: MarketView, line: RoundLine) -> None:
        self._live.update(render(view))


def render(view: MarketView) -> Group:
    """The live view of one moment."""
    parts: list[Text | Table] = [_headline(view)]
    current = view.state.round if view.state is not None else None
    if current is not None:
        parts.append(_phase_bar(current, view))
        parts.append(_people_table(current, view))
    if view.done:
        parts.append(_rounds_table(view))
    return Group(*parts)


def _headline(view: MarketView) -> Text:
    seconds = int(time.monotonic() - view.started)
    paid = tokens(sum(view.paid().values()), view.decimals)
    known = [view.accuracies[number] for number in sorted(view.accuracies)]
    accuracy = f", accuracy {known[-1]:.3f}" if known else ""
    return Text(
        f"\n{len(view.done)} of {view.rounds} rounds done, {paid} {view.symbol} paid{accuracy}   "
        f"{seconds // 60}:{seconds % 60:02d}",
        style="bold",
    )


def _phase_bar(current: RoundView, view: MarketView) -> Text:
    everybody = len(view.people)
    admitted = len(current.rows)
    settlement = view.state.settlement if view.state is not None else None
    steps = [
        ("commit", current.phase > Phase.COMMIT, f"{len(current.committed)}/{everybody}"),
        ("reveal", current.phase > Phase.REVEAL, f"{len(current.revealed)}/{len(current.committed)}"),
        ("witness", current.phase > Phase.REVEAL, f"{admitted} admitted" if admitted else ""),
        ("score", settlement is not None or current.phase.terminal, ""),
        *_proof_step(current),
        ("settle", current.phase.terminal, f"{len(settlement.signed_by)} signed" if settlement is not None else ""),
    ]
    text = Text(f"round {current.number}: ", style="bold")
    active = next((index for index, (_, done, _) in enumerate(steps) if not done), len(steps))
    for index, (name, done, detail) in enumerate(steps):
        style = "green" if done else "cyan" if index == active else "dim"
        mark = "✓" if done else "▸" if index == active else "·"
        text.append(f" {mark} {name}{' ' + detail if detail else ''}  ", style=style)
    return text


def _proof_step(current: RoundView) -> list[tuple[str, bool, str]]:
    """In a proven project, from the moment that there is an outcome to prove."""
    proof = current.proof
    if proof is None:
        return []
    under_way = f"part {proof.part} of {proof.parts}: {proof.step}" if proof.state == "proving" else proof.state
    return [("prove", proof.state == "ready" or current.phase.terminal, "" if proof.state == "ready" else under_way)]


def _people_table(current: RoundView, view: MarketView) -> Table:
    table = Table(header_style="bold", box=None, padding=(0, 2))
    for head in ("trainer", "role", "committed", "revealed"):
        table.add_column(head)
    table.add_column(f"earned ({view.symbol})", justify="right")
    paid = view.paid()
    committed, revealed = set(current.committed), set(current.revealed)
    for address, (name, role) in view.people.items():
        table.add_row(
            name,
            role_text(role),
            "✓" if address in committed else "",
            "✓" if address in revealed else "",
            tokens(paid.get(address, 0), view.decimals),
            style=None if role == HONEST else "yellow",
        )
    return table


def _rounds_table(view: MarketView) -> Table:
    table = Table(header_style="bold", box=None, padding=(0, 2))
    for head, justify in (("round", "right"), ("accuracy", "right"), ("accepted", "right"), ("flagged", "left")):
        table.add_column(head, justify=justify)
    table.add_column("seconds", justify="right")
    for number in sorted(view.done)[-8:]:
        line = view.done[number]
        accuracy = view.accuracies.get(number)
        table.add_row(
            str(number),
            f"{accuracy:.3f}" if accuracy is not None else "…",
            f"{line.accepted}/{len(view.people)}",
            ", ".join(f"{view.name(trainer)} ({why})" for trainer, why in line.flagged.items()) or "nobody",
            f"{line.seconds:.1f}",
        )
    return table


def make_display(console: Console, quiet: bool) -> Display:
    """Live in a terminal, lines elsewhere and with `quiet`."""
    return LiveDisplay(console) if console.is_terminal and not quiet else LineDisplay(console, quiet)
