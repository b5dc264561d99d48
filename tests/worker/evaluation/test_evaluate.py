"""Step 6: the same bytes every time, whoever computes them and however often they were interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cohort_backend.jobs import repository as jobs
from cohort_backend.jobs.models import FAILED, QUEUED, Job
from cohort_backend.settlements import repository as settlements
from cohort_protocol.bundle import RoundBundle, recompute
from cohort_protocol.errors import InvalidInput
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.phases import Phase
from cohort_worker.evaluation.evaluate import evaluate_round, gather_inputs
from cohort_worker.leases import Leases
from cohort_worker.rounds.advance import advance_project, look
from cohort_worker.rounds.planner import Evaluate
from cohort_worker.rounds.steps import perform
from cohort_worker.tasks import JobRunner
from sqlalchemy import select

from tests.worker.stage import SHORT, Stage

RUNNING = threading.Event()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A round that waits for its outcome."""
    stage = make_stage(windows=SHORT)
    to_settle(stage)
    return stage


def to_settle(stage: Stage) -> None:
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    advance(stage)
    assert stage.phase() is Phase.SETTLE


def advance(stage: Stage) -> None:
    stage.parts.indexer.catch_up()
    advance_project(stage.parts, stage.project, RUNNING)


def run_jobs(stage: Stage, kind: str) -> None:
    """Runs the queued jobs of a kind as a worker would, once."""
    runner = JobRunner(stage.parts, Leases(stage.database, stage.parts.owner, 5), RUNNING)
    with stage.database.read() as session:
        ids = list(session.scalars(select(Job.id).where(Job.kind == kind, Job.state == QUEUED)))
    assert ids, f"no job of kind {kind} is queued"
    for job_id in ids:
        runner.run(job_id)


def newest_job(stage: Stage, kind: str) -> Job:
    with stage.database.read() as session:
        return session.scalars(select(Job).where(Job.kind == kind).order_by(Job.id.desc()).limit(1)).one()


def test_the_worker_and_a_witness_come_to_the_same_bytes(stage: Stage) -> None:
    assert evaluate_round(stage.parts, stage.project, 1)
    proposal = stage.proposal()
    published = stage.store.get(Cid.parse(proposal.bundle_cid), 2**20)
    assert recompute(stage.inputs(), stage.store).bundle_bytes == published
    bundle = RoundBundle.from_bytes(published)
    assert (bundle.project, bundle.round) == (stage.project, 1)
    assert stage.store.has(Cid.parse(proposal.next_model.cid))


def test_a_second_run_changes_nothing(stage: Stage) -> None:
    assert evaluate_round(stage.parts, stage.project, 1)
    first = stage.proposal()
    assert not evaluate_round(stage.parts, stage.project, 1)
    assert stage.proposal() == first


def test_two_runs_at_once_come_to_one_proposal(stage: Stage) -> None:
    stage.store.put(b"warm")
    errors: list[BaseException] = []

    def work() -> None:
        try:
            evaluate_round(stage.parts, stage.project, 1)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with stage.database.read() as session:
        assert settlements.proposal(session, stage.project, 1) is not None


@pytest.mark.parametrize("after", ["model", "bundle"])
def test_a_run_that_dies_while_publishing_is_run_again_to_the_same_bytes(stage: Stage, after: str) -> None:
    """Dead between publishing and proposing: nothing was proposed, what was published is published again."""
    with stage.database.read() as session:
        from cohort_backend.projects import repository as projects

        project = projects.get(session, stage.project)
        assert project is not None
    done = recompute(gather_inputs(stage.parts, project, 1, stage.spec), stage.store)
    stage.store.put(done.model_bytes)
    if after == "bundle":
        stage.store.put(done.bundle_bytes)
    assert evaluate_round(stage.parts, stage.project, 1)
    assert stage.proposal().bundle_cid == str(done.bundle_cid)


def test_past_rounds_are_part_of_the_outcome(stage: Stage) -> None:
    assert evaluate_round(stage.parts, stage.project, 1)
    stage.sign_settlement(stage.proposal())
    advance(stage)
    assert stage.round == 2
    to_settle(stage)
    assert evaluate_round(stage.parts, stage.project, 2)
    bundle = RoundBundle.from_bytes(stage.store.get(Cid.parse(stage.proposal().bundle_cid), 2**20))
    assert [model.cid for model in bundle.past_models] == [stage.spec.model.initial_cid]
    assert len(bundle.gram) == len(bundle.rows) + 1
    assert recompute(stage.inputs(), stage.store).bundle == bundle


def _hide(stage: Stage) -> tuple[Path, Path]:
    """Takes an admitted update out of the store."""
    block = stage.store._path(stage.update_of(stage.trainers[0]).cid)
    hidden = block.with_suffix(".hidden")
    block.rename(hidden)
    return block, hidden


def test_an_update_that_cannot_be_fetched_any_more_is_asked_for_again(stage: Stage) -> None:
    block, hidden = _hide(stage)
    with pytest.raises(ContentNotFound):
        evaluate_round(stage.parts, stage.project, 1)
    run_jobs(stage, "evaluate_round")
    job = newest_job(stage, "evaluate_round")
    assert (job.state, job.attempts) == (QUEUED, 0), "postponed, and no attempt counted"
    assert not look(stage.parts, stage.project).steps, "the planner does not cut the pause short"
    hidden.rename(block)
    with stage.database.write() as session:
        jobs.get(session, job.id).run_after = 0
    run_jobs(stage, "evaluate_round")
    assert stage.proposal().bundle_cid


def test_an_update_that_never_comes_back_ends_in_an_equal_split(stage: Stage) -> None:
    _hide(stage)
    run_jobs(stage, "evaluate_round")
    stage.devnet.control.warp_to(stage.view().settle_end)
    advance(stage)
    assert stage.market.round_of(stage.project, 1).phase is Phase.DEFAULTED
    assert not evaluate_round(stage.parts, stage.project, 1), "a round that is over has no outcome to compute"


def test_an_outcome_that_can_never_follow_is_given_up_in_words(stage: Stage) -> None:
    """A quorum admitted bytes that are not what was committed to: nothing will ever come of it."""
    from cohort_backend.rounds.models import Row

    with stage.database.write() as session:
        row = session.get(Row, (stage.project, 1, 0))
        assert row is not None
        row.cid = str(stage.store.put(b"garbage"))
    with pytest.raises(InvalidInput):
        evaluate_round(stage.parts, stage.project, 1)
    perform(stage.parts, Evaluate(stage.project, 1))  # the hash of the admitted rows is another one now
    run_jobs(stage, "evaluate_round")
    assert newest_job(stage, "evaluate_round").state == FAILED
    found = look(stage.parts, stage.project)
    assert found.steps == ()
    assert "update-malformed" in found.waiting_for
    stage.devnet.control.warp_to(stage.view().settle_end)
    advance(stage)
    assert stage.market.round_of(stage.project, 1).phase is Phase.DEFAULTED
