"""A trainer's commitment in a round as the chain has it: posted by itself, else its leaf of the batch."""

from __future__ import annotations

from dataclasses import dataclass, field

from cohort_protocol.chain.events import CommitsPosted
from cohort_protocol.chain.packed import Batch, CommitLeaf
from cohort_protocol.chain.types import RoundView
from cohort_protocol.commitments import ZERO32
from cohort_protocol.errors import Unavailable

from cohort_trainer.chain_events import find_events
from cohort_trainer.connection import Connection

RESOLVED = (1).to_bytes(32, "big")
"""Stands in the place of a self-posted commitment once it was resolved."""

SELF_POSTED_BYTES = 27
"""Of a self-posted commitment that the market keeps, see `IRoundViews.selfCommitOf`."""

BATCHES_KEPT = 8


class BatchUnavailable(Unavailable):
    """The node has no log of the batch whose hash the market stores. Trying again later is right."""

    code = "batch-unavailable"


_NO_BATCH = Batch()


@dataclass(frozen=True)
class Seat:
    """Where a commitment stands."""

    stored: bytes | None
    """The commitment, 32 bytes; of a self-posted one the market keeps 27. None if it is resolved and was forgotten."""
    resolved: bool
    """Admitted, refused, rescued or slashed."""
    batch: Batch = _NO_BATCH
    """What calls that speak of it must know: the batch as posted, empty for a self-posted commitment."""

    def is_of(self, commitment: bytes) -> bool:
        """Whether this commitment (32 bytes) stands here, as far as the market can tell."""
        return self.stored is not None and commitment[: len(self.stored)] == self.stored


@dataclass
class Seats:
    """Reads seats of one project. Remembers batches, which never change once they are final."""

    connection: Connection
    project: int
    _batches: dict[tuple[int, bytes], tuple[CommitLeaf, ...]] = field(default_factory=dict, repr=False)

    def of(self, round: int, view: RoundView, member: int) -> Seat | None:
        """The member's seat; None if it has no commitment that counts. Raises `BatchUnavailable`,
        `ChainUnavailable`."""
        own = self.connection.market.self_commit_of(self.project, round, member)
        if own == RESOLVED:
            return Seat(None, resolved=True)
        if own != ZERO32:
            return Seat(own[:SELF_POSTED_BYTES], resolved=False)
        batch = self.batch(round, view)
        for position, leaf in enumerate(batch.leaves):
            if leaf.member == member and view.batch_bits >> position & 1:
                return Seat(leaf.commitment, bool(view.resolved_bits >> position & 1), batch)
        return None

    def batch(self, round: int, view: RoundView) -> Batch:
        """The batch as posted, empty if none was; checked against the hash on chain. Raises `BatchUnavailable`."""
        return Batch(self._leaves(round, view), view.batch_bits) if view.batch_posted else Batch()

    def _leaves(self, round: int, view: RoundView) -> tuple[CommitLeaf, ...]:
        known = self._batches.get((round, view.batch_hash))
        if known is not None:
            return known
        config = self.connection.config
        posted = find_events(
            self.connection.chain,
            config.market,
            CommitsPosted,
            [self.project, round],
            config.start_block,
            first_hit=True,
        )
        for event in reversed(posted):
            if event.batch.hash == view.batch_hash:
                self._batches[round, view.batch_hash] = event.leaves
                for old in list(self._batches)[:-BATCHES_KEPT]:
                    del self._batches[old]
                return event.leaves
        raise BatchUnavailable(
            f"round {self.project}/{round} has a batch with hash 0x{view.batch_hash.hex()}, and the node shows "
            f"{len(posted)} logs of others: its logs are behind or incomplete"
        )
