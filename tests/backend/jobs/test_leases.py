"""Jobs are leased once, never lost, and bounded in attempts."""

from __future__ import annotations

import threading

import pytest
from cohort_backend.database import Database, JobMessage
from cohort_backend.jobs import repository
from cohort_backend.jobs.models import DONE, FAILED, QUEUED, RUNNING, Job
from cohort_backend.jobs.service import enqueue, enqueue_advance, new_owner

NOW = 1_000_000.0
LEASE = 5.0


def _enqueue(database: Database, key: str = "1", **options) -> int:
    with database.write() as session:
        return enqueue(session, "advance_project", key, {"project": int(key)}, now=NOW, **options).id


def _lease(database: Database, job: int, owner: str = "a", now: float = NOW) -> bool:
    with database.write() as session:
        return repository.lease(session, job, owner, LEASE, now) is not None


def _get(database: Database, job: int) -> Job:
    with database.read() as session:
        found = repository.get(session, job)
        assert found is not None
        return found


class TestEnqueue:
    def test_one_unfinished_job_per_kind_and_key(self, database: Database) -> None:
        first, again, other = _enqueue(database), _enqueue(database), _enqueue(database, "2")
        assert first == again != other
        with database.read() as session:
            assert repository.counts(session) == {QUEUED: 2}

    def test_after_it_is_done_the_key_is_free_again(self, database: Database) -> None:
        first = _enqueue(database)
        _lease(database, first)
        with database.write() as session:
            repository.finish(session, first, "a", NOW)
        assert _enqueue(database) != first
        assert _get(database, first).state == DONE

    def test_asking_while_it_runs_runs_it_once_more(self, database: Database) -> None:
        """What the running one has read may be older than the change that asks."""
        job = _enqueue(database)
        _lease(database, job)
        assert _enqueue(database) == job
        sent: list[JobMessage] = []
        database.send_jobs = sent.extend
        with database.write() as session:
            repository.finish(session, job, "a", NOW)
        assert _get(database, job).state == QUEUED
        assert sent == [JobMessage("advance_project", job)]
        assert _lease(database, job, "b")
        with database.write() as session:
            repository.finish(session, job, "b", NOW)
        assert _get(database, job).state == DONE

    def test_asking_now_brings_a_delayed_job_forward(self, database: Database) -> None:
        sent: list[JobMessage] = []
        database.send_jobs = sent.extend
        job = _enqueue(database, delay=60.0)
        assert sent == []
        assert not _lease(database, job)
        assert _enqueue(database) == job
        assert sent == [JobMessage("advance_project", job)]
        assert _lease(database, job)

    def test_a_later_delay_does_not_push_it_back(self, database: Database) -> None:
        job = _enqueue(database)
        _enqueue(database, delay=60.0)
        assert _lease(database, job)

    def test_the_message_is_sent_after_the_commit_and_only_then(self, database: Database) -> None:
        sent: list[JobMessage] = []
        database.send_jobs = sent.extend
        with database.write() as session:
            job = enqueue_advance(session, 7)
            assert sent == []
        assert sent == [JobMessage("advance_project", job.id)]
        assert job.args == {"project": 7}

    def test_a_rolled_back_change_leaves_neither_job_nor_message(self, database: Database) -> None:
        sent: list[JobMessage] = []
        database.send_jobs = sent.extend
        with pytest.raises(RuntimeError), database.write() as session:  # noqa: PT012
            enqueue_advance(session, 7)
            raise RuntimeError
        assert sent == []
        with database.read() as session:
            assert repository.counts(session) == {}

    def test_two_processes_asking_at_once_make_one_job(self, database: Database) -> None:
        found: list[int] = []
        barrier = threading.Barrier(8)

        def ask() -> None:
            barrier.wait()
            found.append(_enqueue(database))

        _run_together(ask, 8)
        assert len(found) == 8
        assert len(set(found)) == 1


class TestLease:
    def test_of_many_workers_one_gets_it(self, database: Database) -> None:
        job = _enqueue(database)
        won: list[str] = []
        barrier = threading.Barrier(8)

        def race() -> None:
            owner = new_owner()
            barrier.wait()
            if _lease(database, job, owner):
                won.append(owner)

        _run_together(race, 8)
        assert len(won) == 1
        assert _get(database, job).lease_owner == won[0]
        assert _get(database, job).attempts == 1

    @pytest.mark.parametrize("state", ["unknown", "running", "done"])
    def test_nobody_gets_what_is_not_waiting(self, database: Database, state: str) -> None:
        job = _enqueue(database)
        if state != "unknown":
            assert _lease(database, job)
        if state == "done":
            with database.write() as session:
                repository.finish(session, job, "a", NOW)
        assert not _lease(database, job + (1000 if state == "unknown" else 0), "b")

    def test_a_heartbeat_extends_and_tells_what_was_lost(self, database: Database) -> None:
        mine, lost = _enqueue(database), _enqueue(database, "2")
        assert _lease(database, mine)
        assert _lease(database, lost, "b")
        with database.write() as session:
            assert repository.heartbeat(session, "a", [mine, lost], LEASE, NOW + 4) == {mine}
        assert _get(database, mine).lease_until == NOW + 4 + LEASE
        assert _get(database, lost).lease_until == NOW + LEASE

    @pytest.mark.parametrize("how", ["finish", "fail", "postpone", "drop"])
    def test_whoever_lost_the_lease_cannot_end_the_job(self, database: Database, how: str) -> None:
        job = _enqueue(database)
        _lease(database, job)
        with database.write() as session:
            repository.reap(session, NOW + LEASE + 1)
        assert _lease(database, job, "b", NOW + LEASE + 1)
        with database.write() as session:
            result = {
                "finish": lambda: repository.finish(session, job, "a", NOW),
                "fail": lambda: repository.fail(session, job, "a", "late", NOW),
                "postpone": lambda: repository.postpone(session, job, "a", 1.0, NOW),
                "drop": lambda: repository.drop_lease(session, job, "a", NOW) or None,
            }[how]()
        assert result is None
        assert (_get(database, job).state, _get(database, job).lease_owner) == (RUNNING, "b")


