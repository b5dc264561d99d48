"""Keeping the stake safe: every commitment of ours is opened on chain in one way or another.

What witnesses admitted or refused is opened. For the rest there is a rescue window after the reveals, in which the
trainer opens its commitment itself; it needs nobody for that, and no published bytes. Only what nobody opened can be
slashed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import structlog
from cohort_protocol.chain.errors import BroadcastRefused, InsufficientFunds, TransactionReverted
from cohort_protocol.chain.events import RevealSkipped, UpdateRescued, decode_receipt
from cohort_protocol.chain.packed import Opening
from cohort_protocol.chain.sender import TransactionSender
from cohort_protocol.chain.types import RoundView, SkipReason
from cohort_protocol.commitments import commitment
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.phases import Phase
from cohort_protocol.update import CodecError, decode_update, update_size

from cohort_trainer.connection import Connection
from cohort_trainer.durations import moment
from cohort_trainer.errors import RecordBroken
from cohort_trainer.journal import RoundJournal
from cohort_trainer.projects import VerifiedProject
from cohort_trainer.rounds.facts import RoundFacts
from cohort_trainer.rounds.seats import Seat, Seats

log = structlog.get_logger(__name__)


class Fate(StrEnum):
    """What has become of a commitment, as far as the stake is concerned."""

    RESOLVED = "resolved"
    """Admitted, refused, rescued or slashed: the chain's events say which."""
    RESCUED = "rescued"
    """Opened by us after the reveal phase: no pay, the stake is safe."""
    NOT_ON_CHAIN = "not-on-chain"
    """It never got there, so there is nothing to slash."""
    NO_REVEALS = "no-reveals"
    """The round ended for want of commitments: nobody had to open anything."""
    TOO_LATE = "too-late"
    """The rescue window is over: it can be slashed for a while."""
    LOST = "lost"
    """We cannot open it: what it opens to is lost."""


@dataclass
class StakeGuard:
    """Watches over the commitments of one trainer in one project until each has its fate. Not for two threads."""

    connection: Connection
    project: VerifiedProject
    journal: RoundJournal
    seats: Seats
    sender: TransactionSender
    salt_of: Callable[[int], bytes]
    """Round -> salt (32 bytes)."""
    published: Callable[[bytes], bytes]
    """The file of an update -> the file that is on IPFS, sealed in a private project."""
    open: set[int] = field(default_factory=set)
    """Rounds whose commitment may still have to be opened."""

    def recall(self) -> None:
        """Takes up what an earlier run left open. A round whose record is damaged counts: its commitment may be out."""
        for number in self.journal.rounds():
            try:
                record = self.journal.load(number)
            except RecordBroken:
                self.open.add(number)
                continue
            if record is not None and record.fate is None:
                self.open.add(number)

    def look(self, facts: RoundFacts) -> bool:
        """Does what is due; whether something is left to be tried again soon.

        Raises `ChainUnavailable`, `BatchUnavailable`.
        """
        again = False
        for number in sorted(self.open):
            if number == facts.number and facts.phase in (Phase.COMMIT, Phase.GUARD, Phase.REVEAL):
                continue
            fate = self._fate(number, facts)
            if fate is None:
                again = True
                continue
            self.open.discard(number)
            self._note(number, fate)
        return again

    def _fate(self, number: int, facts: RoundFacts) -> Fate | None:
        """None while it is not decided."""
        project = self.project.id
        newest = number == facts.number and facts.view is not None
        view = facts.view if newest else self.connection.market.round_of(project, number, "pending")
        assert view is not None
        if view.opened_at == 0 or view.unresolved == 0:
            return Fate.RESOLVED
        if view.commits < self.project.terms.min_trainers:
            return Fate.NO_REVEALS
        seat = self.seats.of(number, view, facts.member.number)
        if seat is None:
            return Fate.NOT_ON_CHAIN
        if seat.resolved:
            return Fate.RESOLVED
        if facts.now >= view.rescue_end:
            log.error(
                "stake-in-danger",
                project=project,
                round=number,
                why="the commitment was not opened before the rescue window ended; the stake can be slashed until "
                + moment(view.slash_end, facts.now),
            )
            return Fate.TOO_LATE
        return self._rescue(number, facts, view, seat)

    def _rescue(self, number: int, facts: RoundFacts, view: RoundView, seat: Seat) -> Fate | None:
        project, member = self.project.id, facts.member.number
        where = {"project": project, "round": number, "rescue_end": moment(view.rescue_end, facts.now)}
        opening = self._opening(number, member, seat)
        if opening is None:
            log.error("rescue-impossible", **where, why="neither record nor update file opens the commitment on chain")
            return Fate.LOST
        request = self.connection.market.rescue(project, number, seat.batch, [opening])
        try:
            receipt = self.sender.execute(request, f"rescue {project}/{number} member {member}")
        except (TransactionReverted, InsufficientFunds, BroadcastRefused) as error:
            log.error("rescue-waits", **where, detail=str(error), next="trying again until the window ends")
            return None
        for event in decode_receipt(receipt, self.connection.market.address):
            if isinstance(event, UpdateRescued) and event.member == member:
                log.info("rescued", project=project, round=number, note="opened by us: no pay, the stake is safe")
                return Fate.RESCUED
            if isinstance(event, RevealSkipped) and event.reason is not SkipReason.ALREADY_RESOLVED:
                log.error("rescue-impossible", **where, why=f"the market skipped it: {event.reason.name}")
                return Fate.LOST
        return Fate.RESOLVED

    def _opening(self, number: int, member: int, seat: Seat) -> Opening | None:
        """From the record, else from the update file; only if it opens the commitment on chain."""
        for update, cid in self._candidates(number):
            salt = self.salt_of(number)
            found = commitment(self.project.identity, self.project.id, number, member, update, cid, salt)
            if seat.is_of(found):
                return Opening(member, update, cid, salt)
        return None

    def _candidates(self, number: int):
        try:
            record = self.journal.load(number)
            if record is not None:
                yield parse_bytes32(record.update), bytes(Cid.parse(record.cid))
        except RecordBroken as error:
            log.warning("record-broken", round=number, why=str(error), next="trying the update file")
        dimension = self.project.terms.dimension
        data = self.journal.update_file(number, update_size(dimension))
        if data is None:
            return
        try:
            scheme = self.project.scheme(self.connection)
            yield scheme.update(decode_update(data, dimension)), bytes(cid_of(self.published(data)))
        except CodecError as error:
            log.warning("update-file-broken", round=number, why=str(error))

    def _note(self, number: int, fate: Fate) -> None:
        try:
            record = self.journal.load(number)
        except RecordBroken:
            return
        if record is not None:
            self.journal.change(record, fate=fate.value)
