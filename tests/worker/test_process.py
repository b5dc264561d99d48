"""The worker as a process: rounds go on, SIGTERM ends it soon, SIGKILL loses nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from functools import partial

import pytest
from cohort_backend.jobs import repository as jobs
from cohort_backend.jobs.broker import JobSender, celery_app
from cohort_backend.settlements import repository as settlements
from cohort_protocol.phases import Phase

from tests.fixtures.chain import Devnet
from tests.worker.processes import COHORT, Running, freeze, picture, running, worker, worker_environment
from tests.worker.stage import Stage, wait_until


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A stage whose intake wakes the worker through the broker, as the API does."""
    stage = make_stage(rounds=2)
    stage.database.send_jobs = JobSender(celery_app(stage.settings().broker_url.get_secret_value()))
    return stage


def _commit(stage: Stage) -> None:
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)


def _reveal(stage: Stage) -> None:
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())


def _indexed(stage: Stage, phase: Phase, number: int = 1) -> None:
    """Waits until chain and database agree on the phase."""
    from cohort_backend.chain.repository import chain_now
    from cohort_backend.rounds import repository as rounds
    from cohort_backend.rounds.phase import phase_of

    def there() -> bool:
        with stage.database.read() as session:
            found = rounds.newest(session, stage.project)
            if found is None or found.number < number:
                return False
            return found.number > number or phase_of(found, chain_now(session), stage.terms.min_trainers) >= phase

    wait_until(there, 20, lambda: f"phase {phase.name} of round {number}\n{picture(stage)}")


def _proposed(stage: Stage, number: int = 1) -> None:
    def there() -> bool:
        with stage.database.read() as session:
            return settlements.proposal(session, stage.project, number) is not None

    wait_until(there, 20, lambda: f"a proposal\n{picture(stage)}")


def test_a_worker_runs_a_project_to_its_end(stage: Stage) -> None:
    with running(partial(worker, stage)) as process:
        for number in (1, 2):
            _indexed(stage, Phase.COMMIT, number)
            _commit(stage)
            _indexed(stage, Phase.REVEAL, number)
            _reveal(stage)
            _indexed(stage, Phase.SETTLE, number)
            _proposed(stage, number)
            stage.sign_settlement(stage.proposal())
            if number == 1:
                _indexed(stage, Phase.COMMIT, 2)
        wait_until(lambda: stage.phase() is Phase.FINAL, 20, "the last settlement")
        # The chain is settled a moment before the worker has its receipt and says so.
        wait_until(lambda: len(process.events("step_done")) == 10, 20, "the last line of the worker's log")
        steps = [event["step"] for event in process.events("step_done")]
        assert steps == ["approve", "bond", *["open", "commit", "reveal", "settle"] * 2], process.tail()
        assert all(event["gas"] > 0 and event["tx"].startswith("0x") for event in process.events("step_done"))
        assert process.events("round_evaluated")
        assert process.stop() == 0, process.tail()
        assert process.events("worker_stopped")
        with stage.database.read() as session:
            # The last look at the project may still be queued.
            assert set(jobs.counts(session)) <= {"done", "queued"}


def test_a_worker_killed_in_every_phase_goes_on_where_it_was(stage: Stage) -> None:
    """What is handed in while nobody is there is found by the next one, on the filesystem broker too."""
    process = worker(stage)

    def killed_while(act: Callable[[], object]) -> Running:
        freeze(process, stage)  # the messages reach a process that will never take them
        act()
        process.kill()
        return worker(stage)

    try:
        process = killed_while(lambda: None)
        _indexed(stage, Phase.COMMIT)
        process = killed_while(partial(_commit, stage))
        _indexed(stage, Phase.REVEAL)
        process = killed_while(partial(_reveal, stage))
        _indexed(stage, Phase.SETTLE)
        process = killed_while(lambda: None)
        _proposed(stage)
        process = killed_while(lambda: stage.sign_settlement(stage.proposal()))
        _indexed(stage, Phase.COMMIT, 2)
        assert stage.market.round_of(stage.project, 1).phase is Phase.FINAL
        assert process.stop() == 0
    finally:
        if process.process.poll() is None:
            process.kill()
    words = "approve, bond, open, commit, reveal, settle, open: each once"
    assert stage.devnet.client.nonce(stage.aggregator.address) == 7, words


def test_a_job_taken_by_a_killed_worker_is_done_by_the_next(stage: Stage, devnet: Devnet) -> None:
    """The lease of the dead is dropped at once: the next worker does not wait for it to run out."""
    with running(partial(worker, stage, lease_seconds=600)) as process:
        _indexed(stage, Phase.COMMIT)
        devnet.control.set_automine(False)  # the batch will wait for a block, its job under lease
        _commit(stage)

        def under_lease() -> bool:
            with stage.database.read() as session:
                return any(job.kind == "advance_project" for job in jobs.running(session))

        wait_until(under_lease, 20, "the job under lease")
        wait_until(lambda: devnet.client.nonce(stage.aggregator.address, "pending") >= 4, 20, "the batch in the pool")
        process.kill()
    devnet.control.set_automine(True)
    with running(partial(worker, stage, lease_seconds=600)) as process:
        _indexed(stage, Phase.REVEAL)
        assert process.events("lease_dropped")
        assert stage.view().batch_count == 3
        assert devnet.client.nonce(stage.aggregator.address) == 4, "bond, opened, committed: each once"


def test_messages_that_never_arrive_are_sent_again(stage: Stage) -> None:
    stage.database.send_jobs = None  # the broker swallows everything
    with running(partial(worker, stage)):
        _indexed(stage, Phase.COMMIT)
        _commit(stage)
        _indexed(stage, Phase.REVEAL)


def test_a_chain_that_goes_away_is_waited_for(stage: Stage, devnet: Devnet) -> None:
    """The worker starts without its node, says so, and works when it comes back."""
    node = devnet.node.url
    with running(partial(worker, stage, chain_url="http://127.0.0.1:9")) as process:
        process.wait_for("schedule_waits")
        assert process.process.poll() is None
        assert process.stop() == 0
    with running(partial(worker, stage, chain_url=node)):
        _indexed(stage, Phase.COMMIT)


def test_redis_works_as_the_folder_does(stage: Stage, redis_url: str) -> None:
    stage.database.send_jobs = JobSender(celery_app(redis_url))
    process = worker(stage, broker_url=redis_url)
    try:
        _indexed(stage, Phase.COMMIT)
        freeze(process, stage)
        _commit(stage)
        process.kill()
        process = worker(stage, broker_url=redis_url)
        _indexed(stage, Phase.REVEAL)
        assert process.stop() == 0
    finally:
        if process.process.poll() is None:
            process.kill()


def test_settings_that_are_missing_are_named(stage: Stage) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COHORT_")}
    done = subprocess.run([*COHORT, "worker"], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    for name in ("COHORT_CHAIN_URL", "COHORT_MARKET", "COHORT_AGGREGATOR_KEYSTORE"):
        assert name in done.stderr
    wrong = {**environment, **worker_environment(stage)}
    stage.settings().aggregator_password_file.write_text("wrong\n")
    done = subprocess.run([*COHORT, "worker"], env=wrong, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "the password does not open" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_help_teaches() -> None:
    for arguments in (["worker", "--help"], ["witness", "run", "--help"]):
        done = subprocess.run([*COHORT, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert "Example" in done.stdout