class TestReaper:
    def test_a_lease_that_ran_out_goes_back_and_is_sent_again(self, database: Database) -> None:
        job = _enqueue(database)
        _lease(database, job)
        with database.write() as session:
            assert repository.reap(session, NOW + LEASE - 1) == []
        with database.write() as session:
            assert repository.reap(session, NOW + LEASE + 1) == [JobMessage("advance_project", job)]
        assert "ran out" in (_get(database, job).last_error or "")
        assert _lease(database, job, "b", NOW + LEASE + 1)

    def test_a_message_lost_between_commit_and_broker_is_sent_again(self, database: Database) -> None:
        """The process dies after the commit: the row is there, the message never was."""

        def dies(messages: object) -> None:
            raise KeyboardInterrupt

        database.send_jobs = dies
        with pytest.raises(KeyboardInterrupt):
            _enqueue(database)
        with database.write() as session:
            assert repository.reap(session, NOW + 1) == []
        with database.write() as session:
            (message,) = repository.reap(session, NOW + 2.5)
        assert _lease(database, message.job_id, now=NOW + 2.5)

    def test_what_was_sent_a_moment_ago_is_not_sent_again(self, database: Database) -> None:
        _enqueue(database)
        with database.write() as session:
            assert len(repository.reap(session, NOW + 3)) == 1
        with database.write() as session:
            assert repository.reap(session, NOW + 4) == []
        with database.write() as session:
            assert len(repository.reap(session, NOW + 6)) == 1

    def test_two_reapers_at_once_send_each_job_once(self, database: Database) -> None:
        for key in range(20):
            _enqueue(database, str(key))
        sent: list[JobMessage] = []
        barrier = threading.Barrier(4)

        def reap() -> None:
            barrier.wait()
            with database.write() as session:
                sent.extend(repository.reap(session, NOW + 3))

        _run_together(reap, 4)
        assert len(sent) == len(set(sent)) == 20

    def test_a_job_that_kills_every_worker_is_given_up(self, database: Database) -> None:
        job, now = _enqueue(database, max_attempts=3), NOW
        for _ in range(3):
            assert _lease(database, job, now=now)
            now += LEASE + 1
            with database.write() as session:
                repository.reap(session, now)
        assert _get(database, job).state == FAILED
        with database.read() as session:
            assert [one.id for one in repository.failed(session)] == [job]

    def test_a_dead_predecessor_is_not_waited_for(self, database: Database) -> None:
        job = _enqueue(database)
        _lease(database, job, "host/1/dead")
        with database.write() as session:
            assert [one.lease_owner for one in repository.running(session)] == ["host/1/dead"]
            assert repository.drop_lease(session, job, "host/1/dead", NOW)
        assert _lease(database, job, "b")


class TestFailure:
    def test_the_pause_doubles_and_ends(self, database: Database) -> None:
        job, pauses, now = _enqueue(database, max_attempts=9), [], NOW
        for _ in range(8):
            assert _lease(database, job, now=now)
            with database.write() as session:
                repository.fail(session, job, "a", "the chain is down", now)
            pauses.append(_get(database, job).run_after - now)
            assert not _lease(database, job, now=now + pauses[-1] - 0.01)
            now += pauses[-1]
        assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
        assert _get(database, job).last_error == "the chain is down"

    def test_used_up_attempts_fail_it_and_free_the_key(self, database: Database) -> None:
        job = _enqueue(database, max_attempts=1)
        _lease(database, job)
        with database.write() as session:
            repository.fail(session, job, "a", "no", NOW)
        assert _get(database, job).state == FAILED
        assert _enqueue(database) != job

    def test_a_request_that_came_meanwhile_is_not_lost_with_the_last_attempt(self, database: Database) -> None:
        job = _enqueue(database, max_attempts=1)
        _lease(database, job)
        _enqueue(database)
        with database.write() as session:
            repository.fail(session, job, "a", "no", NOW)
        assert (_get(database, job).state, _get(database, job).attempts) == (QUEUED, 0)

    def test_hopeless_jobs_are_not_tried_again(self, database: Database) -> None:
        job = _enqueue(database)
        _lease(database, job)
        with database.write() as session:
            repository.fail(session, job, "a", "nonsense", NOW, retry=False)
        assert _get(database, job).state == FAILED

    def test_postponing_counts_no_attempt(self, database: Database) -> None:
        job = _enqueue(database)
        for turn in range(20):
            assert _lease(database, job, now=NOW + turn)
            with database.write() as session:
                repository.postpone(session, job, "a", 1.0, NOW + turn)
            assert not _lease(database, job, now=NOW + turn + 0.5)
        assert (_get(database, job).attempts, _get(database, job).last_error) == (0, None)

    def test_done_jobs_are_forgotten_after_a_while(self, database: Database) -> None:
        job, waiting = _enqueue(database), _enqueue(database, "2")
        _lease(database, job)
        with database.write() as session:
            repository.finish(session, job, "a", NOW)
        with database.write() as session:
            assert repository.forget_done(session, NOW) == 0
            assert repository.forget_done(session, NOW + 1) == 1
            assert repository.get(session, waiting) is not None


def _run_together(work, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
