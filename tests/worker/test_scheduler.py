"""What happens by time: lost messages, deadlines, and parts that do not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cohort_backend.database import JobMessage
from cohort_backend.jobs import repository
from cohort_backend.jobs.models import QUEUED, Job
from cohort_backend.jobs.service import ADVANCE_PROJECT, enqueue
from cohort_protocol.chain import ChainUnavailable
from cohort_worker.leases import Leases
from cohort_worker.scheduler import Scheduler
from sqlalchemy import select

from tests.worker.evaluation.test_evaluate import advance
from tests.worker.stage import SHORT, Stage, wait_until


def _scheduler(stage: Stage, sent: list[JobMessage], stopping: threading.Event) -> Scheduler:
    return Scheduler(stage.parts, Leases(stage.database, stage.parts.owner, 5), sent.extend, stopping)


def _jobs(stage: Stage) -> list[Job]:
    with stage.database.read() as session:
        return list(session.scalars(select(Job).order_by(Job.id)))


def finish_all(stage: Stage) -> None:
    """Takes and finishes every queued job, as if a worker had done them."""
    for job in _jobs(stage):
        with stage.database.write() as session:
            if job.state == QUEUED and repository.lease(session, job.id, "here/1/a", 5) is not None:
                repository.finish(session, job.id, "here/1/a")


def test_a_deadline_wakes_the_planner(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=SHORT)
    advance(stage)
    stage.hand_in_commit(stage.trainers[0])
    stage.hand_in_commit(stage.trainers[1])
    finish_all(stage)
    before = len(_jobs(stage))
    scheduler = _scheduler(stage, [], threading.Event())
    scheduler._look_at_jobs()
    assert len(_jobs(stage)) == before, "a third trainer may commit: nothing is due"
    stage.devnet.control.warp(76)
    stage.parts.indexer.catch_up()
    scheduler._look_at_jobs()
    new = _jobs(stage)[before:]
    assert [(job.kind, job.key, job.state) for job in new] == [(ADVANCE_PROJECT, str(stage.project), QUEUED)]
    scheduler._look_at_jobs()
    assert len(_jobs(stage)) == before + 1, "one at a time"


def test_a_pause_is_not_cut_short(stage: Stage) -> None:
    stage.parts.indexer.catch_up()
    finish_all(stage)
    with stage.database.write() as session:
        job_id = enqueue(session, ADVANCE_PROJECT, str(stage.project), {"project": stage.project}, delay=60).id
    before = [(job.id, job.run_after) for job in _jobs(stage)]
    _scheduler(stage, [], threading.Event())._look_at_jobs()
    assert [(job.id, job.run_after) for job in _jobs(stage)] == before
    assert before[-1][0] == job_id


def test_a_project_that_is_over_is_not_looked_at(stage: Stage) -> None:
    scheduler = _scheduler(stage, [], threading.Event())
    stage.parts.indexer.catch_up()
    finish_all(stage)
    assert scheduler._idle_projects() == [stage.project]
    stage.devnet.send(stage.owner, stage.market.end_project(stage.project))
    stage.parts.indexer.catch_up()
    finish_all(stage)
    assert scheduler._idle_projects() == []


def test_lost_messages_are_sent_again_at_the_start_and_then_after_a_while(stage: Stage) -> None:
    stage.parts.indexer.catch_up()
    waiting = [job.id for job in _jobs(stage) if job.state == QUEUED]
    assert waiting
    sent: list[JobMessage] = []
    scheduler = _scheduler(stage, sent, threading.Event())
    scheduler._look_at_jobs()
    assert [message.job_id for message in sent] == waiting
    sent.clear()
    scheduler._look_at_jobs()
    assert sent == [], "just sent"


def test_a_part_that_does_not_answer_stops_no_thread(stage: Stage, monkeypatch) -> None:
    calls = {"broken": 0, "away": 0}
    stopping = threading.Event()
    scheduler = _scheduler(stage, [], stopping)

    def away() -> None:
        calls["away"] += 1
        raise ChainUnavailable("no node")

    def broken() -> None:
        calls["broken"] += 1
        raise ZeroDivisionError

    threads = [
        threading.Thread(target=scheduler._loop, args=(name, act, 0.01), daemon=True)
        for name, act in (("away", away), ("broken", broken))
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: min(calls.values()) >= 3, 10, "three tries each")
    stopping.set()
    for thread in threads:
        thread.join(6)
        assert not thread.is_alive()
