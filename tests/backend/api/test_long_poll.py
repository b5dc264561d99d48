"""The long-poll: wakes on news within a moment, on a phase that ends by time, and costs nothing while it waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cohort_backend.chain.repository import lock_cursor
from cohort_backend.database import Database
from cohort_backend.migrations import upgrade
from cohort_backend.projects.repository import bump_version
from cohort_backend.rounds.models import Round
from cohort_backend.rounds.watch import VersionWatch
from cohort_backend.updates.service import record_commit
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import ProjectState
from sqlalchemy import event

from tests.backend.api.conftest import Service
from tests.backend.stages import OPEN

SOON = 8.0
"""Seconds: about 0.05 are usual, a loaded machine may stall; who is not woken waits for 20."""


def _wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds: the requests of other threads have come in."""
    until = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def _state(service: Service, after: int, wait: float) -> tuple[ProjectState, float]:
    started = time.monotonic()
    answer = service.http.get(f"{service.path}/state?after={after}&wait={wait}")
    assert answer.status_code == 200, answer.text
    return ProjectState.model_validate_json(answer.content), time.monotonic() - started


class TestEndpoint:
    def test_another_version_answers_at_once(self, service: Service) -> None:
        service.fill(OPEN)
        first, took = _state(service, -1, 20)
        assert took < SOON
        _, took = _state(service, first.version - 1, 20)
        assert took < SOON
        _, took = _state(service, first.version + 100, 20)
        assert took < SOON, "a version from before the database was replaced"

    def test_no_news_waits_and_answers_with_the_same(self, service: Service) -> None:
        service.fill(OPEN)
        known, _ = _state(service, -1, 0)
        again, took = _state(service, known.version, 0.4)
        assert again == known
        assert 0.4 <= took < 0.4 + SOON

    def test_a_commitment_wakes_everybody(self, service: Service) -> None:
        service.fill(OPEN)
        known, _ = _state(service, -1, 0)
        stages = service.stages
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(_state, service, known.version, 20) for _ in range(8)]
            _wait_for(lambda: service.parts.watch.waiters == 8)
            started = time.monotonic()
            intake = stages.commit_intake(stages.scene.trainers[0])
            record_commit(service.parts.database, stages.scene.identity, stages.project, 1, intake)
            found = [future.result()[0] for future in waiting]
        assert time.monotonic() - started < SOON
        assert {state.version for state in found} == {known.version + 1}
        assert service.parts.watch.waiters == 0

    def test_another_process_wakes_us_too(self, service: Service) -> None:
        service.fill(OPEN)
        known, _ = _state(service, -1, 0)
        elsewhere = Database.open(service.parts.settings.database_url.get_secret_value())
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_state, service, known.version, 20)
            _wait_for(lambda: service.parts.watch.waiters == 1)
            with elsewhere.write() as session:
                bump_version(session, service.stages.project)
            state, took = waiting.result()
        elsewhere.close()
        assert state.version == known.version + 1
        assert took < SOON

    def test_a_phase_that_ends_by_time_wakes(self, service: Service) -> None:
        """Nobody writes anything: only the clock moves. The version stays, the phase does not."""
        service.fill(OPEN)
        with service.parts.database.write() as session:
            round = session.get_one(Round, (service.stages.project, 1))
            # Other tests of this process may have moved the chain's clock ahead of ours.
            lock_cursor(session).block_timestamp = int(time.time())
            ends = int(time.time()) + 2
            round.commit_end = ends
            bump_version(session, service.stages.project)
        known, _ = _state(service, -1, 0)
        assert known.round is not None
        assert known.round.phase is Phase.COMMIT
        later, took = _state(service, known.version, 20)
        assert later.round is not None
        assert (later.round.phase, later.version) == (Phase.VOID, known.version)
        assert 0.5 < took < 2 + SOON

    def test_what_many_wait_for_is_built_once(self, service: Service) -> None:
        service.fill(OPEN)
        statements: list[str] = []
        known, _ = _state(service, -1, 0)

        @event.listens_for(service.parts.database.engine, "before_cursor_execute")
        def note(connection, cursor, statement: str, *_: object) -> None:
            if "FROM rounds" in statement:
                statements.append(statement)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: _state(service, -1, 0), range(40)))
        assert statements == []
        with service.parts.database.write() as session:
            bump_version(session, service.stages.project)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: _state(service, known.version, 5), range(40)))
        assert len(statements) == 2, "one state: the round for the state and for its deadline"


class TestWatch:
    @pytest.fixture
    def database(self, tmp_path: Path):
        database = Database.open(f"sqlite:///{tmp_path}/market.db")
        upgrade(database)
        yield database
        database.close()

    def test_nobody_waiting_means_no_query(self, database: Database) -> None:
        queries: list[str] = []

        @event.listens_for(database.engine, "before_cursor_execute")
        def note(connection, cursor, statement: str, *_: object) -> None:
            queries.append(statement)

        async def scenario() -> None:
            watch = VersionWatch(database, 0.01, 10)
            await watch.changed(1, 0, 0.2)
            await asyncio.sleep(0.1)
            asked = len(queries)
            assert asked > 2
            await asyncio.sleep(0.3)
            assert len(queries) == asked

        asyncio.run(scenario())

    def test_one_query_serves_any_number(self, database: Database) -> None:
        queries: list[str] = []

        @event.listens_for(database.engine, "before_cursor_execute")
        def note(connection, cursor, statement: str, *_: object) -> None:
            if statement.startswith("SELECT"):
                queries.append(statement)

        async def scenario() -> None:
            watch = VersionWatch(database, 0.05, 1000)
            await asyncio.gather(*(watch.changed(project % 5 + 1, 0, 0.5) for project in range(500)))

        threads_before = threading.active_count()
        asyncio.run(scenario())
        assert len(queries) <= 12
        assert threading.active_count() <= threads_before + 2

    def test_too_many_are_not_kept_waiting(self, database: Database) -> None:
        async def scenario() -> None:
            watch = VersionWatch(database, 0.01, 2)
            waiting = [asyncio.create_task(watch.changed(1, 0, 5)) for _ in range(2)]
            await asyncio.sleep(0.05)
            started = time.monotonic()
            await watch.changed(1, 0, 5)
            assert time.monotonic() - started < 0.5
            watch.close()
            await asyncio.wait_for(asyncio.gather(*waiting), 1)

        asyncio.run(scenario())

    def test_a_database_that_stalls_does_not_end_the_watch(self, database: Database) -> None:
        async def scenario() -> None:
            watch = VersionWatch(database, 0.01, 10)
            good = database.engine.url
            with database.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE project_versions RENAME TO elsewhere")
            waiting = asyncio.create_task(watch.changed(1, 0, 10))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            with database.engine.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO project_versions")
            with database.write() as session:
                bump_version(session, 1)
            await asyncio.wait_for(waiting, 5)
            assert database.engine.url == good

        asyncio.run(scenario())
