"""What happened in a project, from the chain's events alone, sorted by round and with addresses for member numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from cohort_protocol.chain.events import (
    AdmittedRow,
    Claimed,
    CommitsPosted,
    CommittedSelf,
    LossRecorded,
    MarketEvent,
    MarketLogs,
    MemberJoined,
    RoundDefaulted,
    RoundSettled,
    RoundVoided,
    Staked,
    UpdatesAdmitted,
)
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.types import Record
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.standing import reliability

Kind = TypeVar("Kind", bound=MarketEvent)


class RowOutcome(NamedTuple):
    """What one row of a closed round got."""

    member: int
    reason: int
    score: int
    pay: int


@dataclass
class RoundEvents:
    """The events of one round, in the order of the chain."""

    number: int
    events: list[MarketEvent] = field(default_factory=list)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def commitments(self) -> dict[int, bytes]:
        """Member -> the commitment that counts; one's own posting replaces the leaf of the batch."""
        found = {
            member: commitment
            for event in self.of(CommitsPosted)
            for member, commitment in event.batch.counting().items()
        }
        return found | {event.member: event.commitment for event in self.of(CommittedSelf)}

    def admitted(self) -> list[AdmittedRow]:
        """In order of admission."""
        return [row for event in self.of(UpdatesAdmitted) for row in event.rows]

    def outcomes(self) -> list[RowOutcome]:
        """Of every row, in order of admission; empty while the round runs."""
        members = [row.member for row in self.admitted()]
        for event in self.of(RoundSettled):
            return [
                RowOutcome(member, row.reason, row.score, row.pay)
                for member, row in zip(members, event.rows, strict=True)
            ]
        for event in (*self.of(RoundVoided), *self.of(RoundDefaulted)):
            return [RowOutcome(member, 0, 0, event.share) for member in event.members]
        return []


@dataclass(frozen=True)
class History:
    """A project's events by round, and who its members are."""

    project: int
    owner: str
    dimension: int
    initial_model_cid: str
    rounds: list[RoundEvents]
    trainers: Mapping[int, str]
    """Member number -> address, of all who ever joined or were staked for."""
    joined: list[str]
    """Addresses of all trainers who ever joined, in order."""
    claims: Mapping[str, list[Claimed]]

    @classmethod
    def read(cls, market: Market, project: int, initial_model_cid: str) -> History:
        """All events of a project up to the newest block."""
        client = market.client
        rounds: dict[int, RoundEvents] = {}
        trainers: dict[int, str] = {}
        joined: list[str] = []
        claims: dict[str, list[Claimed]] = defaultdict(list)
        for event in MarketLogs(client, market.address).fetch(0, client.block_number()):
            if getattr(event, "project", None) != project:
                continue
            if isinstance(event, MemberJoined | Staked):
                trainers[event.member] = event.trainer
                if isinstance(event, MemberJoined) and event.trainer not in joined:
                    joined.append(event.trainer)
            elif isinstance(event, Claimed):
                claims[trainers[event.member]].append(event)
            elif (number := getattr(event, "round", None)) is not None:
                rounds.setdefault(number, RoundEvents(number)).events.append(event)
        ordered = [rounds[number] for number in sorted(rounds)]
        owner, dimension = market.owner_of(project), market.terms_of(project).dimension
        return cls(project, owner, dimension, initial_model_cid, ordered, trainers, joined, dict(claims))

    def closed(self) -> list[RoundEvents]:
        """Rounds that are over, in order."""
        ends = (RoundSettled, RoundVoided, RoundDefaulted)
        return [entry for entry in self.rounds if any(isinstance(event, ends) for event in entry.events)]

    def model_cids(self) -> dict[int, str]:
        """Round -> CID of the model that it left behind; a round that nobody settled leaves the one before."""
        current, found = self.initial_model_cid, {}
        for entry in self.closed():
            for event in entry.of(RoundSettled):
                current = str(Cid.from_bytes(event.next_model.cid))
            found[entry.number] = current
        return found

    def earned(self) -> dict[str, int]:
        """Trainer -> sum of pay, claimed or not."""
        total: dict[str, int] = defaultdict(int)
        for entry in self.closed():
            for row in entry.outcomes():
                total[self.trainers[row.member]] += row.pay
        return dict(total)


class Standings:
    """Everybody's reliability by one project alone, brought forward round by round."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._records = dict.fromkeys(history.trainers, Record())
        self._losses: dict[str, int] = defaultdict(int)

    def after(self, entry: RoundEvents) -> dict[str, int]:
        """Trainer -> basis points after this round; rounds are given in order."""
        for settled in entry.of(RoundSettled):
            for row, admitted in zip(settled.rows, entry.admitted(), strict=True):
                self._records[admitted.member] = row.record
        for event in entry.of(LossRecorded):
            self._losses[event.trainer] = event.total
        return {
            trainer: reliability([(self._history.owner, self._records[number].credit)], self._losses[trainer])
            for number, trainer in self._history.trainers.items()
        }
