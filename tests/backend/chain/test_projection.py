"""The projection says what the chain says, whatever the order of deliveries, rewinds and rebuilds."""

from __future__ import annotations

from typing import Any

import pytest
from cohort_backend.chain import repository as record
from cohort_backend.chain.errors import ForkTooDeep, NotIndexed, OtherMarket, OutOfOrder
from cohort_backend.chain.event_codec import event_row, load_event
from cohort_backend.chain.models import ChainEvent
from cohort_backend.chain.projection import HANDLERS, apply_events, rebuild, rewind
from cohort_backend.database import Database
from cohort_backend.models import CHAIN_RECORD, PROJECTION, WORK_STATE
from cohort_backend.projects import repository as projects
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Resolution
from cohort_backend.rounds.phase import next_deadline, phase_of
from cohort_backend.trainers import repository as trainers
from cohort_backend.updates.repository import close_batch
from cohort_protocol.chain.events import EVENT_TYPES, MarketEvent, MemberJoined, RoundOpened
from cohort_protocol.chain.types import LeafSkip, SkipReason
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from sqlalchemy import select
from sqlalchemy.orm import Session

from tests.backend.chain.history import History
from tests.fixtures.scene import some_cid


def _start(session: Session, history: History) -> None:
    deployment = history.scene.devnet.deployment
    record.start_cursor(
        session,
        chain_id=deployment.chain_id,
        market=deployment.market,
        start_block=deployment.block,
        slash_window=history.slash_window,
    )


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
    """Beside what `test_rebuild` compares: what no view of the contract says, and every moment between two blocks."""

    def test_terms(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        with database.read() as session:
            found = projects.get(session, scene.project)
        assert found is not None
        assert found.windows == scene.terms.windows
        assert tuple(found.witnesses) == scene.terms.witnesses
        assert found.aggregators == [*scene.terms.aggregators, scene.devnet.account("aggregator", 1).address]
        for name in vars(scene.terms).keys() - {"windows", "witnesses", "aggregators"}:
            assert getattr(found, name) == getattr(scene.terms, name), name
        assert (found.protocol_fee, found.standing_weight) == scene.market.fees_of(scene.project)
        assert found.distributable == scene.market.distributable_of(scene.project)

    def test_what_members_earned_is_what_the_rounds_paid(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        with database.read() as session:
            members = trainers.members(session, scene.project)
            active = trainers.members(session, scene.project, active_only=True)
            numbers = trainers.numbers(session, scene.project)
            paid = [
                rounds.get(session, scene.project, number).paid  # type: ignore[union-attr]
                for number in range(1, scene.round_number() + 1)
            ]
            rows = [
                row.pay or 0
                for number in range(1, scene.round_number() + 1)
                for row in rounds.rows(session, scene.project, number)
            ]
        ledger = scene.market.ledger_of(scene.project)
        assert sum(member.earned for member in members) == sum(paid) == sum(rows) == ledger.claimable + ledger.claimed
        assert sum(member.claimed for member in members) == ledger.claimed
        assert [member.trainer for member in active] == [scene.trainers[2].address]
        assert numbers == {one.address: number for number, one in enumerate(scene.trainers, 1)}

    def test_standing_names_the_projects_in_the_order_that_the_contract_wants(
        self, database: Database, history: History
    ) -> None:
        _apply(database, history)
        market, seen = history.devnet.market, set()
        for address in history.people:
            with database.read() as session:
                found = trainers.standing(session, address)
            assert found.reliability_bps == market.reliability_of(address, found.projects)
            seen.add((found.reliability_bps > 0, found.losses > 0))
        assert seen >= {(True, True), (True, False), (False, False)}

    def test_rounds_with_something_to_rescue_or_slash(self, database: Database, history: History) -> None:
        """At every moment: what the contract would let anybody do."""
        scene, done, found_some = history.scene, 0, set()
        for stop, event in enumerate(history.events, 1):
            if stop < len(history.events) and history.events[stop].at.block_number == event.at.block_number:
                continue
            _apply(database, history, history.events[done:stop])
            done = stop
            with database.read() as session:
                project = projects.get(session, scene.project)
                if project is None or project.round == 0:
                    continue
                for number in range(max(1, project.round - 1), project.round + 1):
                    round = rounds.get(session, scene.project, number)
                    assert round is not None
                    for now in (round.reveal_end - 1, round.reveal_end, round.slash_end - 1, round.slash_end):
                        listed = round.number in {
                            one.number for one in rounds.with_unresolved(session, scene.project, now)
                        }
                        wanted = round.unresolved > 0 and round.committed >= project.min_trainers
                        assert listed == (wanted and round.reveal_end <= now < round.slash_end)
                        found_some.add(listed)
        assert found_some == {True, False}

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
        with database.read() as session:
            found = rounds.commits(session, scene.project, 2)
            leaves = rounds.batch(session, scene.project, 2).leaves
        early, late, third, joined, staked_for, nobody = found
        assert [commit.member for commit in found] == [leaf.member for leaf in leaves] == [1, 2, 3, 4, 5, 99]
        assert [commit.trainer for commit in found] == [*(one.address for one in scene.trainers), None]
        assert [commit.leaf for commit in found] == [0, 1, 2, 3, 4, 5]
        assert [LeafSkip(commit.leaf_skip) for commit in found] == [
            LeafSkip.ALREADY_COMMITTED,
            LeafSkip.NONE,
            LeafSkip.NOT_SIGNED,
            LeafSkip.NOT_ELIGIBLE,
            LeafSkip.NOT_ELIGIBLE,
            LeafSkip.NOT_ELIGIBLE,
        ]
        assert [commit.counts for commit in found] == [True, True, True, False, False, False]
        assert not any(commit.leaf_counts for commit in found), "the one that counted was replaced"
        assert early.commitment == early.self_commitment == early.batch_commitment
        assert late.self_commitment is not None
        assert (third.resolution, third.skip_reason) == (Resolution.REFUSED, SkipReason.NO_QUORUM)
        assert (early.resolution, late.resolution) == (Resolution.ADMITTED, Resolution.ADMITTED)
        assert joined.commitment == staked_for.commitment == nobody.commitment == b""

    def test_what_became_of_late_commitments(self, database: Database, history: History) -> None:
        _apply(database, history)
        project = history.scene.project
        with database.read() as session:
            found = {
                number: [Resolution(one.resolution).name for one in rounds.commits(session, project, number)]
                for number in (4, 6, 7)
            }
        assert found == {
            4: ["ADMITTED", "ADMITTED", "RESCUED", "SLASHED"],
            6: ["ADMITTED", "ADMITTED", "RESCUED", "SLASHED"],
            7: ["ADMITTED", "SLASHED", "NONE"],
        }

    def test_models_skip_void_and_defaulted_rounds(self, database: Database, history: History) -> None:
        _apply(database, history)
        scene = history.scene
        with database.read() as session:
            models = projects.models_before(session, scene.project, 5)
            assert [model.round for model in models] == [0, 1, 2, 4]
            assert [model.cid for model in models] == [
                None,
                *(str(Cid.from_bytes(some_cid(b"model %d" % number))) for number in (1, 2, 4)),
            ]
            assert [m.round for m in projects.models_before(session, scene.project, 2)] == [0, 1]
            assert [m.round for m in projects.models_before(session, scene.project, 5, limit=2)] == [2, 4]

    def test_models_without_receipts_do_not_count(self, database: Database, histories: dict[str, History]) -> None:
        """The first was vouched for by receipts, the second dropped: the third round starts from the first."""
        history = histories["pending"]
        seen = []
        for event in history.events:
            _apply(database, history, [event])
            with database.read() as session:
                seen.append([model.round for model in projects.models_before(session, history.scene.project, 9)])
        assert [list(one) for one in dict.fromkeys(map(tuple, seen))] == [[0], [0, 1]]
        with database.read() as session:
            (second, third) = (rounds.get(session, history.scene.project, number) for number in (2, 3))
        assert second is not None
        assert third is not None
        assert second.model == third.model
        assert second.next_model != third.model

    def test_gas_names_each_transaction_once(self, database: Database, history: History) -> None:
        _apply(database, history)
        with database.read() as session:
            found = {number: rounds.gas(session, history.scene.project, number) for number in range(1, 8)}
        steps = {number: [step for step, _, _ in used] for number, used in found.items()}
        assert steps == {
            1: ["open", "commit", "reveal", "settle"],
            2: [
                "open", "commit-self", "commit", "commit-self", "commit-self", "reveal", "reveal", "reveal", "settle",
            ],
            3: ["open", "commit"],
            4: ["open", "commit", "validation", "reveal", "public-rows", "rescue", "slash", "settle"],
            5: ["open", "commit", "reveal", "default"],
            6: ["open", "commit", "commit-self", "reveal", "settle", "rescue", "slash"],
            7: ["open", "commit", "reveal", "slash", "void"],
        }  # fmt: skip
        hashes = [digest for used in found.values() for _, digest, _ in used]
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
            # The other project waits for its first round: see the next test.
            joined = [one.at.block_number for one in history.events if isinstance(one, MemberJoined)][-1]
            kept = [block.number for block in record.newest_blocks(session)]
            assert kept == [history.events[-1].at.block_number, joined]

    def test_the_block_of_the_last_join_is_remembered_until_a_round_opens(
        self, database: Database, history: History
    ) -> None:
        """How long a project waits for more trainers is counted from its time, however many blocks ago that was."""
        opened = next(index for index, one in enumerate(history.events) if isinstance(one, RoundOpened))
        before = history.events[:opened]
        joined = [one.at.block_number for one in before if isinstance(one, MemberJoined)][-1]
        _apply(database, history, before)
        with database.write() as session:
            head = history.head + 5000
            record.move_cursor(session, number=head, hash=b"\1" * 32, timestamp=head)
            record.prune_blocks(session, below=head)
            kept = [block.number for block in record.newest_blocks(session)]
            assert kept == [head, joined]
            projects.get(session, history.scene.project).round = 1
            session.flush()
            record.prune_blocks(session, below=head)
            assert [block.number for block in record.newest_blocks(session)] == [head]


class TestRecord:
    def test_every_kind_of_event_was_seen_and_is_handled(self, histories: dict[str, History]) -> None:
        seen = {type(event) for history in histories.values() for event in history.events}
        assert seen == set(EVENT_TYPES.values()) == set(HANDLERS)

    def test_events_read_back_as_they_were(self, histories: dict[str, History]) -> None:
        for history in histories.values():
            for event in history.events:
                assert load_event(ChainEvent(**event_row(event))) == event

    def test_one_database_serves_one_market(self, database: Database, history: History) -> None:
        _apply(database, history)
        deployment = history.scene.devnet.deployment
        with database.write() as session:
            with pytest.raises(OtherMarket, match="COHORT_DATABASE_URL"):
                record.start_cursor(session, chain_id=1, market=deployment.market, start_block=0, slash_window=60)
            with pytest.raises(OtherMarket):
                record.start_cursor(
                    session, chain_id=deployment.chain_id, market=deployment.lens, start_block=0, slash_window=60
                )

    def test_nothing_is_indexed_before_the_cursor_is_started(self, database: Database, history: History) -> None:
        with database.write() as session, pytest.raises(NotIndexed):
            record.lock_cursor(session)
        with database.write() as session, pytest.raises(NotIndexed):
            apply_events(session, history.events[:1])

    def test_time_is_the_later_of_wall_and_chain(self, database: Database, history: History) -> None:
        _apply(database, history)
        newest = history.events[-1].at.block_number  # which `_apply` gives as the block's time
        with database.read() as session:
            assert record.chain_now(session, wall=newest - 5.0) == newest
            assert record.chain_now(session, wall=newest + 5.9) == newest + 5
