"""The owner's validation batches: made when a project is planned, kept at home, shown one per round.

They live under `batches/<root>/` in the owner's home: `cards.json` and a file per round. Nothing of them is published
before the commit phase of their round is over. A round whose batch is lost, or not revealed in time, is judged by the
agreement alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import structlog
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.types import RoundView
from cohort_protocol.commitments import ZERO32
from cohort_protocol.errors import InvalidInput, Unavailable
from cohort_protocol.identifiers import to_hex
from cohort_protocol.learning.batches import (
    MAX_BATCH_BYTES,
    BatchCard,
    BatchTree,
    card_of,
    default_batch_size,
    draw_batches,
    encode_batch,
    fresh_batches,
)
from cohort_protocol.learning.data import Dataset
from cohort_protocol.phases import Phase
from cohort_protocol.service.errors import ServiceError

from cohort_trainer.actor import Actor
from cohort_trainer.durable_files import read_bounded, write_durably
from cohort_trainer.errors import BatchesMissing, OwnerInputInvalid
from cohort_trainer.home import Home

log = structlog.get_logger(__name__)

MAX_CARDS_BYTES = 4 * 2**20
LOOK_SECONDS = 1.0
"""Between two looks at a round whose commit phase is not final."""
WATCH_WAIT = 20.0


@dataclass(frozen=True)
class BatchPlan:
    """The batches of a project to be created. The same examples, rounds, size and seed give the same batches."""

    examples: Dataset
    rounds: int
    size: int
    seed: int
    cards: tuple[BatchCard, ...]

    @property
    def root(self) -> bytes:
        """For the terms, 32 bytes."""
        return BatchTree([card.digest for card in self.cards]).root

    @property
    def fresh(self) -> int:
        """Rounds whose batch shows nothing that an earlier one showed."""
        return min(self.rounds, fresh_batches(len(self.examples), self.size))

    def keep(self, home: Home) -> None:
        """Writes the batches into the owner's home. The same again changes nothing."""
        folder = batches_folder(home, self.root)
        drawn = draw_batches(self.examples, self.rounds, self.size, self.seed)
        for number, batch in enumerate(drawn, 1):
            write_durably(folder / f"{number}.batch", encode_batch(batch))
        write_durably(folder / "cards.json", json.dumps([card.to_bytes().decode() for card in self.cards]).encode())


def plan_batches(examples: Dataset, rounds: int, size: int | None, seed: int) -> BatchPlan:
    """Draws the batches once, for their cards. size: examples in each; None: as many as `default_batch_size` says.

    Raises `OwnerInputInvalid`."""
    size = default_batch_size(len(examples), rounds) if size is None else size
    try:
        drawn = draw_batches(examples, rounds, size, seed)
        cards = tuple(card_of(batch, number) for number, batch in enumerate(drawn, 1))
    except InvalidInput as error:
        raise OwnerInputInvalid(f"the validation data: {error}") from error
    return BatchPlan(examples, rounds, size, seed, cards)


def batches_folder(home: Home, root: bytes) -> Path:
    """Where the batches under a root (32 bytes) are kept."""
    return home.root / "batches" / root.hex()


class KeptBatches:
    """The batches of a project in its owner's home."""

    def __init__(self, home: Home, root: bytes) -> None:
        """Raises `BatchesMissing` if the home does not hold those that the root stands for."""
        self._folder = batches_folder(home, root)
        data = read_bounded(self._folder / "cards.json", MAX_CARDS_BYTES)
        if data is None:
            raise BatchesMissing(
                f"{self._folder} holds no batches: take the home that created the project, or a backup of it. Rounds "
                "without a batch are judged by agreement alone"
            )
        try:
            self.cards = [BatchCard.from_bytes(text.encode()) for text in json.loads(data)]
            self.tree = BatchTree([card.digest for card in self.cards])
        except (ValueError, AttributeError, TypeError, RecursionError, InvalidInput) as error:
            raise BatchesMissing(f"{self._folder / 'cards.json'} cannot be read: {error}") from error
        if self.tree.root != root:
            raise BatchesMissing(f"{self._folder} holds batches of another root, {to_hex(self.tree.root)}")

    def content(self, round: int) -> tuple[BatchCard, bytes]:
        """Card and file of a round's batch. Raises `BatchesMissing`."""
        if not 1 <= round <= len(self.cards):
            raise BatchesMissing(f"round {round} has no batch: there are {len(self.cards)}")
        path = self._folder / f"{round}.batch"
        data = read_bounded(path, MAX_BATCH_BYTES)
        if data is None:
            raise BatchesMissing(f"there is no {path}: the batch of round {round} is lost")
        return self.cards[round - 1], data


