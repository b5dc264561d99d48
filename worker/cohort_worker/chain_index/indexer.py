"""Reads the market's events into the database: in bounded ranges, in order, each exactly once, reorgs taken back.

The cursor names the newest block whose events are in the projection, with its hash. A range is fetched without any
database lock, checked to belong to one chain, and applied in one transaction that first checks that the cursor is
still where it was. So any number of indexers may run at once, and one that dies in the middle has changed nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from cohort_backend.chain import projection, repository
from cohort_backend.database import Database
from cohort_backend.jobs.service import enqueue_advance
from cohort_protocol.chain import ChainClient, Market, MarketLogs, TransactionReceipt, TransactionReverted
from cohort_protocol.chain.errors import NoContract
from cohort_protocol.chain.events import Claimed, MarketEvent
from cohort_protocol.chain.transactions import Block

from cohort_worker.chain_index import reorg

log = structlog.get_logger(__name__)

MAX_RANGE = 2000
"""Blocks asked for at once. Public nodes allow 1,000 to 10,000; smaller ones make `MarketLogs` split the range."""

PRUNE_EVERY = 256
"""Blocks between two prunings of the blocks remembered for reorgs."""


@dataclass(frozen=True)
class _Range:
    """What happened in the blocks (after, last], as one chain tells it."""

    after_number: int
    after_hash: bytes | None
    last: Block
    events: Sequence[MarketEvent]
    blocks: Sequence[Block]
    """Those with events."""
    receipts: Sequence[TransactionReceipt]


class ChainIndexer:
    """Keeps the projection at the head of the chain. Safe under threads and processes.

    confirmations: blocks on top of a block before it is read; 0 follows the head and relies on taking reorgs back.
    """

    def __init__(
        self,
        database: Database,
        client: ChainClient,
        market: str,
        *,
        start_block: int = 0,
        confirmations: int = 0,
        max_range: int = MAX_RANGE,
    ) -> None:
        self._database = database
        self._client = client
        self._market = market
        self._logs = MarketLogs(client, market, max_range)
        self._start_block = start_block
        self._confirmations = confirmations
        self._max_range = max_range
        self._one_at_a_time = threading.Lock()
        self._started = False

    def catch_up(self) -> set[int]:
        """Reads up to the head of the chain; returns the projects that changed, for each of which a job to look at it
        was queued in the same transaction. Does nothing but one question to the node if nothing happened.

        Raises `ChainUnavailable`, `DatabaseUnavailable` (both: try again), `LogMalformed`, `NoContract`,
        `OtherMarket`.
        """
        with self._one_at_a_time:
            self._start()
            touched: set[int] = set()
            while True:
                head = self._client.block()
                if reorg.is_reorganised(self._database, self._client, head):
                    touched |= reorg.rewind(self._database, self._client, head)
                    continue
                found = self._fetch_next(head)
                if found is None:
                    return touched
                touched |= self._apply(found)

    def _start(self) -> None:
        if self._started:
            return
        chain_id = self._client.check()
        self._client.require_code(self._market)
        slash_window = self._slash_window()
        with self._database.write() as session:
            repository.start_cursor(
                session,
                chain_id=chain_id,
                market=self._market,
                start_block=self._start_block,
                slash_window=slash_window,
            )
        self._started = True

    def _slash_window(self) -> int:
        """Seconds, of the deployment: times of a round follow from it, and no event says it. Raises `NoContract`."""
        try:
            return Market(self._client, self._market).profile().slash_window
        except TransactionReverted as error:
            raise NoContract(
                f"the contract at {self._market} is no market (its profile was asked for): check COHORT_MARKET"
            ) from error

    def _fetch_next(self, head: Block) -> _Range | None:
        """The next range, or None if there is nothing to read or the chain changed while it was read."""
        with self._database.read() as session:
            cursor = repository.cursor(session)
            assert cursor is not None, "made by _start"
            number, hash = cursor.block_number, cursor.block_hash
        last_number = min(head.number - self._confirmations, number + self._max_range)
        if last_number <= number:
            return None
        last = head if last_number == head.number else self._client.block(last_number)
        events = self._logs.fetch(number + 1, last_number)
        blocks: list[Block] = []
        for event_number, event_hash in {event.at.block_number: event.at.block_hash for event in events}.items():
            block = last if event_number == last_number else self._client.block(event_number)
            if block.hash != event_hash:
                return None  # reorganised meanwhile: the next round recognises it
            blocks.append(block)
        receipts = self._receipts(events)
        # Asked last: if this block is still there, all of the above is of one chain.
        if (events or last is not head) and self._client.block(last_number).hash != last.hash:
            return None
        return _Range(number, hash, last, events, blocks, receipts)

    def _receipts(self, events: Sequence[MarketEvent]) -> list[TransactionReceipt]:
        """What the transactions that moved rounds have cost, as far as we do not know it yet."""
        hashes = {
            event.at.transaction_hash: None
            for event in events
            if getattr(event, "round", None) is not None and not isinstance(event, Claimed)
        }
        if not hashes:
            return []
        with self._database.read() as session:
            known = repository.known_receipts(session, list(hashes))
        found = (self._client.receipt(hash) for hash in hashes if hash not in known)
        return [receipt for receipt in found if receipt is not None]

    def _apply(self, found: _Range) -> set[int]:
        started = time.monotonic()
        last = found.last
        with self._database.write() as session:
            cursor = repository.lock_cursor(session)
            if (cursor.block_number, cursor.block_hash) != (found.after_number, found.after_hash):
                return set()  # another indexer was faster
            touched = projection.apply_events(session, found.events)
            for block in found.blocks:
                repository.remember_block(session, number=block.number, hash=block.hash, timestamp=block.timestamp)
            for receipt in found.receipts:
                repository.add_receipt(
                    session,
                    transaction_hash=receipt.hash,
                    block_number=receipt.block_number,
                    gas_used=receipt.gas_used,
                )
            repository.move_cursor(session, number=last.number, hash=last.hash, timestamp=last.timestamp)
            if last.number // PRUNE_EVERY != found.after_number // PRUNE_EVERY:
                repository.prune_blocks(session, last.number - repository.REMEMBERED_BLOCKS)
            for project in touched:
                enqueue_advance(session, project)
        if found.events:
            log.info(
                "chain_indexed",
                block=last.number,
                events=len(found.events),
                projects=sorted(touched),
                seconds=round(time.monotonic() - started, 3),
            )
        return touched
