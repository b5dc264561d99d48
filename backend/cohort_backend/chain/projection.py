"""From events to tables: the one place where the projection changes, and where a reorg takes it back.

The projection is a function of the stored events: `rebuild` empties it and applies them all again, in order. A rewind
deletes the events above the fork and rebuilds. That costs one pass over the events of the market, and needs no undo
for any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cohort_protocol.chain import events as chain
from cohort_protocol.chain.events import MarketEvent
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cohort_backend.chain import repository
from cohort_backend.chain.apply import members, projects, rewards, rounds
from cohort_backend.chain.errors import ForkTooDeep, OutOfOrder
from cohort_backend.chain.event_codec import event_row, load_event
from cohort_backend.chain.models import ChainBlock, ChainEvent, ChainReceipt
from cohort_backend.database import Base, insert_new
from cohort_backend.models import PROJECTION
from cohort_backend.projects.models import Project
from cohort_backend.projects.repository import bump_version

HANDLERS: dict[type[MarketEvent], Callable[[Session, MarketEvent], None]] = {  # type: ignore[assignment]
    chain.ProjectCreated: projects.project_created,
    chain.ProjectFunded: projects.project_funded,
    chain.AggregatorAdded: projects.aggregator_added,
    chain.ProjectEnded: projects.project_ended,
    chain.ProjectRefunded: projects.project_refunded,
    chain.ProtocolFeesCollected: projects.protocol_fees_collected,
    chain.BondDeposited: projects.bond_deposited,
    chain.BondWithdrawn: projects.bond_withdrawn,
    chain.RoundAccepted: projects.round_accepted,
    chain.AcceptanceWithdrawn: projects.acceptance_withdrawn,
    chain.BondReleased: projects.bond_released,
    chain.BondSlashed: projects.bond_slashed,
    chain.MemberJoined: members.member_joined,
    chain.Staked: members.staked,
    chain.DelegateChanged: members.delegate_changed,
    chain.MemberLeft: members.member_left,
    chain.StakeWithdrawn: members.stake_withdrawn,
    chain.LossRecorded: members.loss_recorded,
    chain.RoundOpened: rounds.round_opened,
    chain.LeafSkipped: rounds.leaf_skipped,
    chain.CommitsPosted: rounds.commits_posted,
    chain.CommittedSelf: rounds.committed_self,
    chain.DeadlinesMoved: rounds.deadlines_moved,
    chain.UpdatesAdmitted: rounds.updates_admitted,
    chain.UpdateRefused: rounds.update_refused,
    chain.RevealSkipped: rounds.reveal_skipped,
    chain.UpdateRescued: rounds.update_rescued,
    chain.StakeSlashed: rounds.stake_slashed,
    chain.ValidationRevealed: rounds.validation_revealed,
    chain.PublicRowsPosted: rounds.public_rows_posted,
    chain.RoundSettled: rewards.round_settled,
    chain.RoundVoided: rewards.round_voided,
    chain.RoundDefaulted: rewards.round_defaulted,
    chain.ModelPending: rewards.model_pending,
    chain.ModelReceipted: rewards.model_receipted,
    chain.ModelDropped: rewards.model_dropped,
    chain.Claimed: rewards.claimed,
}


def apply_events(session: Session, events: Sequence[MarketEvent]) -> set[int]:
    """Stores events and applies those that are new, in the order of the chain; returns the projects touched, whose
    versions have grown. Applying an event twice is applying it once. Raises `OutOfOrder` for a new event before a
    stored one: the chain was reorganised, so rewind first. Raises `NotIndexed` before `start_cursor`."""
    repository.require_cursor(session)
    newest = repository.newest_event(session)
    touched: set[int] = set()
    for event in sorted(events, key=lambda event: event.at[:2]):
        if not insert_new(session, ChainEvent, **event_row(event)):
            continue
        position = (event.at.block_number, event.at.log_index)
        if position < newest:
            raise OutOfOrder(f"event at {position} comes before {newest}, which is stored: rewind to a common block")
        _apply(session, event)
        touched |= _projects_of(event)
    _announce(session, touched)
    return touched


def rewind(session: Session, to_block: int) -> set[int]:
    """Takes everything above `to_block` back: events, receipts, blocks, projection, cursor. Work state stays. Returns
    the projects that were or are there. Raises `ForkTooDeep` if the block is not remembered."""
    cursor = repository.lock_cursor(session)
    block = session.get(ChainBlock, to_block)
    if block is None and to_block >= cursor.start_block:
        raise ForkTooDeep(
            f"block {to_block} is not remembered: rewind to one that is, or to {cursor.start_block - 1} (start again)"
        )
    before = set(session.scalars(select(Project.id)))
    for column in (ChainEvent.block_number, ChainReceipt.block_number, ChainBlock.number):
        session.execute(delete(column.class_).where(column > to_block))
    if block is None:
        cursor.block_number, cursor.block_hash, cursor.block_timestamp = cursor.start_block - 1, None, 0
    else:
        cursor.block_number, cursor.block_hash, cursor.block_timestamp = to_block, block.hash, block.timestamp
    return before | rebuild(session, also=before)


def rebuild(session: Session, also: Iterable[int] = ()) -> set[int]:
    """Empties the projection and applies every stored event again. Returns the projects that are there now."""
    touched = set(also)
    if repository.cursor(session) is not None:
        repository.lock_cursor(session)  # no indexer beside us
    session.flush()
    for table in reversed(Base.metadata.sorted_tables):
        if table in {model.__table__ for model in PROJECTION}:
            session.execute(delete(table))
    session.expunge_all()  # objects of the rows that are gone
    for row in repository.stored_events(session):
        _apply(session, load_event(row))
    _announce(session, touched | set(session.scalars(select(Project.id))))
    return set(session.scalars(select(Project.id)))


def _apply(session: Session, event: MarketEvent) -> None:
    HANDLERS[type(event)](session, event)
    session.flush()


def _projects_of(event: MarketEvent) -> set[int]:
    project = getattr(event, "project", None)
    return set() if project is None else {project}


def _announce(session: Session, touched: set[int]) -> None:
    for project in sorted(touched):  # one order for everybody: no deadlock
        bump_version(session, project)
