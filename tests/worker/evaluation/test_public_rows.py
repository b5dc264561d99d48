"""A round with a validation batch through the worker: rows computed, signed, posted, and judged by; or done without."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cohort_backend.jobs.models import FAILED
from cohort_backend.public_rows import repository as public_rows
from cohort_backend.public_rows import service as rows_service
from cohort_protocol.bundle import RoundBundle
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.phases import Phase
from cohort_protocol.round_rows import fetch_manifest
from cohort_trainer.cli import app
from cohort_trainer.connection import Connection
from cohort_trainer.home import Home, HomeConfig
from cohort_trainer.verdicts import judged_round, verdict_lines
from cohort_worker.evaluation.evaluate import gather_inputs
from cohort_worker.evaluation.public_rows import propose_rows
from cohort_worker.rounds.advance import look
from cohort_worker.rounds.margins import rows_due
from cohort_worker.witness.public_rows import RowsChecker, make_rows_refusal, make_rows_signature, rows_are_missing
from pydantic import SecretStr
from typer.testing import CliRunner

from tests.worker.evaluation.test_evaluate import advance, newest_job, run_jobs
from tests.worker.stage import SHORT, Stage


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A round whose updates were handed in and are endorsed; its batch is not revealed."""
    stage = make_stage(windows=SHORT, policy="default", batches=True)
    to_reveals(stage)
    return stage


def to_reveals(stage: Stage) -> None:
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    advance(stage)


def with_batch(stage: Stage) -> None:
    stage.reveal_batch()
    advance(stage)
    assert stage.phase() is Phase.SETTLE


def proposed(stage: Stage) -> bytes:
    with stage.database.read() as session:
        found = public_rows.proposal(session, stage.project, stage.round)
    assert found is not None
    return found.rows


def sign_rows(stage: Stage, count: int = 2) -> None:
    """Witnesses compute their own and sign, through the API's intake."""
    rows = proposed(stage)
    checker = RowsChecker(stage.store)
    for witness in stage.witnesses[:count]:
        checker.check(rows, stage.inputs(), stage.spec)
        word = make_rows_signature(witness, stage.identity, stage.key, to_hex(rows))
        rows_service.record_signature(stage.database, stage.identity, stage.project, stage.round, word)


def connection_of(stage: Stage) -> Connection:
    """A trainer's, whose service is away."""
    deployment = stage.devnet.deployment
    config = HomeConfig(
        address=stage.trainers[0].address,
        service_url="http://127.0.0.1:9",
        chain_url=stage.devnet.node.url,
        chain_id=deployment.chain_id,
        market=deployment.market,
        verifier=deployment.verifier,
        ipfs_url=f"file://{stage.home}/ipfs",
    )
    return Connection(config)


def bundle_of(stage: Stage) -> RoundBundle:
    return RoundBundle.from_bytes(stage.store.get(Cid.parse(stage.proposal().bundle_cid), 2**20))


