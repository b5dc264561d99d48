"""The steps of one round for one trainer, each safe to run again after a crash at any point.

What is decided stands in the journal before it leaves this machine (see `journal.py`). The service is asked first
because it is cheap; what it does not do, or not in time, this trainer does on chain itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import structlog
from cohort_protocol.chain import TransactionReverted, TransactionSender
from cohort_protocol.chain.errors import BroadcastRefused, InsufficientFunds
from cohort_protocol.chain.events import LeafSkipped, RoundOpened
from cohort_protocol.chain.packed import Batch, Opening
from cohort_protocol.commitments import commit_message, commitment, derive_salt, sign
from cohort_protocol.errors import Unavailable
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.unixfs import cid_of
from cohort_protocol.phases import Phase
from cohort_protocol.service.errors import ServiceRefused
from cohort_protocol.service.messages import CommitIntake, RevealIntake
from cohort_protocol.update import encode_update, update_size
from eth_account.signers.local import LocalAccount

from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection
from cohort_trainer.errors import RecordBroken
from cohort_trainer.journal import RoundJournal, RoundRecord
from cohort_trainer.models import ModelSource
from cohort_trainer.projects import VerifiedProject
from cohort_trainer.rounds.facts import RoundFacts, reveal_is_final
from cohort_trainer.rounds.own_reveals import own_reveal_due, usable
from cohort_trainer.rounds.seats import Seat, Seats
from cohort_trainer.rounds.training import LocalTraining

log = structlog.get_logger(__name__)

NOT_YET = {"wrong-phase", "not-found", "not-committed", "unavailable"}
"""Refusals of a service that has not indexed the newest blocks: the same request is right a moment later."""

OTHER_COMMITMENT = "commitment-differs"
"""The service has another commitment of this key for this round: it was signed elsewhere, so none is sent from here."""

SELF_REFUSED = "self-commit"
"""Begins a recorded refusal by the contract: trying again cannot help."""


def self_due(opened_at: int, commit_end: int, self_commit: int) -> int:
    """When (unix seconds) a trainer no longer waits for the service: as soon as the market takes no batch any more
    (`self_commit` seconds before tC), at the latest an eighth of the window before tC, 2 to 60 s."""
    return commit_end - max(self_commit, min(60, max(2, (commit_end - opened_at) // 8)))


@dataclass(frozen=True)
class ServiceHints:
    """What the service says that saves time. None of it is believed."""

    models: Mapping[bytes, str] = field(default_factory=dict)
    """Commitment of a model -> CID."""
    round: int = 0
    """The round that the following two speak of."""
    forgot_commit: bool = False
    """It does not know this trainer's commitment: not yet, or its database was rebuilt."""
    forgot_reveal: bool = False


class Step(StrEnum):
    """What a step left to do."""

    DONE = "done"
    """Nothing until the round moves on."""
    AGAIN = "again"
    """The same soon: somebody did not answer, or is not there yet."""