@dataclass(frozen=True)
class RevealedBatch:
    """A batch that was shown."""

    project: int
    round: int
    digest: bytes
    examples: int
    cid: str


class BatchRevealer:
    """Shows the batches of one project, each when nobody can commit any more. Safe to run again at any time."""

    def __init__(self, actor: Actor, project: int) -> None:
        """Raises `UnknownProject`, `BatchesMissing`."""
        self._actor = actor
        self._connection = actor.connection
        self._project = project
        terms = self._connection.market.terms_of(project)
        if terms.validation_root == ZERO32:
            raise BatchesMissing(f"project {project} has no validation batches: it is judged by agreement alone")
        self._rounds = terms.rounds
        self._batches = KeptBatches(actor.home, terms.validation_root)

    def reveal(self) -> RevealedBatch | None:
        """Shows the batch of the newest round if it is due; None if it is not, or was shown.

        First the files, then the transaction: whoever sees the digest can fetch what it stands for. Raises
        `BatchesMissing`, `TransactionReverted`, `Unavailable`."""
        market, project = self._connection.market, self._project
        number = market.progress_of(project).round
        view = market.round_of(project, number, "pending") if number else None
        if view is None or view.validation != ZERO32 or not self._is_final(number, view):
            return None
        card, content = self._batches.content(number)
        if (cid := str(self._connection.store.put(content))) != card.cid:
            raise BatchesMissing(f"the file of round {number}'s batch has CID {cid}, its card says {card.cid}")
        self._connection.store.put(card.to_bytes())
        request = market.reveal_validation(project, number, card.digest, self._batches.tree.proof(number))
        self._actor.sender.execute(request, f"batch of {project}/{number}")
        log.info("batch-revealed", project=project, round=number, examples=card.examples, cid=card.cid)
        return RevealedBatch(project, number, card.digest, card.examples, card.cid)

    def watch(self, tell: Callable[[RevealedBatch], None]) -> None:
        """Shows every batch when it is due, until the project is finished. Outages are waited out."""
        version = -1
        while True:
            try:
                if self.finished():
                    return
                if (shown := self.reveal()) is not None:
                    tell(shown)
                version = self._wait(version)
            except Unavailable as error:
                log.warning("waiting", project=self._project, detail=str(error))
                sleep(LOOK_SECONDS)
            except (BatchesMissing, TransactionReverted) as error:
                # This round is judged without its batch, or somebody else has shown it.
                log.warning("batch-not-revealed", project=self._project, code=error.code, detail=str(error))
                sleep(LOOK_SECONDS)

    def finished(self) -> bool:
        """Whether no further round will open."""
        progress = self._connection.market.progress_of(self._project)
        if progress.round < self._rounds and not progress.ended:
            return False
        view = self._connection.market.round_of(self._project, progress.round, "pending") if progress.round else None
        return view is None or view.phase.terminal

    def _wait(self, version: int) -> int:
        """Until the service has news; without it, a moment. The version that it is at."""
        try:
            state = self._connection.service.state(self._project, version, WATCH_WAIT if version >= 0 else 0.0)
        except ServiceError as error:
            log.warning("service-unavailable", detail=str(error), next="looking at the chain alone")
            sleep(LOOK_SECONDS)
            return -1
        due = state.round is not None and state.round.phase in (Phase.GUARD, Phase.REVEAL)
        if due and state.round is not None and state.round.validation is None:
            sleep(LOOK_SECONDS if state.version == version else 0.0)  # not final yet, or not indexed
        return state.version

    def _is_final(self, number: int, view: RoundView) -> bool:
        """Whether the batch is due and the end of the commit phase lies too deep for a reorg to reopen it: whoever sees
        the batch and can still commit sends its gradient."""
        due = (Phase.GUARD, Phase.REVEAL)
        depth = self._connection.config.confirmations
        if view.phase not in due or depth == 0:
            return view.phase in due
        ref = self._connection.chain.block_number() - depth
        if ref < self._connection.config.start_block:
            return False
        if self._connection.market.progress_of(self._project, ref).round < number:
            return False
        return self._connection.market.round_of(self._project, number, ref).phase in due
