"""Commitments that nobody admitted: what was handed in is opened in time, and only who opened nothing is slashed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from cohort_backend.chain.models import ChainTransaction
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Resolution
from cohort_protocol.chain.packed import Opening
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.phases import Phase
from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.leases import Leases
from cohort_worker.rounds.advance import advance_project, look
from cohort_worker.rounds.planner import Rescue, SlashNoReveal
from cohort_worker.scheduler import Scheduler
from sqlalchemy import select

from tests.worker.stage import SHORT, Stage
from tests.worker.test_scheduler import finish_all

RUNNING = threading.Event()
LONG_RESCUE = replace(SHORT, rescue=1000)
"""The next round opens long before the stakes of this one are decided."""


def _advance(stage: Stage) -> bool:
    stage.parts.indexer.catch_up()
    return advance_project(stage.parts, stage.project, RUNNING)


def _sent(stage: Stage) -> list[str]:
    with stage.database.read() as session:
        entries = session.scalars(select(ChainTransaction).order_by(ChainTransaction.nonce))
        return [entry.intent.split()[0] for entry in entries]


def _to_reveal(stage: Stage) -> None:
    _advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    _advance(stage)
    assert stage.phase() is Phase.REVEAL


def _reveal(stage: Stage, count: int) -> None:
    """The first `count` trainers are admitted near tR; the others have opened nothing."""
    for trainer in stage.trainers[:count]:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set(stage.trainers[:count]))
    stage.devnet.control.warp_to(stage.view().reveal_end - 20)
    _advance(stage)
    assert stage.view().admitted == count


def _staked(stage: Stage) -> list[bool]:
    return [stage.market.member_of(stage.project, trainer.address).staked for trainer in stage.trainers]


def _tokens(stage: Stage) -> int:
    return stage.devnet.token.balance_of(stage.aggregator.address)


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    return make_stage(windows=SHORT)


# --- rescue -----------------------------------------------------------------------------------------------------------


def test_an_update_that_nobody_could_fetch_costs_its_pay_and_not_its_stake(stage: Stage) -> None:
    _advance(stage)
    lost = stage.trainers[0]
    stage.publish_elsewhere(lost, Cid(RAW, b"\x01" * 32))
    _to_reveal(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    stage.devnet.control.warp_to(stage.view().reveal_end - 20)
    _advance(stage)
    assert stage.view().admitted == 2
    stage.devnet.control.warp_to(stage.view().reveal_end)
    _advance(stage)
    assert (stage.view().unresolved, stage.phase()) == (0, Phase.SETTLE)
    assert _sent(stage)[-1] == "rescue"
    stage.devnet.control.warp_to(stage.view().rescue_end)
    _advance(stage)
    assert _staked(stage) == [True] * 3


def test_who_comes_too_late_for_pay_saves_the_stake(stage: Stage) -> None:
    _to_reveal(stage)
    _reveal(stage, 2)
    stage.devnet.control.warp_to(stage.view().reveal_end)
    _advance(stage)
    assert stage.view().unresolved == 1
    stage.hand_in_reveal(stage.trainers[2])
    _advance(stage)
    assert stage.view().unresolved == 0
    assert _sent(stage).count("rescue") == 1


def test_an_outage_of_ours_costs_no_stake(stage: Stage) -> None:
    """Everything was handed in and had its receipts; the worker was away until shortly before tG."""
    _to_reveal(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    stage.devnet.control.warp_to(stage.view().rescue_end - 2)
    _advance(stage)
    assert stage.market.round_of(stage.project, 1).phase is Phase.VOID
    with stage.database.read() as session:
        ends = [one.resolution for one in rounds.commits(session, stage.project, 1)]
    assert ends == [Resolution.RESCUED] * 3
    assert _sent(stage).count("rescue") == 1, "one transaction for all"
    assert _staked(stage) == [True] * 3
    assert stage.round == 2, "and the project goes on"


def test_a_stake_that_we_failed_to_save_is_not_taken_by_us(stage: Stage) -> None:
    """Away beyond tG with openings in hand: their trainers are not to blame."""
    _to_reveal(stage)
    for trainer in stage.trainers[:2]:
        stage.hand_in_reveal(trainer)
    stage.devnet.control.warp_to(stage.view().rescue_end)
    _advance(stage)
    assert _staked(stage) == [True, True, False], "the third had opened nothing"
    stage.parts.indexer.catch_up()
    assert not [step for step in look(stage.parts, stage.project).steps if isinstance(step, SlashNoReveal | Rescue)]


def test_wrong_openings_by_strangers_keep_nobody_out(stage: Stage) -> None:
    """Anybody may send a wrong opening for a commitment; the chain skips it and says so."""
    _to_reveal(stage)
    victim = stage.trainers[0]
    wrong = Opening(stage.number_of(victim), b"\x01" * 32, bytes(stage.update_of(victim).cid), b"\x02" * 32)
    with stage.database.read() as session:
        batch = rounds.batch(session, stage.project, 1)
    stage.devnet.send(stage.devnet.account("anyone"), stage.market.reveal(stage.project, 1, batch, [wrong], []))
    stage.parts.indexer.catch_up()
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    _advance(stage)
    assert (stage.view().admitted, stage.phase()) == (3, Phase.SETTLE)


def test_a_rescue_in_an_older_round(make_stage: Callable[..., Stage]) -> None:
    """Round 1 was settled at once and round 2 is running when the third trainer comes back."""
    stage = make_stage(windows=LONG_RESCUE)
    _to_reveal(stage)
    _reveal(stage, 2)
    stage.devnet.control.warp_to(stage.view().reveal_end)
    _advance(stage)
    assert evaluate_round(stage.parts, stage.project, 1)
    stage.sign_settlement(stage.proposal())
    _advance(stage)
    assert stage.round == 2
    assert stage.market.round_of(stage.project, 1).unresolved == 1
    stage.hand_in_reveal(stage.trainers[2], 1)
    stage.parts.indexer.catch_up()
    assert Rescue(stage.project, 1, (3,)) in look(stage.parts, stage.project).steps
    _advance(stage)
    assert stage.market.round_of(stage.project, 1).unresolved == 0
    assert _staked(stage) == [True] * 3


# --- slashing ---------------------------------------------------------------------------------------------------------


def test_who_opened_nothing_is_slashed_after_tg(stage: Stage) -> None:
    _to_reveal(stage)
    _reveal(stage, 2)
    stage.devnet.control.warp_to(stage.view().rescue_end - 1)
    _advance(stage)
    assert _staked(stage) == [True] * 3, "not before tG"
    before = _tokens(stage)
    stage.devnet.control.warp_to(stage.view().rescue_end)
    _advance(stage)
    assert _staked(stage) == [True, True, False]
    assert _tokens(stage) - before == stage.terms.stake // 10
    assert _sent(stage).count("slash") == 1
    assert stage.market.losses_of(stage.trainers[2].address) >= 0
    ledger = stage.market.ledger_of(stage.project)
    assert ledger.stakes_burned == stage.terms.stake - stage.terms.stake // 10


def test_several_are_slashed_in_one_transaction_and_one_that_was_slashed_already_stops_nobody(
    make_stage: Callable[..., Stage],
) -> None:
    stage = make_stage(trainers=5, windows=SHORT)
    _to_reveal(stage)
    _reveal(stage, 2)
    stage.devnet.control.warp_to(stage.view().rescue_end)
    stage.parts.indexer.catch_up()
    steps = look(stage.parts, stage.project).steps
    assert SlashNoReveal(stage.project, 1, (3, 4, 5)) in steps
    with stage.database.read() as session:
        batch = rounds.batch(session, stage.project, 1)
    stage.devnet.send(stage.devnet.account("anyone"), stage.market.slash_no_reveal(stage.project, 1, 4, batch))
    advance_project(stage.parts, stage.project, RUNNING)  # with the picture from before
    assert _staked(stage) == [True, True, False, False, False]
    assert _sent(stage).count("slash") == 1


def test_slashing_in_an_older_round_until_the_window_ends(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=replace(SHORT, rescue=300))
    _to_reveal(stage)
    _reveal(stage, 2)
    stage.devnet.control.warp_to(stage.view().reveal_end)
    _advance(stage)
    assert evaluate_round(stage.parts, stage.project, 1)
    stage.sign_settlement(stage.proposal())
    _advance(stage)
    assert stage.round == 2
    end = stage.market.round_of(stage.project, 1)
    stage.devnet.control.warp_to(end.rescue_end - 10)  # round 2 is closed and round 3 opened before, a block each
    _advance(stage)
    assert _staked(stage) == [True] * 3
    stage.devnet.control.warp_to(end.rescue_end)
    _advance(stage)
    assert _staked(stage) == [True, True, False]


def test_the_window_closes(stage: Stage) -> None:
    _to_reveal(stage)
    _reveal(stage, 2)
    stage.devnet.control.warp_to(stage.view().slash_end)
    _advance(stage)
    assert _staked(stage) == [True] * 3
    assert "slash" not in _sent(stage)


def test_a_round_without_reveals_punishes_nobody(stage: Stage) -> None:
    """Void at tC for want of commitments: who did commit had nothing to open."""
    _advance(stage)
    stage.hand_in_commit(stage.trainers[0])
    stage.devnet.control.warp_to(stage.view().commit_end - 20)
    _advance(stage)
    assert stage.view().batch_count == 1
    stage.devnet.control.warp_to(stage.view().rescue_end)
    _advance(stage)
    assert _staked(stage) == [True] * 3
    assert "slash" not in _sent(stage)
    assert stage.round == 2


def test_the_scheduler_wakes_for_stakes_of_a_project_that_is_over(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=SHORT, rounds=1)
    _to_reveal(stage)
    _reveal(stage, 2)
    stage.devnet.control.warp_to(stage.view().reveal_end)
    _advance(stage)
    assert evaluate_round(stage.parts, stage.project, 1)
    stage.sign_settlement(stage.proposal())
    _advance(stage)
    assert stage.phase() is Phase.FINAL
    scheduler = Scheduler(stage.parts, Leases(stage.database, stage.parts.owner, 5), [].extend, threading.Event())
    finish_all(stage)
    assert scheduler._idle_projects() == [stage.project]
    stage.devnet.control.warp_to(stage.market.round_of(stage.project, 1).rescue_end)
    _advance(stage)
    assert _staked(stage) == [True, True, False]
    finish_all(stage)
    assert scheduler._idle_projects() == []