@dataclass
class RoundSteps:
    """One trainer in one project. Not for two threads."""

    connection: Connection
    project: VerifiedProject
    trainer: str
    """Address of the trainer who takes part."""
    account: LocalAccount
    """The key that signs and sends: the trainer's, or its delegate's."""
    journal: RoundJournal
    seats: Seats
    models: ModelSource
    training: LocalTraining
    sender: TransactionSender

    # --- train ------------------------------------------------------------------------------------------------------

    def train(self, facts: RoundFacts, hints: ServiceHints) -> RoundRecord:
        """The record of the round, training first if there is none.

        Raises `ModelUnavailable`, `TrainingFailed`, `UpdateMalformed`, `RecordBroken`.
        """
        assert facts.view is not None
        record = self.journal.load(facts.number)
        if record is not None:
            return record
        model, previous = self.fetch_models(facts, hints)
        log.info("training", project=self.project.id, round=facts.number, examples=len(self.training.dataset))
        update = self.training.update(facts.number, model, previous, self.training.seed)
        return self._decide(facts, update)

    def fetch_models(self, facts: RoundFacts, hints: ServiceHints) -> tuple[np.ndarray, np.ndarray | None]:
        """The round's model and the last one that differed from it (int64[d] each); None for the latter if there was
        none or the training does not read it."""
        assert facts.view is not None
        current = facts.view.model
        model = self.models.fetch(current, hints.models)
        if not self.training.needs_previous_step:
            return model, None
        config = self.connection.config
        opened = find_events(self.connection.chain, config.market, RoundOpened, [self.project.id], config.start_block)
        for event in reversed(opened):
            if event.round < facts.number and event.model != current:
                return model, self.models.fetch(event.model, hints.models)
        return model, None

    def _decide(self, facts: RoundFacts, update: np.ndarray) -> RoundRecord:
        assert facts.view is not None
        project, identity, member = self.project.id, self.project.identity, facts.member.number
        file = encode_update(update)
        update_hash, cid = self._committed(update), cid_of(self.published(file))
        promised = commitment(
            identity, project, facts.number, member, update_hash, bytes(cid), self.salt_of(facts.number)
        )
        message = commit_message(identity, project, facts.number, member, promised)
        record = RoundRecord(
            project=project,
            round=facts.number,
            trainer=self.trainer,
            member=member,
            model=to_hex(facts.view.model),
            update=to_hex(update_hash),
            cid=str(cid),
            commitment=to_hex(promised),
            signature=to_hex(sign(message, self.account)),
            train_reference=self.training.reference,
            seed=self.training.seed,
        )
        return self.journal.begin(record, file)

    def published(self, file: bytes) -> bytes:
        """What the project's readers fetch: the file of an update, or the file sealed for them."""
        return self.project.sealing.published(file, bytes(self.account.key))

    def _committed(self, update: np.ndarray) -> bytes:
        """The 32 bytes that an update is committed to by: in a proven project a point, which takes seconds for millions
        of parameters."""
        return self.project.scheme(self.connection).update(update)

    def salt_of(self, round: int) -> bytes:
        """The salt of the commitment in a round, 32 bytes: from the key, so that it cannot be lost apart from it."""
        return derive_salt(bytes(self.account.key), self.project.identity, self.project.id, round)

    # --- commit -----------------------------------------------------------------------------------------------------

    def commit(self, facts: RoundFacts, record: RoundRecord, hints: ServiceHints) -> Step:
        """Brings the commitment to the chain: through the service, or by an own transaction when the service does
        not. Raises `RecordBroken` if the round on chain is another than the one that was trained for."""
        assert facts.view is not None
        if parse_bytes32(record.model) != facts.view.model:
            raise RecordBroken(
                f"round {facts.number} of project {self.project.id} now starts from model {to_hex(facts.view.model)}, "
                f"this trainer has committed to an update of {record.model} (the chain was reorganised). A second "
                "commitment is never made: this round is sat out"
            )
        if record.committed_self:
            return Step.DONE
        batch_posted = facts.view.batch_posted
        due = self_due(facts.view.opened_at, facts.view.commit_end, self.project.terms.windows.self_commit)
        handed_in = record.committed and not (hints.forgot_commit and hints.round == record.round)
        if not handed_in and record.refusal is None and not batch_posted and facts.now < due:
            record = self._commit_by_service(record)
        if record.refusal is not None and record.refusal.startswith((OTHER_COMMITMENT, SELF_REFUSED)):
            return Step.DONE
        if batch_posted and self._is_on_chain(facts, record):
            return Step.DONE
        # Training and the service's answer may have taken a while since `facts`.
        if batch_posted or self.connection.now() >= due:
            return self._commit_self(facts, record)
        return Step.DONE if record.committed else Step.AGAIN

    def _commit_by_service(self, record: RoundRecord) -> RoundRecord:
        intake = CommitIntake(
            trainer=record.trainer,
            member=record.member,
            commitment=record.commitment,
            signature=record.signature,
        )
        try:
            self.connection.service.post_commit(record.project, record.round, intake)
        except ServiceRefused as error:
            if error.code in NOT_YET:
                log.debug("commit-not-yet", round=record.round, code=error.code)
                return record
            log.warning("commit-refused", project=record.project, round=record.round, code=error.code, why=error.detail)
            return self.journal.change(record, refusal=f"{error.code}: {error.detail}")
        except Unavailable as error:
            log.warning("commit-waits-for-service", project=record.project, round=record.round, detail=str(error))
            return record
        log.info("committed", project=record.project, round=record.round, commitment=record.commitment)
        return self.journal.change(record, committed=True)

    def _commit_self(self, facts: RoundFacts, record: RoundRecord) -> Step:
        """The path that needs nobody but the chain."""
        if self._is_on_chain(facts, record):
            self.journal.change(record, committed_self=True)
            return Step.DONE
        assert facts.view is not None
        batch = self.seats.batch(record.round, facts.view)
        log.info(
            "committing-on-chain",
            project=record.project,
            round=record.round,
            why=self._why_self(record, facts, batch),
        )
        request = self.connection.market.commit_self(
            record.project, record.round, record.member, parse_bytes32(record.commitment), batch
        )
        try:
            self.sender.execute(request, f"commit-self {record.project}/{record.round} member {record.member}")
        except TransactionReverted as error:
            log.warning("commit-impossible", project=record.project, round=record.round, why=str(error))
            self.journal.change(record, refusal=f"{SELF_REFUSED} {error.name}: {error}"[:500])
            return Step.DONE
        except (InsufficientFunds, BroadcastRefused) as error:
            log.error("commit-waits-for-chain", project=record.project, round=record.round, detail=str(error))
            return Step.AGAIN
        self.journal.change(record, committed_self=True)
        log.info("committed-on-chain", project=record.project, round=record.round, commitment=record.commitment)
        return Step.DONE

    def _why_self(self, record: RoundRecord, facts: RoundFacts, batch: Batch) -> str:
        assert facts.view is not None
        if not facts.view.batch_posted:
            return "the service is late"
        if all(leaf.member != record.member for leaf in batch.leaves):
            return "the batch left us out"
        config = self.connection.config
        events = find_events(
            self.connection.chain,
            config.market,
            LeafSkipped,
            [record.project, record.round, record.member],
            config.start_block,
            first_hit=True,
        )
        if events:
            return f"the market passed our leaf of the batch over: {events[-1].reason.name}"
        return "the batch has another commitment for us"

    def _seat(self, facts: RoundFacts) -> Seat | None:
        assert facts.view is not None
        return self.seats.of(facts.number, facts.view, facts.member.number)

    def _is_on_chain(self, facts: RoundFacts, record: RoundRecord) -> bool:
        seat = self._seat(facts)
        return seat is not None and seat.is_of(parse_bytes32(record.commitment))

    # --- reveal -----------------------------------------------------------------------------------------------------

    def reveal(self, facts: RoundFacts, record: RoundRecord, hints: ServiceHints) -> Step:
        """Publishes the update and opens the commitment. Never before the commit phase is final on chain.

        Raises `RecordBroken` if the update that was committed to is lost and cannot be made again.
        """
        forgotten = hints.forgot_reveal and hints.round == record.round
        if record.reveal_refusal is not None:
            return Step.DONE
        if record.revealed and not forgotten:
            return self._reveal_by_ourselves(facts, record)
        if not reveal_is_final(self.connection, self.project, facts):
            return Step.AGAIN
        seat = self._seat(facts)
        if seat is not None and seat.resolved:
            self.journal.change(record, revealed=True)
            return Step.DONE
        if seat is None or not seat.is_of(parse_bytes32(record.commitment)):
            why = "not-in-round: the commitment did not reach the chain in time"
            log.warning("reveal-impossible", project=record.project, round=record.round, why=why)
            self.journal.change(record, reveal_refusal=why)
            return Step.DONE
        try:
            record = self._publish(facts, record)
        except Unavailable as error:
            log.warning("reveal-waits-for-ipfs", project=record.project, round=record.round, detail=str(error))
            return Step.AGAIN
        return self._reveal_by_service(facts, record)

    def _publish(self, facts: RoundFacts, record: RoundRecord) -> RoundRecord:
        data = self._update_bytes(facts, record)
        if not record.published:
            record = self.journal.change(record, published=True)
        self.connection.store.put(self.published(data))
        return record

    def _reveal_by_service(self, facts: RoundFacts, record: RoundRecord) -> Step:
        assert facts.view is not None
        intake = RevealIntake(
            trainer=record.trainer,
            member=record.member,
            update=record.update,
            salt=to_hex(self.salt_of(record.round)),
            cid=record.cid,
        )
        try:
            self.connection.service.post_reveal(record.project, record.round, intake)
        except ServiceRefused as error:
            if error.code in NOT_YET:
                return Step.AGAIN
            log.warning("reveal-refused", project=record.project, round=record.round, code=error.code, why=error.detail)
            self.journal.change(record, reveal_refusal=f"{error.code}: {error.detail}")
            return Step.DONE
        except Unavailable as error:
            log.warning(
                "reveal-waits-for-service",
                project=record.project,
                round=record.round,
                seconds_left=facts.view.reveal_end - facts.now,
                published=record.cid,
                note="a reveal needs receipts of witnesses, who only learn of it through the service; if it stays "
                "away, this program opens the commitment itself after the phase, so the stake is safe",
                detail=str(error),
            )
            return Step.AGAIN
        self.journal.change(record, revealed=True)
        log.info("revealed", project=record.project, round=record.round, cid=record.cid)
        return Step.DONE

    def _reveal_by_ourselves(self, facts: RoundFacts, record: RoundRecord) -> Step:
        """Posts the reveal that the aggregator does not, as soon as that is late and a quorum has signed."""
        view, number, member = facts.view, record.round, record.member
        assert view is not None
        if facts.now < own_reveal_due(view.reveal_start, view.reveal_end, 0, 1):
            return Step.DONE
        seat = self._seat(facts)
        if seat is None or seat.resolved:
            return Step.DONE
        opening = Opening(member, parse_bytes32(record.update), bytes(Cid.parse(record.cid)), self.salt_of(number))
        try:
            sets = self.connection.service.receipts(record.project, number).items
        except (ServiceRefused, Unavailable) as error:
            log.warning("receipts-unavailable", project=record.project, round=number, detail=str(error))
            return Step.AGAIN
        signed = [found for one in sets if (found := usable(self.project, number, opening, one)) is not None]
        if not signed:
            return Step.AGAIN
        best = max(signed, key=lambda found: len(found.openings))
        place = best.openings.index(opening)
        if facts.now < own_reveal_due(view.reveal_start, view.reveal_end, place, len(best.openings)):
            return Step.AGAIN
        batch = self.seats.batch(number, view)
        request = self.connection.market.reveal(record.project, number, batch, best.openings, best.receipts)
        log.info("revealing-on-chain", project=record.project, round=number, updates=len(best.openings))
        try:
            self.sender.execute(request, f"reveal {record.project}/{number} {best.digest.hex()[:16]}")
        except (TransactionReverted, InsufficientFunds, BroadcastRefused) as error:
            log.warning("reveal-waits-for-chain", project=record.project, round=number, detail=str(error))
            return Step.AGAIN
        log.info("revealed-on-chain", project=record.project, round=number, updates=len(best.openings))
        return Step.DONE

    def _update_bytes(self, facts: RoundFacts, record: RoundRecord) -> bytes:
        """The file that was committed to, byte for byte; made again with the same seed if the disk lost it."""
        size = update_size(self.project.terms.dimension)
        data = self.journal.update_file(record.round, size)
        if data is not None and str(cid_of(self.published(data))) == record.cid:
            return data
        log.warning("update-lost", project=record.project, round=record.round, next="training again to compare")
        if record.train_reference != self.training.reference:
            before = record.train_reference or "the built-in function"
            raise RecordBroken(
                f"the update of round {record.round} is lost; it was trained with {before}, which is not what this "
                "process runs. Restart with the same --train"
            )
        model, previous = self.fetch_models(facts, ServiceHints())
        again = self.training.update(record.round, model, previous, record.seed)
        found = to_hex(self._committed(again))
        if found != record.update:
            raise RecordBroken(
                f"the update of round {record.round} is lost, and training again gives {found} instead of "
                f"{record.update} (other data, device or library versions): this round cannot be revealed"
            )
        data = encode_update(again)
        if (found := str(cid_of(self.published(data)))) != record.cid:
            raise RecordBroken(
                f"the update of round {record.round} is lost; the one made again is the same, but its file would be "
                f"{found} instead of {record.cid} (another version of safetensors): this round cannot be "
                "revealed"
            )
        self.journal.keep_update(record.round, data)
        return data

    # --- the end ----------------------------------------------------------------------------------------------------

    def act(self, facts: RoundFacts, hints: ServiceHints) -> Step:
        """The step that the phase asks for. Who has left still reveals what it committed to."""
        if facts.phase is Phase.COMMIT and facts.taking_part:
            return self.commit(facts, self.train(facts, hints), hints)
        if facts.phase is not Phase.REVEAL:
            return Step.DONE
        record = self.journal.load(facts.number)
        return Step.DONE if record is None else self.reveal(facts, record, hints)
