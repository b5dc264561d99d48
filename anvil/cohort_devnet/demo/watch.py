"""Follows the rounds of a market through the service's long-poll, and shows them.

What is shown here is for the eye; the report is made from chain and IPFS afterwards (`collect.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from cohort_protocol.errors import Unavailable
from cohort_protocol.phases import Phase
from cohort_protocol.service.client import ServiceClient
from cohort_protocol.service.errors import ServiceNotFound
from cohort_protocol.service.messages import ProjectState, ProofView, RoundView

from cohort_devnet.demo.accuracy import AccuracyMeter
from cohort_devnet.demo.display import Display, MarketView, RoundLine
from cohort_devnet.supervisor import ProcessFailed, Supervisor

POLL_SECONDS = 2.0
STALL_SECONDS = 420.0
"""Longer than all windows of a round together: nothing moving for so long is a fault, not slowness."""

MARKS = ("opened", "committed", "revealed", "evaluated", "ended")
PHASES = ("commit", "reveal", "evaluate", "settle")
"""`seconds` of a round: between neighbouring marks."""


class MarketStalled(ProcessFailed):
    """Nothing has happened in the market for longer than its windows allow."""

    code = "market-stalled"


@dataclass
class RoundTimes:
    """When the owner first saw each mark of a round (monotonic seconds)."""

    marks: dict[str, float] = field(default_factory=dict)

    def see(self, mark: str, now: float) -> None:
        """Notes a mark and those that must have come before it; the first sight counts."""
        for earlier in MARKS[: MARKS.index(mark) + 1]:
            self.marks.setdefault(earlier, now)

    def seconds(self) -> dict[str, float]:
        """Seconds by phase and in total. Only for a round that has ended."""
        spans = {
            phase: round(self.marks[after] - self.marks[before], 3)
            for phase, before, after in zip(PHASES, MARKS, MARKS[1:], strict=False)
        }
        return spans | {"total": round(self.marks["ended"] - self.marks["opened"], 3)}


@dataclass
class MarketWatch:
    """Watches one project until `rounds` rounds are over. Keeps what only a watcher can know: times and refusals."""

    service: ServiceClient
    project: int
    rounds: int
    accuracy: AccuracyMeter
    display: Display
    view: MarketView
    supervisor: Supervisor
    on_state: Callable[[ProjectState], None] = lambda state: None
    """Called with every state (what `--drama` acts on)."""
    times: dict[int, RoundTimes] = field(default_factory=dict)
    refusals: dict[int, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """Round -> trainer -> (code, words)."""
    proofs: dict[int, ProofView] = field(default_factory=dict)
    """Round -> its proof, of rounds that have ended."""

    def run(self) -> None:
        """Returns when the last round is over. Raises `ProcessFailed`, `MarketStalled`."""
        version, moved = -1, time.monotonic()
        while True:
            self.supervisor.check()
            try:
                state = self.service.state(self.project, version, POLL_SECONDS if version >= 0 else 0.0)
            except (Unavailable, ServiceNotFound):
                # The API is being started again, or has not indexed the project yet.
                time.sleep(0.2)
                self._fail_if_stalled(moved)
                continue
            if state.version != version:
                version, moved = state.version, time.monotonic()
                self.on_state(state)
            if self._observe(state, time.monotonic()):
                return
            self._fail_if_stalled(moved)

    def _fail_if_stalled(self, moved: float) -> None:
        if time.monotonic() - moved > STALL_SECONDS:
            raise MarketStalled(
                f"nothing has moved for {STALL_SECONDS:g} s. Look at the logs in {self.supervisor.folder / 'logs'}; "
                f"the worker's ends with:\n{self.supervisor.log_tail('worker')}"
            )

    def _observe(self, state: ProjectState, now: float) -> bool:
        """Takes in a state; whether the last round is over."""
        current = state.round
        if current is not None:
            for number in range(1, current.number):
                self._end(number, None, now)
            times = self.times.setdefault(current.number, RoundTimes())
            times.see("opened", now)
            if current.phase >= Phase.REVEAL:
                times.see("committed", now)
            if current.phase >= Phase.SETTLE:
                times.see("revealed", now)
            if state.settlement is not None:
                times.see("evaluated", now)
            if current.phase.terminal:
                self._end(current.number, current, now)
            self._note_refusals(current)
        self.view.state = state
        self.view.accuracies = self.accuracy.known()
        self.display.update(self.view)
        last = current is not None and current.number >= self.rounds and current.phase.terminal
        return last or state.finished

    def _end(self, number: int, view: RoundView | None, now: float) -> None:
        times = self.times.setdefault(number, RoundTimes())
        if number in self.view.done:
            return
        try:
            view = view or self.service.round(self.project, number)
        except (Unavailable, ServiceNotFound):
            return  # asked again with the next state
        times.see("ended", now)
        self._note_refusals(view)
        if view.proof is not None:
            self.proofs[number] = view.proof
        if view.next_model is not None:
            self.accuracy.measure(number, view.next_model)
        line = RoundLine.of(view, times.seconds())
        self.view.done[number] = line
        self.display.round_over(self.view, line)

    def _note_refusals(self, view: RoundView) -> None:
        known = self.refusals.setdefault(view.number, {})
        for refusal in view.refusals:
            known[refusal.trainer] = (refusal.code, refusal.detail)

    def seconds(self) -> dict[int, dict[str, float]]:
        """By round that has ended."""
        return {number: times.seconds() for number, times in self.times.items() if "ended" in times.marks}
