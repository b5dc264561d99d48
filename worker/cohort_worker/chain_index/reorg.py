"""Reorgs: how one is recognised, where the fork is, and how everything above it is taken back.

Every block that was read up to, or that had an event, is remembered with its hash. The chain was reorganised if the
node now has another hash at a height that we remember. The fork is the highest remembered block that the node still
has; what was projected above it is dropped and the projection rebuilt from the events below it. Signed commitments,
reveals, receipts and proposals are not part of the projection and stay: after a reorg they are posted again.
"""

from __future__ import annotations

import structlog
from cohort_backend.chain import projection, repository
from cohort_backend.database import Database
from cohort_backend.jobs.service import enqueue_advance
from cohort_protocol.chain import ChainClient
from cohort_protocol.chain.transactions import Block
from cohort_protocol.identifiers import to_hex

log = structlog.get_logger(__name__)


def is_reorganised(database: Database, client: ChainClient, head: Block) -> bool:
    """Whether the chain that ends in `head` lacks the block that we read up to.

    A head below our cursor alone is no reorg: a node behind a load balancer may be late. It is one if the head itself
    differs from what we read at its height.
    """
    with database.read() as session:
        cursor = repository.cursor(session)
        if cursor is None:
            return False
        number, expected = cursor.block_number, cursor.block_hash
        if head.number < number:
            number, expected = head.number, repository.block_hash(session, head.number)
    if expected is None:
        return False
    if head.number == number:
        return head.hash != expected
    if head.number == number + 1:
        return head.parent_hash != expected
    return client.block(number).hash != expected


def rewind(database: Database, client: ChainClient, head: Block) -> set[int]:
    """Takes back everything above the fork, wakes the projects that it touched and returns them.

    Raises `ChainUnavailable`; then nothing was changed.
    """
    fork = find_fork(database, client, head)
    with database.write() as session:
        cursor = repository.lock_cursor(session)
        lost_from, lost_to = fork + 1, cursor.block_number
        if lost_to < lost_from:
            return set()  # another indexer was faster
        touched = projection.rewind(session, fork)
        for project in touched:
            enqueue_advance(session, project)
    log.warning("chain_reorganised", fork=fork, blocks=lost_to - fork, head=head.number, projects=sorted(touched))
    return touched


def find_fork(database: Database, client: ChainClient, head: Block) -> int:
    """Height of the highest block that we remember and the node still has; the block before the first one that we
    read if there is none."""
    with database.read() as session:
        remembered = [
            (block.number, block.hash) for block in repository.newest_blocks(session, repository.REMEMBERED_BLOCKS)
        ]
        cursor = repository.cursor(session)
        before_start = cursor.start_block - 1 if cursor is not None else -1
    for number, hash in remembered:
        if number <= head.number and client.block(number).hash == hash:
            return number
        log.info("block_gone", number=number, hash=to_hex(hash))
    return before_start
