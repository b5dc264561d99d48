"""The projection says what the chain says, whatever the order of deliveries, rewinds and rebuilds."""

from __future__ import annotations

from typing import Any

import pytest
from cohort_backend.chain import repository as record
from cohort_backend.chain.errors import ForkTooDeep, NotIndexed, OtherMarket, OutOfOrder
from cohort_backend.chain.event_codec import event_row, load_event
from cohort_backend.chain.models import ChainEvent
from cohort_backend.chain.projection import HANDLERS, STORED_ONLY, apply_events, rebuild, rewind
from cohort_backend.database import Database
from cohort_backend.models import CHAIN_RECORD, PROJECTION, WORK_STATE
from cohort_backend.projects import repository as projects
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.phase import next_deadline, phase_of
from cohort_backend.trainers import repository as trainers
from cohort_backend.updates.repository import close_batch
from cohort_protocol.chain.events import EVENT_TYPES, MarketEvent
from cohort_protocol.chain.types import Ledger, RevealState, SkipReason
from cohort_protocol.commitments import admitted_hash, batch_hash
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.backend.chain.history import History
from tests.fixtures.scene import by_address, some_cid


def _start(session: Session, history: History) -> None:
    deployment = history.scene.devnet.deployment
    record.start_cursor(session, chain_id=deployment.chain_id, market=deployment.market, start_block=deployment.block)


def _apply(database: Database, history: History, events: list[MarketEvent] | None = None) -> set[int]:
    """As an indexer does: events, then the blocks they came from, then the cursor."""
    chosen = history.events if events is None else events
    with database.write() as session:
        _start(session, history)
        touched = apply_events(session, chosen)
        for event in chosen:
            record.add_receipt(
                session,
                transaction_hash=event.at.transaction_hash,
                block_number=event.at.block_number,
                gas_used=50_000 + event.at.block_number,
            )
            record.move_cursor(
                session, number=event.at.block_number, hash=event.at.block_hash, timestamp=event.at.block_number
            )
    return touched


def _dump(database: Database, models: tuple[type, ...] = PROJECTION) -> dict[str, list[Any]]:
    """Every row of every table."""
    with database.read() as session:
        return {
            model.__tablename__: sorted(
                (tuple(row) for row in session.execute(select(*model.__table__.columns))), key=repr
            )
            for model in models
        }


