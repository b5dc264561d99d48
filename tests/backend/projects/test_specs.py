"""Specs of projects that were created without this service: fetched once, checked, and not asked for in vain."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cohort_backend.database import Database
from cohort_backend.errors import UnknownProject
from cohort_backend.projects.errors import SpecNotHere
from cohort_backend.projects.models import Project
from cohort_backend.projects.service import load_spec, spec_in
from cohort_backend.projects.specs import SpecSource
from cohort_backend.rounds.lookup import find_project
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.embedded import EmbeddedStore
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.spec import ProjectSpec
from sqlalchemy.orm import Session

from tests.backend.stages import OPEN, Stages


class CountingStore(EmbeddedStore):
    """The real store, with a count of what it was asked for."""

    asked = 0

    def get(self, cid: Cid, max_bytes: int) -> bytes:
        self.asked += 1
        return super().get(cid, max_bytes)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path / "ipfs")


def _project(database: Database, stages: Stages) -> Project:
    with database.read() as session:
        found = find_project(session, stages.project)
        session.expunge(found)
        return found


def test_it_is_fetched_once(database: Database, stages_made: Stages, store: CountingStore) -> None:
    stages_made.fill(database, OPEN)
    store.put(stages_made.spec.to_bytes())
    project = _project(database, stages_made)
    for _ in range(3):
        assert load_spec(database, store, project) == stages_made.spec
    assert store.asked == 1
    with database.read() as session:
        assert spec_in(session, project) == stages_made.spec


def test_without_it_nothing_is_kept(database: Database, stages_made: Stages, store: CountingStore) -> None:
    stages_made.fill(database, OPEN)
    project = _project(database, stages_made)
    with pytest.raises(ContentNotFound):
        load_spec(database, store, project)
    with database.read() as session, pytest.raises(SpecNotHere, match="has not been fetched"):
        spec_in(session, project)


def test_reading_fetches_what_is_missing(database: Database, stages_made: Stages, store: CountingStore) -> None:
    stages_made.fill(database, OPEN)
    store.put(stages_made.spec.to_bytes())
    source = SpecSource(database, store)

    def build(session: Session) -> ProjectSpec:
        return spec_in(session, find_project(session, stages_made.project))

    for _ in range(2):
        assert source.reading(stages_made.project, build) == stages_made.spec
    assert store.asked == 1


def test_what_cannot_be_had_is_not_searched_for_again_and_again(
    database: Database, stages_made: Stages, store: CountingStore
) -> None:
    stages_made.fill(database, OPEN)
    source = SpecSource(database, store)
    for _ in range(5):
        with pytest.raises(SpecNotHere):
            source.fetch(stages_made.project)
    assert store.asked == 1


def test_a_spec_that_comes_slowly_holds_one_thread_and_no_more(
    database: Database, stages_made: Stages, tmp_path: Path
) -> None:
    """Else forty requests for one such project keep every thread of the API busy."""
    coming, asked = threading.Event(), threading.Event()

    class SlowStore(CountingStore):
        def get(self, cid: Cid, max_bytes: int) -> bytes:
            asked.set()
            coming.wait(20)
            return super().get(cid, max_bytes)

    stages_made.fill(database, OPEN)
    store = SlowStore(tmp_path / "ipfs")
    store.put(stages_made.spec.to_bytes())
    source = SpecSource(database, store)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(source.fetch, stages_made.project)
        assert asked.wait(10)
        for _ in range(5):
            with pytest.raises(SpecNotHere, match="being fetched"):
                source.fetch(stages_made.project)
        coming.set()
        first.result(10)
    source.fetch(stages_made.project)
    assert store.asked == 1


def test_an_unknown_project(database: Database, stages_made: Stages, store: CountingStore) -> None:
    stages_made.fill(database, OPEN)
    with pytest.raises(UnknownProject):
        SpecSource(database, store).fetch(999)
