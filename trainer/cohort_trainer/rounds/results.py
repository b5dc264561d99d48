"""What a round brought its trainer, from the chain."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.chain.events import (
    MarketEvent,
    RoundDefaulted,
    RoundSettled,
    RoundVoided,
    StakeSlashed,
    UpdateRefused,
    UpdateRescued,
    UpdatesAdmitted,
)

from cohort_trainer.chain_events import round_events
from cohort_trainer.connection import Connection

MEANINGS = {
    "paid": "admitted and paid",
    "unpaid": "admitted, and worth no pay",
    "rejected": "admitted, and rejected by the scoring policy",
    "refused": "a quorum of witnesses found the published bytes wrong; the stake is safe",
    "rescued": "opened after the reveal phase, too late for pay; the stake is safe",
    "slashed": "never opened: the stake is gone, `cohort trainer restake` pays it again",
    "unopened": "not opened in time: the stake can be slashed",
    "void": "too few commitments, so nothing had to be opened; the stake is safe",
    "absent": "no commitment on chain",
    "unclosed": "admitted, in a round that nobody settled or closed yet: claiming closes it",
}


_UNRESOLVED = {"no-reveals": "void", "too-late": "unopened", "lost": "unopened"}


@dataclass(frozen=True)
class RoundResult:
    """How a round ended for one trainer."""

    outcome: str
    """A key of `MEANINGS`."""
    pay: int = 0
    """Base units."""
    score: int = 0
    """2^30 is an average contribution."""
    reason: int = 0
    """The policy's reason code; 0 is accepted."""

    def words(self) -> str:
        text = f"{self.outcome}: {MEANINGS[self.outcome]}"
        if self.outcome in ("paid", "unpaid", "rejected"):
            text += f"; score {self.score / 2**30:.3f}, reason {self.reason}, pay {self.pay} base units"
        return text


def result_of(connection: Connection, project: int, round: int, member: int, fate: str | None = None) -> RoundResult:
    """Reads how a round that is over ended for `member`. `fate`: of its commitment, see `rounds.rescue.Fate`.

    Raises `ChainUnavailable`.
    """
    config = connection.config
    events = round_events(connection.chain, config.market, project, round, config.start_block)
    own = next((row for row in admitted_rows(events) if row.member == member), None)
    if own is not None:
        return _of_row(events, own.row)
    for kind, outcome in ((UpdateRefused, "refused"), (UpdateRescued, "rescued"), (StakeSlashed, "slashed")):
        if any(isinstance(event, kind) and event.member == member for event in events):
            return RoundResult(outcome)
    return RoundResult(_UNRESOLVED.get(fate or "", "absent"))


def admitted_rows(events: list[MarketEvent]) -> list:
    """Rows of a round, in order of admission."""
    return [row for event in events if isinstance(event, UpdatesAdmitted) for row in event.rows]


def _of_row(events: list[MarketEvent], number: int) -> RoundResult:
    for event in events:
        if isinstance(event, RoundSettled) and number < len(event.rows):
            row = event.rows[number]
            outcome = "rejected" if row.reason else "paid" if row.pay else "unpaid"
            return RoundResult(outcome, row.pay, row.score, row.reason)
        if isinstance(event, RoundVoided | RoundDefaulted):
            return RoundResult("paid" if event.share else "unpaid", event.share)
    return RoundResult("unclosed")
