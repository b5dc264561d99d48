"""What a round brought its trainer, from the chain."""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.chain.events import RevealRefused, RowPaid

from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection


@dataclass(frozen=True)
class RoundResult:
    """How a round ended for one trainer."""

    outcome: str
    """"paid", "unpaid" (admitted, score 0), "rejected" (by the policy), "refused" (by the witnesses), "absent", or
    "unclosed": void or defaulted, and nobody has moved its money yet (claiming does)."""
    pay: int = 0
    """Base units."""
    score: int = 0
    """2^30 is an average contribution."""
    reason: int = 0
    """The policy's reason code; 0 is accepted."""

    def words(self) -> str:
        return f"{self.outcome}, score {self.score / 2**30:.3f}, reason {self.reason}, pay {self.pay} base units"


def result_of(connection: Connection, project: int, round: int, trainer: str) -> RoundResult:
    """Reads how a round that is over ended for `trainer`. Raises `ChainUnavailable`."""
    config = connection.config
    where = (connection.chain, config.market)
    paid = find_events(*where, RowPaid, [project, round, trainer], config.start_block, first_hit=True)
    if paid:
        row = paid[-1]
        outcome = "rejected" if row.reason else "paid" if row.pay else "unpaid"
        return RoundResult(outcome, row.pay, row.score, row.reason)
    refused = find_events(*where, RevealRefused, [project, round, trainer], config.start_block, first_hit=True)
    return RoundResult("refused" if refused else "absent")
