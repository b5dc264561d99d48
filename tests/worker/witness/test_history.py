"""What a witness reads of the chain by itself: the same as the indexed projection, reorgs included."""

from __future__ import annotations

from cohort_backend.rounds import repository as rounds
from cohort_protocol.chain.events import LogPosition, ModelDropped, RoundOpened, RoundSettled
from cohort_protocol.chain.types import NextModel
from cohort_protocol.commitments import admitted_hash
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.rounds.planner import PostCommits
from cohort_worker.rounds.steps import perform
from cohort_worker.witness.history import ChainHistory, ProjectHistory

from tests.worker.evaluation.test_evaluate import advance, to_settle
from tests.worker.rounds.test_steps import spoil
from tests.worker.stage import Stage


def _history(stage: Stage, **options) -> ChainHistory:
    return ChainHistory(stage.devnet.client, stage.market, **{"start_block": stage.devnet.deployment.block, **options})


def test_a_round_is_followed_from_open_to_settled(stage: Stage) -> None:
    history = _history(stage)
    history.refresh()
    assert history.round(stage.project, 1) is None
    advance(stage)
    history.refresh()
    found = history.round(stage.project, 1)
    assert found is not None
    project, current = found
    assert current.model == stage.terms.initial_model
    assert current.commitments() == {}
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    advance(stage)
    history.refresh()
    assert project.trainers == {stage.number_of(trainer): trainer.address for trainer in stage.trainers}
    assert current.commitments() == {stage.number_of(one): stage.commitment_of(one) for one in stage.trainers}
    assert (current.reveal_start, current.reveal_end) == (stage.view().reveal_start, stage.view().reveal_end)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    advance(stage)
    history.refresh()
    with stage.database.read() as session:
        expected = [(row.member, row.trainer, row.update, row.cid) for row in rounds.rows(session, stage.project, 1)]
    (found_rows,) = project.admissions_of(current)
    assert admitted_hash(current.admissions) == stage.view().admitted_hash
    assert [(member, who, update, str(Cid.from_bytes(cid))) for member, who, update, cid in found_rows] == expected
    assert current.decided() == {1, 2, 3}
    assert not current.ended
    assert evaluate_round(stage.parts, stage.project, 1)
    stage.sign_settlement(stage.proposal())
    advance(stage)
    history.refresh()
    assert current.ended
    model = stage.market.progress_of(stage.project).model
    assert [commitment for commitment, _ in project.settled_before(2)] == [model]
    assert project.settled_before(1) == []


def test_a_self_posted_commitment_takes_the_leafs_place(stage: Stage) -> None:
    advance(stage)
    for trainer in stage.trainers[:2]:
        stage.hand_in_commit(trainer)
    perform(stage.parts, PostCommits(stage.project, 1))
    stage.parts.indexer.catch_up()
    own, other = stage.trainers[0], b"\x07" * 32
    with stage.database.read() as session:
        batch = rounds.batch(session, stage.project, 1)
    number = stage.number_of(own)
    stage.devnet.send(own, stage.market.commit_self(stage.project, 1, number, other, batch))
    history = _history(stage)
    history.refresh()
    found = history.round(stage.project, 1)
    assert found is not None
    assert found[1].commitments() == {1: other, 2: stage.commitment_of(stage.trainers[1])}


def test_a_leaf_that_was_passed_over_is_no_commitment(stage: Stage) -> None:
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    spoil(stage, stage.trainers[1])
    advance(stage)
    history = _history(stage)
    history.refresh()
    found = history.round(stage.project, 1)
    assert found is not None
    assert sorted(found[1].commitments()) == [1, 3]


def test_a_model_that_was_dropped_is_no_step() -> None:
    at = LogPosition(1, 0, b"\x00" * 32, b"\x00" * 32)
    project = ProjectHistory()
    model, cid = b"\x01" * 32, b"\x01\x55\x12\x20" + b"\x02" * 32
    who = "0x" + "11" * 20
    project.apply(RoundOpened(at, 1, 1, who, b"\x09" * 32, 10, 3, 100, 200, 300))
    project.apply(RoundSettled(at, 1, 1, who, b"\x00" * 27, NextModel(model, cid), cid, 0, 0, ()))
    assert project.settled_before(2) == [(model, cid)]
    project.apply(ModelDropped(at, 1, b"\x05" * 32))
    assert project.settled_before(2) == [(model, cid)], "another one"
    project.apply(ModelDropped(at, 1, model))
    assert project.settled_before(2) == []


def test_a_reorg_is_read_again(stage: Stage) -> None:
    history = _history(stage)
    fork = stage.devnet.control.snapshot()
    advance(stage)
    history.refresh()
    assert history.round(stage.project, 1) is not None
    stage.devnet.control.revert(fork)
    stage.devnet.control.mine(3)
    history.refresh()
    assert history.round(stage.project, 1) is None
    advance(stage)
    history.refresh()
    assert history.round(stage.project, 1) is not None


def test_only_the_newest_rounds_are_kept(stage: Stage) -> None:
    history = _history(stage)
    for _ in range(3):
        to_settle(stage)
        assert evaluate_round(stage.parts, stage.project, stage.round)
        stage.sign_settlement(stage.proposal())
        advance(stage)
    assert stage.phase() is Phase.FINAL
    history.refresh()
    assert history.round(stage.project, 1) is None
    found = history.round(stage.project, 3)
    assert found is not None
    assert [number for number, _, _ in found[0].settled] == [1, 2, 3]
    assert found[0].settled_before(3) == [(model, cid) for _, model, cid in found[0].settled[:2]]
