"""What the chain says of the projects that a witness watches, read through its own node: no database, no service.

Events are read from the first block on, in bounded ranges, and folded into what a witness needs: the commitments and
rows of the newest rounds, and the line of models. If the chain is reorganised below what was read, everything is read
again; a witness is in no hurry and has little state.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog
from cohort_protocol.chain import ChainClient, Market, MarketEvent, MarketLogs
from cohort_protocol.chain.events import (
    CommitsPosted,
    CommittedSelf,
    DeadlinesMoved,
    RevealRefused,
    RoundDefaulted,
    RoundOpened,
    RoundSettled,
    RoundVoided,
    UpdateAdmitted,
)
from cohort_protocol.chain.transactions import Block

log = structlog.get_logger(__name__)

KEPT_ROUNDS = 2
"""Rounds of a project whose commitments and rows are kept: the running one and the one before."""


@dataclass
class RoundHistory:
    """One round. Times are unix seconds, commitments 32 bytes, CIDs 36 bytes."""

    number: int
    model: bytes
    """Commitment of the model that it starts from."""
    reveal_start: int
    reveal_end: int
    settle_end: int
    batch: dict[str, bytes] = field(default_factory=dict)
    own: dict[str, bytes] = field(default_factory=dict)
    """Posted by the trainers themselves: takes the place of the leaf in the batch."""
    rows: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    """(trainer, update commitment, CID) in order of admission."""
    refused: set[str] = field(default_factory=set)
    ended: bool = False

    def commitments(self) -> dict[str, bytes]:
        """The commitment that counts, by trainer."""
        return {**self.batch, **self.own}

    def decided(self) -> set[str]:
        """Trainers whose reveal the chain has admitted or refused."""
        return {trainer for trainer, _, _ in self.rows} | self.refused


@dataclass
class ProjectHistory:
    """One project: its newest rounds, and every model that a settled round left."""

    settled: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    """(round, model commitment, CID), oldest first."""
    rounds: dict[int, RoundHistory] = field(default_factory=dict)

    def apply(self, event: MarketEvent) -> None:
        """Takes in the next event of this project."""
        if isinstance(event, RoundOpened):
            self.rounds[event.round] = RoundHistory(
                event.round, event.model, event.reveal_start, event.reveal_end, event.settle_end
            )
            self.rounds.pop(event.round - KEPT_ROUNDS, None)
            return
        current = self.rounds.get(getattr(event, "round", 0))
        if current is None:
            return
        match event:
            case CommitsPosted():
                current.batch = {leaf.trainer: leaf.commitment for leaf in event.leaves}
            case CommittedSelf():
                current.own[event.trainer] = event.commitment
            case DeadlinesMoved():
                current.reveal_start, current.reveal_end = event.reveal_start, event.reveal_end
                current.settle_end = event.settle_end
            case UpdateAdmitted():
                current.rows.append((event.trainer, event.update, event.cid))
            case RevealRefused():
                current.refused.add(event.trainer)
            case RoundSettled():
                current.ended = True
                self.settled.append((event.round, event.model, event.model_cid))
            case RoundVoided() | RoundDefaulted():
                current.ended = True

    def settled_before(self, round: int) -> list[tuple[bytes, bytes]]:
        """(model commitment, CID) that the settled rounds before `round` left, oldest first."""
        return [(model, cid) for number, model, cid in self.settled if number < round]


class ChainHistory:
    """Follows the chain for all projects of a market. Safe under threads."""

    def __init__(self, client: ChainClient, market: Market, start_block: int = 0) -> None:
        self._client = client
        self._market = market
        self._logs = MarketLogs(client, market.address)
        self._start_block = start_block
        self._lock = threading.Lock()
        self._last: Block | None = None
        self._projects: dict[int, ProjectHistory] = {}

    def refresh(self) -> int:
        """Reads up to the head; returns its time (unix seconds). Raises `ChainUnavailable`, `LogMalformed`."""
        with self._lock:
            head = self._client.block()
            if self._is_reorganised(head):
                log.warning("chain_reorganised", block=head.number)
                self._last, self._projects = None, {}
                self._market.forget()
            first = self._start_block if self._last is None else self._last.number + 1
            if first <= head.number:
                events = self._logs.fetch(first, head.number)
                if self._client.block(head.number).hash == head.hash:
                    self._apply(events)
                    self._last = head
            return head.timestamp

    def round(self, project: int, number: int) -> tuple[ProjectHistory, RoundHistory] | None:
        """The project and one of its newest rounds, as read; None if it is not there (yet)."""
        with self._lock:
            found = self._projects.get(project)
            current = found.rounds.get(number) if found is not None else None
            return (found, current) if found is not None and current is not None else None

    def _is_reorganised(self, head: Block) -> bool:
        last = self._last
        if last is None or head.number < last.number:
            return False  # a node that is late, or a shorter chain whose next block will tell
        if head.number == last.number:
            return head.hash != last.hash
        if head.number == last.number + 1:
            return head.parent_hash != last.hash
        return self._client.block(last.number).hash != last.hash

    def _apply(self, events: Iterable[MarketEvent]) -> None:
        for event in events:
            project = getattr(event, "project", None)
            if project is not None:
                self._projects.setdefault(project, ProjectHistory()).apply(event)