def test_reveals_wait_for_the_batch_and_not_for_ever(stage: Stage) -> None:
    assert stage.phase() is Phase.REVEAL
    assert "validation batch" in look(stage.parts, stage.project).waiting_for
    view = stage.view()
    stage.devnet.control.warp_to((view.reveal_start + view.reveal_end) // 2 + 1)
    advance(stage)
    assert stage.phase() is Phase.SETTLE
    run_jobs(stage, "evaluate_round")
    bundle = bundle_of(stage)
    assert bundle.evidence.fallback == "batch-not-revealed"
    assert all("not revealed" in verdict.sentence for verdict in bundle.verdicts)


def test_a_round_is_judged_by_posted_rows(stage: Stage) -> None:
    with_batch(stage)
    assert look(stage.parts, stage.project).waiting_for == "the public rows"
    run_jobs(stage, "compute_rows")
    first = proposed(stage)
    assert rows_are_missing(stage.inputs())
    sign_rows(stage)
    advance(stage)
    assert stage.view().public_rows == first
    run_jobs(stage, "evaluate_round")
    evidence = bundle_of(stage).evidence
    assert (evidence.fallback, evidence.manifest) == ("none", str(Cid(RAW, first)))
    assert evidence.values == fetch_manifest(stage.store, first).values
    stage.sign_settlement(stage.proposal())
    advance(stage)
    assert stage.market.round_of(stage.project, 1).phase is Phase.FINAL
    judged = judged_round(connection_of(stage), stage.project)
    assert (judged.round, judged.judged_by) == (1, "policy default, by the round's validation batch")
    assert sorted(one.verdict.trainer for one in judged.trainers) == sorted(one.address for one in stage.trainers)
    assert sum(one.pay for one in judged.trainers) > 0
    assert any("rank" in line for one in judged.trainers for line in verdict_lines(one, "1 token"))
    home = Home.create(
        stage.home / "owner", connection_of(stage).config, stage.trainers[0], SecretStr("password"), work_factor=2
    )
    shown = CliRunner().invoke(app, ["project", "verdicts", str(stage.project), "--home", str(home.root)])
    assert shown.exit_code == 0, shown.output
    assert f"Project {stage.project}, round 1, judged by policy default" in shown.output
    assert all(one.address in shown.output for one in stage.trainers)
    shown = CliRunner().invoke(app, ["project", "verdicts", str(stage.project), "--json", "--home", str(home.root)])
    assert json.loads(shown.stdout) == judged.as_json()
    # The next round's inputs know batch and rows of this one, from the database and from the chain.
    to_reveals(stage)
    with_batch(stage)
    run_jobs(stage, "compute_rows")
    with stage.database.read() as session:
        from cohort_backend.projects import repository as projects

        project = projects.get(session, stage.project)
        assert project is not None
        session.expunge(project)
    inputs = gather_inputs(stage.parts, project, 2, stage.spec)
    assert inputs == stage.inputs()
    assert inputs.remembered == first
    assert [number for number, _ in inputs.revealed] == [1]
    manifest = fetch_manifest(stage.store, proposed(stage))
    assert (manifest.revealed, manifest.remembered) == ([1], to_hex(first))
    assert manifest.layout.trainable


def test_running_it_again_gives_the_same_rows(stage: Stage) -> None:
    with_batch(stage)
    assert propose_rows(stage.parts, stage.project, 1)
    first = proposed(stage)
    assert not propose_rows(stage.parts, stage.project, 1), "there is a proposal"
    with stage.database.write() as session:
        found = public_rows.proposal(session, stage.project, 1)
        assert found is not None
        session.delete(found)
    assert propose_rows(stage.parts, stage.project, 1)
    assert proposed(stage) == first


def test_a_batch_that_is_none_is_done_without_at_once(stage: Stage) -> None:
    stage.reveal_batch(publish=False)
    digest = stage.view().validation
    # Other bytes under the card's name cannot be: the owner committed to rubbish if anything.
    advance(stage)
    with pytest.raises(ContentNotFound):
        propose_rows(stage.parts, stage.project, 1)
    with pytest.raises(ContentNotFound):
        RowsChecker(stage.store).impossible(stage.inputs(), stage.spec)
    view = stage.view()
    stage.devnet.control.warp_to(rows_due(view.reveal_end, view.acceptor_end) + 1)
    advance(stage)
    run_jobs(stage, "evaluate_round")
    evidence = bundle_of(stage).evidence
    assert evidence.fallback == "rows-not-posted"
    assert evidence.batch == str(Cid(RAW, digest))


def test_a_malformed_batch_is_given_up_in_words(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    with_batch(stage)
    monkeypatch.setattr("cohort_protocol.learning.batches.MAX_BATCH_BYTES", 10)
    run_jobs(stage, "compute_rows")
    assert newest_job(stage, "compute_rows").state == FAILED
    assert "at most 10" in RowsChecker(stage.store).impossible(stage.inputs(), stage.spec)
    advance(stage)
    run_jobs(stage, "evaluate_round")
    assert bundle_of(stage).evidence.fallback == "rows-not-posted"


def test_rows_that_a_quorum_refuses_are_done_without(stage: Stage) -> None:
    with_batch(stage)
    run_jobs(stage, "compute_rows")
    for witness in stage.witnesses[:2]:
        word = make_rows_refusal(witness, stage.key, to_hex(proposed(stage)), "row v differs")
        rows_service.record_refusal(stage.database, stage.project, 1, word)
    advance(stage)
    run_jobs(stage, "evaluate_round")
    assert bundle_of(stage).evidence.fallback == "rows-not-posted"
