"""A round whose aggregator is gone, finished by another one: API, worker and witnesses as processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

from cohort_protocol.phases import Phase
from cohort_worker.rounds.advance import advance_project

from tests.worker.processes import picture, running, worker
from tests.worker.stage import SHORT, Stage, wait_until
from tests.worker.witness.test_process import Market

RUNNING = threading.Event()


def _accept_and_reveal(stage: Stage) -> None:
    """The rival accepts round 1, takes everything that is handed in, posts it, and is never seen again."""
    rival = stage.other_worker(stage.rival)

    def advance() -> None:
        rival.indexer.catch_up()
        advance_project(rival, stage.project, RUNNING)

    advance()
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer, database=rival.database)
    advance()
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer, database=rival.database)
    stage.post_receipts(stage.reveal_set(), database=rival.database)
    advance()
    assert (stage.view().acceptor, stage.phase()) == (stage.rival.address, Phase.SETTLE)


def test_another_aggregator_takes_over_after_ts_although_it_is_killed(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(rivals=True, windows=SHORT)
    _accept_and_reveal(stage)
    with ExitStack() as stack:
        market = Market(stage, stack)
        for index in range(3):
            market.add_witness(index)
        stage.devnet.control.warp_to(stage.view().acceptor_end)
        market.worker.wait_for("round_evaluated")
        market.worker.kill()
        again = stack.enter_context(running(lambda: worker(stage)))
        wait_until(
            lambda: stage.market.round_of(stage.project, 1).phase is Phase.FINAL,
            40,
            lambda: f"the settlement\n{picture(stage)}",
        )
        # And the next round is its own.
        wait_until(lambda: stage.round == 2, 20, lambda: f"round 2\n{picture(stage)}")
        assert stage.view().acceptor == stage.aggregator.address
        assert again.stop() == 0
    bond = stage.terms.bond
    ours = stage.market.bond_of(stage.project, stage.aggregator.address)
    assert ours.free + ours.locked == bond + bond // 2 + stage.terms.aggregator_fee
    theirs = stage.market.bond_of(stage.project, stage.rival.address)
    assert theirs.free + theirs.locked == 0
    assert stage.market.ledger_of(stage.project).balanced
    sent = stage.devnet.client.nonce(stage.aggregator.address)
    assert sent == 4, f"approve, bond, settle, open: each once\n{picture(stage)}"
