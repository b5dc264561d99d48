"""A project as its events tell it, sorted by round."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from cohort_protocol.chain.events import (
    Claimed,
    CommitsPosted,
    CommittedSelf,
    DelegateChanged,
    LogPosition,
    LossRecorded,
    MarketEvent,
    MemberJoined,
    ModelDropped,
    ModelPending,
    ModelReceipted,
    ProjectCreated,
    PublicRowsPosted,
    RoundDefaulted,
    RoundOpened,
    RoundSettled,
    RoundVoided,
    Staked,
    UpdatesAdmitted,
    ValidationRevealed,
)
from cohort_protocol.chain.packed import AdmittedRow
from cohort_protocol.chain.types import ZERO_ADDRESS
from cohort_protocol.commitments import ZERO32

Kind = TypeVar("Kind", bound=MarketEvent)

ENDS = (RoundSettled, RoundVoided, RoundDefaulted)
_OF_A_MODEL = (ModelPending, ModelReceipted, ModelDropped)


class Posted(NamedTuple):
    """A commitment that counts, and where it was posted."""

    commitment: bytes
    at: LogPosition
    by_trainer: bool
    """By the trainer or its delegate in a call of its own; else in the aggregator's batch."""


@dataclass
class RoundRecord:
    """The events of one round, in the order of the chain."""

    number: int
    events: list[MarketEvent] = field(default_factory=list)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    def one(self, kind: type[Kind]) -> Kind | None:
        """The first of its kind: no round has two of those that this is asked for, which `events` checks."""
        return next((event for event in self.events if isinstance(event, kind)), None)

    @property
    def opened(self) -> RoundOpened | None:
        return self.one(RoundOpened)

    @property
    def settled(self) -> RoundSettled | None:
        return self.one(RoundSettled)

    @property
    def end(self) -> RoundSettled | RoundVoided | RoundDefaulted | None:
        return next((event for event in self.events if isinstance(event, ENDS)), None)

    @property
    def outcome(self) -> str:
        """`settled`, `void`, `defaulted` or `running`."""
        words = {RoundSettled: "settled", RoundVoided: "void", RoundDefaulted: "defaulted"}
        return words[type(self.end)] if self.end is not None else "running"

    @property
    def admissions(self) -> list[tuple[AdmittedRow, ...]]:
        """For each call of `reveal` that admitted any, in order, the rows that it admitted."""
        return [event.rows for event in self.of(UpdatesAdmitted)]

    @property
    def rows(self) -> list[AdmittedRow]:
        """In order of admission."""
        return [row for admitted in self.admissions for row in admitted]

    @property
    def validation(self) -> bytes:
        """Digest of the batch, zeros: none."""
        found = self.one(ValidationRevealed)
        return found.digest if found is not None else ZERO32

    @property
    def public_rows(self) -> bytes:
        """Their commitment, zeros: none."""
        found = self.one(PublicRowsPosted)
        return found.rows if found is not None else ZERO32

    def commitments(self) -> dict[int, Posted]:
        """Member -> the commitment that counts; one's own posting replaces the leaf of the batch."""
        found = {
            member: Posted(commitment, event.at, False)
            for event in self.of(CommitsPosted)
            for member, commitment in event.batch.counting().items()
        }
        return found | {event.member: Posted(event.commitment, event.at, True) for event in self.of(CommittedSelf)}

    def pays(self) -> list[int]:
        """Pay of each row, base units; empty while the round runs."""
        match self.end:
            case RoundSettled() as settled:
                return [row.pay for row in settled.rows]
            case RoundVoided() | RoundDefaulted() as closed:
                return [closed.share] * len(closed.members)
            case _:
                return []


class Delegation(NamedTuple):
    """From where on somebody may commit for a member."""

    at: LogPosition
    delegate: str


@dataclass
class ProjectRecord:
    """Everything that the market said about one project."""

    number: int
    events: list[MarketEvent] = field(default_factory=list)
    created: ProjectCreated | None = None
    rounds: dict[int, RoundRecord] = field(default_factory=dict)
    trainers: dict[int, str] = field(default_factory=dict)
    """Address by member number: given once and for ever."""
    delegations: dict[str, list[Delegation]] = field(default_factory=dict)
    """By trainer, in order."""
    claims: list[Claimed] = field(default_factory=list)
    losses: list[LossRecorded] = field(default_factory=list)
    models: list[MarketEvent] = field(default_factory=list)
    """What became of models that waited for receipts, in order."""

    @classmethod
    def of(cls, number: int, events: Iterable[MarketEvent]) -> ProjectRecord:
        """From a market's events, in order; those of other projects are passed over."""
        record = cls(number)
        for event in events:
            if getattr(event, "project", None) == number:
                record._take(event)
        return record

    def _take(self, event: MarketEvent) -> None:
        self.events.append(event)
        if isinstance(event, _OF_A_MODEL):
            self.models.append(event)
        match event:
            case ProjectCreated():
                self.created = self.created or event
            case MemberJoined() | Staked():
                self.trainers.setdefault(event.member, event.trainer)
            case DelegateChanged():
                self.delegations.setdefault(event.trainer, []).append(Delegation(event.at, event.delegate))
            case Claimed():
                self.claims.append(event)
            case LossRecorded():
                self.losses.append(event)
        round = getattr(event, "round", None)
        if round is not None:
            self.rounds.setdefault(round, RoundRecord(round)).events.append(event)

    def ordered(self) -> list[RoundRecord]:
        """Rounds by number."""
        return [self.rounds[number] for number in sorted(self.rounds) if self.rounds[number].opened is not None]

    def signers_at(self, trainer: str, at: LogPosition) -> tuple[str, ...]:
        """Whose signature counted for the trainer when the log at `at` was written: its own, and its delegate's."""
        known = [one for one in self.delegations.get(trainer, []) if one.at[:2] < at[:2]]
        if not known or known[-1].delegate == ZERO_ADDRESS:
            return (trainer,)
        return (trainer, known[-1].delegate)

    def settled_before(self, round: int) -> list[RoundSettled]:
        """The settlements of earlier rounds whose model was not dropped, oldest first."""
        kept: list[RoundSettled] = []
        for event in self.events:
            if isinstance(event, RoundOpened) and event.round >= round:
                break
            if isinstance(event, RoundSettled):
                kept.append(event)
            elif isinstance(event, ModelDropped) and kept and kept[-1].next_model.commitment == event.model:
                kept.pop()  # the newest settlement's: only one model can be waiting for receipts
        return kept

    def facts_before(self, round: int) -> list[tuple[int, bytes, bytes]]:
        """(round, validation batch, public rows) of the earlier rounds that had any, in order."""
        return [
            (record.number, record.validation, record.public_rows)
            for record in self.ordered()
            if record.number < round and (record.validation, record.public_rows) != (ZERO32, ZERO32)
        ]
