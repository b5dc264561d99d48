"""What the chain says of the projects that a witness watches, read through its own node: no database, no service.

Events are read from the first block on, in bounded ranges, and folded into what a witness needs: who has which member
number, the commitments and rows of the newest rounds, and the line of models. If the chain is reorganised below what
was read, everything is read again; a witness is in no hurry and has little state.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog
from cohort_protocol.chain import ChainClient, Market, MarketEvent, MarketLogs
from cohort_protocol.chain.events import (
    AdmittedRow,
    CommitsPosted,
    CommittedSelf,
    DeadlinesMoved,
    MemberJoined,
    ModelDropped,
    ProjectCreated,
    PublicRowsPosted,
    RoundDefaulted,
    RoundOpened,
    RoundSettled,
    RoundVoided,
    Staked,
    UpdateRefused,
    UpdatesAdmitted,
    ValidationRevealed,
)
from cohort_protocol.chain.transactions import Block
from cohort_protocol.commitments import ZERO32
from cohort_protocol.errors import Unavailable

log = structlog.get_logger(__name__)


class HistoryBehind(Unavailable):
    """What we have read of the chain does not fit together yet: read on and look again."""

    code = "history-behind"


KEPT_ROUNDS = 2
"""Rounds of a project whose commitments and rows are kept: the running one and the one before."""


@dataclass
class RoundHistory:
    """One round. Times are unix seconds, commitments 32 bytes, CIDs 36 bytes; trainers by member number."""

    number: int
    model: bytes
    """Commitment of the model that it starts from."""
    reveal_start: int
    reveal_end: int
    batch: dict[int, bytes] = field(default_factory=dict)
    """Leaves of the batch that count."""
    own: dict[int, bytes] = field(default_factory=dict)
    """Posted by the trainers themselves: takes the place of the leaf in the batch."""
    admissions: list[tuple[AdmittedRow, ...]] = field(default_factory=list)
    """For each call of `reveal` that admitted any, in order, the rows that it admitted."""
    refused: set[int] = field(default_factory=set)
    validation: bytes = ZERO32
    """Digest of the validation batch; zeros: not revealed."""
    public_rows: bytes = ZERO32
    """Commitment of the public rows; zeros: none posted."""
    ended: bool = False

    def commitments(self) -> dict[int, bytes]:
        """The commitment that counts, by member."""
        return {**self.batch, **self.own}

    @property
    def rows(self) -> list[AdmittedRow]:
        """In order of admission."""
        return [row for admitted in self.admissions for row in admitted]

    def decided(self) -> set[int]:
        """Members whose opening the chain has admitted or refused."""
        return {row.member for row in self.rows} | self.refused


@dataclass
class ProjectHistory:
    """One project: its members, its newest rounds, and every model that a settled round left."""

    guard: int = 0
    """Seconds from tC to the first reveal, from the terms."""
    trainers: dict[int, str] = field(default_factory=dict)
    """Address by member number: given once and for ever."""
    settled: list[tuple[int, bytes, bytes]] = field(default_factory=list)
    """(round, model commitment, CID) of every settled round whose model was not dropped, oldest first."""
    rounds: dict[int, RoundHistory] = field(default_factory=dict)
    facts: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    """(digest of the validation batch, commitment of the public rows) by round, zeros where there is none."""

    def apply(self, event: MarketEvent) -> None:
        """Takes in the next event of this project."""
        match event:
            case ProjectCreated():
                self.guard = event.terms.windows.guard
            case MemberJoined() | Staked():
                self.trainers[event.member] = event.trainer
            case ModelDropped():
                # The newest settlement's: only one model can be waiting for receipts.
                if self.settled and self.settled[-1][1] == event.model:
                    self.settled.pop()
            case RoundOpened():
                self.rounds[event.round] = RoundHistory(
                    event.round, event.model, event.commit_end + self.guard, event.reveal_end
                )
                self.rounds.pop(event.round - KEPT_ROUNDS, None)
            case _:
                current = self.rounds.get(getattr(event, "round", 0))
                if current is not None:
                    self._apply_to(current, event)

    def _apply_to(self, current: RoundHistory, event: MarketEvent) -> None:
        match event:
            case CommitsPosted():
                current.batch = event.batch.counting()
            case CommittedSelf():
                current.own[event.member] = event.commitment
            case DeadlinesMoved():
                current.reveal_start, current.reveal_end = event.commit_end + self.guard, event.reveal_end
            case UpdatesAdmitted():
                current.admissions.append(event.rows)
            case UpdateRefused():
                current.refused.add(event.member)
            case ValidationRevealed():
                current.validation = event.digest
                self.facts[current.number] = (current.validation, current.public_rows)
            case PublicRowsPosted():
                current.public_rows = event.rows
                self.facts[current.number] = (current.validation, current.public_rows)
            case RoundSettled():
                current.ended = True
                self.settled.append((event.round, event.next_model.commitment, event.next_model.cid))
            case RoundVoided() | RoundDefaulted():
                current.ended = True

    def settled_before(self, round: int) -> list[tuple[bytes, bytes]]:
        """(model commitment, CID) that the settled rounds before `round` left, oldest first."""
        return [(model, cid) for number, model, cid in self.settled if number < round]

    def facts_before(self, round: int) -> list[tuple[int, bytes, bytes]]:
        """(round, validation batch, public rows) of the rounds before `round` that had any, in order."""
        return [(number, *self.facts[number]) for number in sorted(self.facts) if number < round]

    def admissions_of(self, current: RoundHistory) -> list[list[tuple[int, str, bytes, bytes]]]:
        """(member, trainer, update commitment, CID) of the rows that each call of `reveal` admitted, in order."""
        return [
            [(row.member, self.trainers[row.member], row.update, row.cid) for row in admitted]
            for admitted in current.admissions
        ]


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

    def project(self, project: int) -> ProjectHistory | None:
        """A project as read; None if it is not there (yet)."""
        with self._lock:
            return self._projects.get(project)

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
