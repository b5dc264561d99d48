"""What a witness reads of the chain by itself: the same as the indexed projection, reorgs included."""

from __future__ import annotations

from cohort_backend.rounds import repository as rounds
from cohort_protocol.phases import Phase
from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.witness.history import ChainHistory

from tests.worker.evaluation.test_evaluate import advance, to_settle
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
    assert current.commitments() == {trainer.address: stage.commitment_of(trainer) for trainer in stage.trainers}
    assert (current.reveal_start, current.reveal_end) == (stage.view().reveal_start, stage.view().reveal_end)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    advance(stage)
    history.refresh()
    with stage.database.read() as session:
        expected = [(row.trainer, row.update) for row in rounds.rows(session, stage.project, 1)]
    assert [(trainer, update) for trainer, update, _ in current.rows] == expected
    assert current.decided() == {trainer.address for trainer in stage.trainers}
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
    own = stage.trainers[0]
    other = b"\x07" * 32
    stage.devnet.send(own, stage.market.commit_self(stage.project, 1, other))
    history = _history(stage)
    history.refresh()
    found = history.round(stage.project, 1)
    assert found is not None
    assert found[1].commitments() == {own.address: other}


def test_a_reorg_is_read_again(stage: Stage) -> None:
    history = _history(stage)
    fork = stage.devnet.control.snapshot()
    advance(stage)
    history.refresh()
    assert history.round(stage.project, 1) is not None
    stage.devnet.control.revert(fork)
    stage.devnet.control.mine(1)
    history.refresh()
    assert history.round(stage.project, 1) is None
    stage.devnet.send(stage.aggregator, stage.market.open_round(stage.project))
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