class TestAgainstTheChain:
    """Each figure beside the contract's own."""

    def test_ledgers(self, database: Database, history: History) -> None:
        _apply(database, history)
        for scene in (history.scene, history.other):
            with database.read() as session:
                found = projects.get(session, scene.project)
                assert found is not None
                ledger = Ledger(**{name: getattr(found, name) for name in Ledger.__dataclass_fields__})
            assert ledger == scene.market.ledger_of(scene.project)
            assert ledger.balanced

    def test_terms_and_progress(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        with database.read() as session:
            found = projects.get(session, scene.project)
            assert found is not None
            models = projects.models_before(session, scene.project, found.round + 1)
        for name in ("token", "verifier", "spec_digest", "policy_hash", "initial_model", "round_budget", "stake"):
            assert getattr(found, name) == getattr(scene.terms, name)
        assert tuple(found.witnesses) == scene.terms.witnesses
        assert tuple(found.aggregators) == scene.terms.aggregators
        progress = scene.market.progress_of(scene.project)
        assert (found.round, found.ended, models[-1].commitment) == (progress.round, progress.ended, progress.model)
        assert found.owner == scene.market.owner_of(scene.project)
        assert found.members == scene.market.member_count(scene.project)

    def test_members_and_standing(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        with database.read() as session:
            for trainer in scene.trainers:
                member = trainers.member(session, scene.project, trainer.address)
                assert member is not None
                on_chain = scene.market.member_of(scene.project, trainer.address)
                mine = (member.stake, member.joined_round, member.left_round, member.left)
                assert mine == (on_chain.stake, on_chain.joined_round, on_chain.left_round, on_chain.left)
                standing = scene.market.standing_of(trainer.address)
                found = trainers.trainer(session, trainer.address)
                assert found is not None
                assert (found.reliability_bps, found.usefulness_bps) == (standing.reliability, standing.usefulness)
                assert (found.rounds, found.rejections) == (standing.rounds, standing.rejections)
            earned = sum(member.earned for member in trainers.members(session, scene.project))
            claimed = sum(member.claimed for member in trainers.members(session, scene.project))
            active = trainers.members(session, scene.project, active_only=True)
        ledger = scene.market.ledger_of(scene.project)
        assert (earned, claimed) == (ledger.claimable + ledger.claimed, ledger.claimed)
        assert [member.trainer for member in active] == [scene.trainers[2].address]

    def test_rounds_at_every_moment(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        with database.read() as session:
            for number in range(1, 5):
                view = scene.market.round_of(scene.project, number)
                found = rounds.get(session, scene.project, number)
                assert found is not None
                for name in ("opened_at", "commit_end", "reveal_start", "reveal_end", "settle_end", "budget"):
                    assert getattr(found, name) == getattr(view, name), name
                assert (found.eligible, found.model) == (view.eligible, view.model)
                assert (found.admitted, found.refused) == (view.admitted, view.refused)
                assert found.committed == view.batch_count + view.self_count
                assert found.payout_root == (view.payout_root if any(view.payout_root) else None)
                assert found.outcome == view.phase
                rows = [(row.trainer, row.update) for row in rounds.rows(session, scene.project, number)]
                assert admitted_hash(rows) == view.admitted_hash
                claimed = sum(row.claimed << row.row for row in rounds.rows(session, scene.project, number))
                assert claimed == view.claimed_bits
                leaves = rounds.batch_leaves(session, scene.project, number)
                assert batch_hash(leaves) == view.batch_hash

    def test_phases_agree_at_every_moment(self, database: Database, history: History) -> None:
        """Stopped after each event, at each deadline -1 / 0 / +1: the contract's own function, in its Python twin."""
        scene, events = history.scene, history.events
        compared, done = set(), 0
        for stop in range(1, len(events) + 1):
            block = events[stop - 1].at.block_number
            if stop < len(events) and events[stop].at.block_number == block:
                continue  # a block is the smallest step
            _apply(database, history, events[done:stop])
            done = stop
            with database.read() as session:
                project = projects.get(session, scene.project)
                found = rounds.newest(session, scene.project)
                if project is None or found is None:
                    continue
                view = scene.market.round_of(scene.project, found.number, ref=block)
                for deadline in (found.commit_end, found.reveal_start, found.reveal_end, found.settle_end):
                    for now in (deadline - 1, deadline, deadline + 1):
                        phase = phase_of(found, now, project.min_trainers)
                        assert phase == view.phase_at(now, project.min_trainers)
                        compared.add(phase)
                        until = next_deadline(found, now, project.min_trainers)
                        if until is not None:
                            assert phase_of(found, until - 1, project.min_trainers) == phase
        assert compared == set(Phase) - {Phase.NONE, Phase.GUARD}

    def test_commitments_and_what_became_of_them(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        early, late, third = scene.trainers
        with database.read() as session:
            found = {commit.trainer: commit for commit in rounds.commits(session, scene.project, 2)}
            assert list(found) == [one.address for one in by_address(scene.trainers)]
            assert found[early.address].self_commitment == found[early.address].batch_commitment
            assert found[late.address].self_commitment is not None
            assert found[third.address].batch_commitment is None
            assert found[third.address].reveal_state == RevealState.REFUSED
            assert found[third.address].skip_reason == SkipReason.NO_QUORUM
            assert found[early.address].reveal_state == RevealState.ADMITTED

    def test_models_skip_void_and_defaulted_rounds(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        with database.read() as session:
            models = projects.models_before(session, scene.project, 5)
            assert [model.round for model in models] == [0, 1, 2]
            assert [model.cid for model in models] == [
                None,
                *(str(Cid.from_bytes(some_cid(b"model %d" % number))) for number in (1, 2)),
            ]
            assert [m.round for m in projects.models_before(session, scene.project, 2)] == [0, 1]
            assert [m.round for m in projects.models_before(session, scene.project, 5, limit=2)] == [1, 2]

    def test_gas_names_each_transaction_once(self, database: Database, history: History) -> None:
        _apply(database, history)
        with database.read() as session:
            steps = {
                number: [step for step, _, _ in rounds.gas(session, history.scene.project, number)]
                for number in range(1, 5)
            }
            hashes = [
                digest for number in range(1, 5) for _, digest, _ in rounds.gas(session, history.scene.project, number)
            ]
        assert steps[1] == ["open", "commit", "reveal", "settle"]
        assert steps[2] == [
            "open", "commit-self", "commit", "commit-self", "commit-self", "reveal", "reveal", "reveal", "settle",
        ]  # fmt: skip
        assert steps[3] == ["open", "commit"]
        assert steps[4] == ["open", "commit", "reveal", "default"]
        assert len(hashes) == len(set(hashes))


class TestReplay:
    def test_a_rebuild_gives_the_same_rows(self, database: Database, history: History) -> None:
        _apply(database, history)
        before = _dump(database)
        assert all(before.values()), "an empty table compares nothing"
        with database.write() as session:
            assert rebuild(session) == {history.scene.project, history.other.project}
        assert _dump(database) == before

    def test_block_by_block_gives_the_same_rows(self, database: Database, history: History) -> None:
        _apply(database, history)
        at_once = _dump(database)
        with database.write() as session:
            rewind(session, history.scene.devnet.deployment.block - 1)
        assert not any(_dump(database).values())
        for event in history.events:
            _apply(database, history, [event])
        assert _dump(database) == at_once

    def test_the_same_events_again_change_nothing(self, database: Database, history: History) -> None:
        assert _apply(database, history) == {history.scene.project, history.other.project}
        before = _dump(database)
        with database.read() as session:
            version = projects.version(session, history.scene.project)
        assert _apply(database, history) == set()
        assert _dump(database) == before
        with database.read() as session:
            assert projects.version(session, history.scene.project) == version

    def test_every_rewind_leads_back_to_the_state_of_that_block(self, database: Database, history: History) -> None:
        blocks = sorted({event.at.block_number for event in history.events})
        for block in blocks[:: len(blocks) // 3]:
            _apply(database, history, [event for event in history.events if event.at.block_number <= block])
            then = _dump(database, PROJECTION + CHAIN_RECORD)
            _apply(database, history)
            with database.write() as session:
                rewind(session, block)
            assert _dump(database, PROJECTION + CHAIN_RECORD) == then

    def test_work_state_survives_and_versions_grow(self, database: Database, history: History) -> None:
        _apply(database, history)
        project = history.scene.project
        with database.write() as session:
            close_batch(session, project, 1)
            projects.store_spec(session, b"{}")
            before = projects.version(session, project)
        kept = tuple(model for model in WORK_STATE if model.__tablename__ != "project_versions")
        work = _dump(database, kept)
        with database.write() as session:
            assert project in rewind(session, history.scene.devnet.deployment.block - 1)
        assert _dump(database, kept) == work
        with database.read() as session:
            assert projects.version(session, project) > before

    def test_an_event_from_the_past_is_refused(self, database: Database, history: History) -> None:
        created, funded, joined = history.events[:3]
        _apply(database, history, [created, joined])
        with pytest.raises(OutOfOrder, match="rewind"):
            _apply(database, history, [funded])

    def test_a_fork_below_what_is_remembered_is_refused(self, database: Database, history: History) -> None:
        _apply(database, history)
        with database.write() as session, pytest.raises(ForkTooDeep):
            rewind(session, history.head + 50)
        with database.write() as session:
            record.prune_blocks(session, below=history.head)
            assert [block.number for block in record.newest_blocks(session)] == [history.events[-1].at.block_number]


class TestRecord:
    def test_every_kind_of_event_was_seen_and_is_handled(self, history: History) -> None:
        seen = {type(event) for event in history.events}
        assert seen == set(EVENT_TYPES.values())
        assert set(HANDLERS) | set(STORED_ONLY) == seen

    def test_events_read_back_as_they_were(self, history: History) -> None:
        for event in history.events:
            assert load_event(ChainEvent(**event_row(event))) == event

    def test_one_database_serves_one_market(self, database: Database, history: History) -> None:
        _apply(database, history)
        deployment = history.scene.devnet.deployment
        with database.write() as session:
            with pytest.raises(OtherMarket, match="COHORT_DATABASE_URL"):
                record.start_cursor(session, chain_id=1, market=deployment.market, start_block=0)
            with pytest.raises(OtherMarket):
                record.start_cursor(
                    session, chain_id=deployment.chain_id, market=deployment.token, start_block=deployment.block
                )

    def test_nothing_is_indexed_before_the_cursor_is_started(self, database: Database) -> None:
        with database.write() as session, pytest.raises(NotIndexed):
            record.lock_cursor(session)

    def test_time_is_the_later_of_wall_and_chain(self, database: Database, history: History) -> None:
        _apply(database, history)
        newest = history.events[-1].at.block_number  # which `_apply` gives as the block's time
        with database.read() as session:
            assert record.chain_now(session, wall=newest - 5.0) == newest
            assert record.chain_now(session, wall=newest + 5.9) == newest + 5
