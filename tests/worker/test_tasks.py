"""From a message to a job done: leases, retries, and whose fault an error is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cohort_backend.database import Database
from cohort_backend.jobs import repository
from cohort_backend.jobs.models import DONE, FAILED, QUEUED, RUNNING, Job
from cohort_backend.jobs.service import enqueue
from cohort_backend.migrations import upgrade
from cohort_protocol.chain import ChainUnavailable
from cohort_protocol.errors import CohortError, InvalidInput
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_worker import tasks
from cohort_worker.leases import Leases, drop_leases_of_the_dead
from cohort_worker.tasks import JobRunner

KIND = "test_kind"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(f"sqlite:///{tmp_path}/market.db")
    upgrade(database)
    yield database
    database.close()


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of every run of a job of KIND."""
    runs: list[dict[str, Any]] = []

    def handler(parts: Any, args: dict[str, Any], stopping: threading.Event) -> bool:
        runs.append(args)
        if (error := args.get("error")) is not None:
            raise ERRORS[error]
        return bool(args.get("again"))

    monkeypatch.setitem(tasks.HANDLERS, KIND, handler)
    return runs


ERRORS: dict[str, Exception] = {
    "outage": ChainUnavailable("the node is down"),
    "gone": ContentNotFound("not there"),
    "bad-input": InvalidInput("nonsense"),
    "ours": CohortError("something else"),
    "bug": ZeroDivisionError("oops"),
}


def _runner(database: Database, owner: str = "here/1/a") -> JobRunner:
    parts: Any = SimpleNamespace(database=database, settings=SimpleNamespace(retry_seconds=7.0))
    return JobRunner(parts, Leases(database, owner, 5), threading.Event())


def _ask(database: Database, kind: str = KIND, **args: Any) -> int:
    with database.write() as session:
        return enqueue(session, kind, "key", args).id


def _job(database: Database, job_id: int) -> Job:
    with database.read() as session:
        job = repository.get(session, job_id)
    assert job is not None
    return job


def test_a_job_is_done_once(database: Database, handled: list) -> None:
    job_id = _ask(database, project=3)
    for _ in range(3):
        _runner(database).run(job_id)
    assert handled == [{"project": 3}]
    assert _job(database, job_id).state == DONE


def test_a_message_for_a_job_that_does_not_exist_is_nothing(database: Database, handled: list) -> None:
    _runner(database).run(4711)
    assert handled == []


def test_many_messages_at_once_do_it_once(database: Database, handled: list) -> None:
    job_id = _ask(database)
    threads = [threading.Thread(target=_runner(database, f"here/1/{n}").run, args=(job_id,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(handled) == 1


@pytest.mark.parametrize(
    ("error", "state", "attempts"),
    [("outage", QUEUED, 0), ("gone", QUEUED, 0), ("bad-input", FAILED, 1), ("ours", QUEUED, 1), ("bug", QUEUED, 1)],
)
def test_whose_fault_it_is_decides_what_follows(
    database: Database, handled: list, error: str, state: str, attempts: int
) -> None:
    job_id = _ask(database, error=error)
    _runner(database).run(job_id)
    job = _job(database, job_id)
    assert (job.state, job.attempts) == (state, attempts)
    if error in ("outage", "gone"):
        assert job.run_after > time.time() + 5, "waits the pause out"
    else:
        assert str(ERRORS[error]) in (job.last_error or "")


def test_a_job_that_is_not_finished_comes_again(database: Database, handled: list) -> None:
    job_id = _ask(database, again=True)
    _runner(database).run(job_id)
    job = _job(database, job_id)
    assert (job.state, job.attempts) == (QUEUED, 0)


def test_a_job_of_a_newer_version_is_named(database: Database) -> None:
    job_id = _ask(database, kind="from_the_future")
    _runner(database).run(job_id)
    job = _job(database, job_id)
    assert job.state == FAILED
    assert "from_the_future" in (job.last_error or "")


def test_a_process_that_ends_takes_no_new_job(database: Database, handled: list) -> None:
    job_id = _ask(database)
    runner = _runner(database)
    runner._stopping.set()
    runner.run(job_id)
    assert handled == []
    assert _job(database, job_id).state == QUEUED


def test_a_database_that_is_away_leaves_the_job_to_the_reaper(tmp_path: Path) -> None:
    away = Database.open(f"sqlite:///{tmp_path}/nothing.db")
    _runner(away).run(1)  # the table is not there: not raised into the broker
    away.close()


# --- leases -----------------------------------------------------------------------------------------------------------


def test_a_lease_is_extended_while_the_job_runs(database: Database) -> None:
    job_id = _ask(database)
    leases = Leases(database, "here/1/a", 5)
    with leases.take(job_id) as job:
        assert job is not None
        assert leases.held == {job_id}
        with database.write() as session:
            session.get_one(Job, job_id).lease_until = time.time() + 1
        leases.extend()
        until = _job(database, job_id).lease_until
        assert until is not None
        assert until > time.time() + 4
        with Leases(database, "there/2/b", 5).take(job_id) as other:
            assert other is None
    assert leases.held == frozenset()


def test_only_leases_of_the_dead_are_dropped(database: Database) -> None:
    host = socket.gethostname()[:100]
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    owners = {
        "dead": f"{host}/{gone.pid}/aa",
        "alive": f"{host}/{os.getppid()}/bb",
        "elsewhere": f"another-host/{gone.pid}/cc",
        "odd": "not-a-name",
    }
    ids = {}
    for name, owner in owners.items():
        with database.write() as session:
            ids[name] = enqueue(session, KIND, name, {}).id
            assert repository.lease(session, ids[name], owner, 600) is not None
    assert drop_leases_of_the_dead(database) == 1
    states = {name: _job(database, job_id).state for name, job_id in ids.items()}
    assert states == {"dead": QUEUED, "alive": RUNNING, "elsewhere": RUNNING, "odd": RUNNING}
