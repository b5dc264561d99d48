"""Two aggregators of one project: bonds, acceptance, and who settles when the other does not."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from cohort_protocol.chain import Token
from cohort_protocol.chain.types import Bond
from cohort_protocol.phases import Phase
from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.advance import advance_project, look
from cohort_worker.rounds.bond import BondUnfunded
from cohort_worker.rounds.planner import DepositBond, OpenRound, PostCommits, Settle
from cohort_worker.rounds.steps import perform
from structlog.testing import capture_logs

from tests.worker.stage import SHORT, Stage

RUNNING = threading.Event()


def _advance(parts: WorkerParts, project: int) -> bool:
    parts.indexer.catch_up()
    return advance_project(parts, project, RUNNING)


def _bond(stage: Stage, account=None) -> Bond:
    return stage.market.bond_of(stage.project, (account or stage.aggregator).address)


def _balance(stage: Stage, account=None) -> int:
    return Token(stage.devnet.client, stage.terms.token).balance_of((account or stage.aggregator).address)


# --- the bond ---------------------------------------------------------------------------------------------------------


def test_the_bond_is_brought_in_once_and_serves_round_after_round(stage: Stage) -> None:
    before = _balance(stage)
    for _ in range(2):
        _advance(stage.parts, stage.project)
    assert before - _balance(stage) == stage.terms.bond
    assert _bond(stage) == Bond(free=0, locked=stage.terms.bond)
    allowed = Token(stage.devnet.client, stage.terms.token).allowance(stage.aggregator.address, stage.market.address)
    assert allowed == 0, "no more is allowed than was needed"


def test_an_account_with_too_few_tokens_is_named_and_the_round_waits(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(bonds=0)
    with capture_logs() as logs:
        assert _advance(stage.parts, stage.project), "to be looked at again"
        assert _advance(stage.parts, stage.project)
    said = [line for line in logs if line["event"] == "project_stuck"]
    assert [line["code"] for line in said] == ["bond-unfunded"], "once, not every second"
    assert str(stage.terms.bond) in said[0]["detail"]
    assert stage.aggregator.address in said[0]["detail"]
    assert stage.round == 0
    stage.devnet.send(stage.owner, stage.devnet.token.mint(stage.aggregator.address, stage.terms.bond))
    _advance(stage.parts, stage.project)
    assert stage.round == 1


def test_the_operators_limit_is_kept_and_named(stage: Stage) -> None:
    parts = stage.other_worker(stage.aggregator, bond_limit=stage.terms.bond - 1)
    with capture_logs() as logs:
        assert not _advance(parts, stage.project)
    assert [line["code"] for line in logs if line["event"] == "project_stuck"] == ["operator_needed"]
    assert stage.round == 0
    assert _bond(stage) == Bond(0, 0)


def test_a_bond_that_others_brought_in_is_not_brought_in_again(stage: Stage) -> None:
    """Deposited by hand, and not indexed yet."""
    market, bond = stage.market, stage.terms.bond
    stage.parts.indexer.catch_up()
    stage.devnet.send(stage.aggregator, stage.devnet.token.approve(market.address, bond))
    stage.devnet.send(stage.aggregator, market.deposit_bond(stage.project, bond))
    perform(stage.parts, DepositBond(stage.project, 1, bond, 0))
    assert _bond(stage) == Bond(bond, 0)


def test_an_approval_that_another_project_used_is_given_again(stage: Stage) -> None:
    """Dead after the approval; meanwhile the allowance went elsewhere."""
    market, bond = stage.market, stage.terms.bond
    stage.parts.indexer.catch_up()
    token = stage.devnet.token
    real = stage.parts.market.deposit_bond

    class Killed(Exception):
        pass

    def dead(project: int, amount: int):
        raise Killed

    stage.parts.market.deposit_bond = dead  # type: ignore[method-assign]
    with pytest.raises(Killed):
        perform(stage.parts, DepositBond(stage.project, 1, bond, 0))
    stage.parts.market.deposit_bond = real  # type: ignore[method-assign]
    assert token.allowance(stage.aggregator.address, market.address) == bond
    stage.devnet.send(stage.aggregator, token.approve(market.address, 0))
    perform(stage.parts, DepositBond(stage.project, 1, bond, 0))
    assert _bond(stage) == Bond(bond, 0)


def test_too_few_tokens_raise_before_anything_is_sent(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(bonds=0)
    with pytest.raises(BondUnfunded):
        perform(stage.parts, DepositBond(stage.project, 1, stage.terms.bond, 0))
    assert stage.devnet.client.nonce(stage.aggregator.address) == 0


def test_a_bond_that_the_operator_took_out_is_brought_in_again(stage: Stage) -> None:
    """Before the first round opened: the same step as before, and another deposit."""
    stage.parts.indexer.catch_up()
    perform(stage.parts, DepositBond(stage.project, 1, stage.terms.bond, 0))
    stage.devnet.send(stage.aggregator, stage.market.withdraw_bond(stage.project, stage.terms.bond))
    _advance(stage.parts, stage.project)
    assert stage.round == 1
    assert _bond(stage) == Bond(0, stage.terms.bond)


# --- acceptance -------------------------------------------------------------------------------------------------------


def test_a_round_that_we_have_accepted_is_only_opened(stage: Stage) -> None:
    market = stage.market
    stage.devnet.give_tokens(stage.aggregator, stage.terms.bond)
    stage.devnet.send(stage.aggregator, market.deposit_bond(stage.project, stage.terms.bond))
    stage.devnet.send(stage.aggregator, market.accept(stage.project, 1))
    stage.parts.indexer.catch_up()
    assert look(stage.parts, stage.project).steps == (OpenRound(stage.project, 1, accept=False),)
    _advance(stage.parts, stage.project)
    assert stage.round == 1
    assert _bond(stage) == Bond(0, stage.terms.bond)


def _accepted_by_the_rival(make_stage: Callable[..., Stage], **options) -> tuple[Stage, WorkerParts]:
    stage = make_stage(rivals=True, windows=SHORT, **options)
    rival = stage.other_worker(stage.rival)
    _advance(rival, stage.project)
    assert stage.view().acceptor == stage.rival.address
    return stage, rival


def test_a_round_that_another_has_accepted_is_watched(make_stage: Callable[..., Stage]) -> None:
    stage, rival = _accepted_by_the_rival(make_stage)
    stage.parts.indexer.catch_up()
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)  # to us
        stage.hand_in_commit(trainer, database=rival.database)
    assert not _advance(stage.parts, stage.project)
    assert stage.devnet.client.nonce(stage.aggregator.address) == 0, "not even a bond"
    with pytest.raises(Exception, match="may not post the batch"):
        perform(stage.parts, PostCommits(stage.project, 1))
    _advance(rival, stage.project)
    assert stage.phase() is Phase.REVEAL


def test_a_round_that_another_accepted_a_moment_ago_costs_nothing(make_stage: Callable[..., Stage]) -> None:
    """Both see the same; the other is mined first."""
    stage = make_stage(rivals=True)
    rival = stage.other_worker(stage.rival)
    stage.parts.indexer.catch_up()
    perform(stage.parts, DepositBond(stage.project, 1, stage.terms.bond, 0))
    stage.parts.indexer.catch_up()
    assert look(stage.parts, stage.project).steps == (OpenRound(stage.project, 1, accept=True),)
    _advance(rival, stage.project)
    sent = stage.devnet.client.nonce(stage.aggregator.address)
    advance_project(stage.parts, stage.project, RUNNING)  # with the picture from before
    assert stage.devnet.client.nonce(stage.aggregator.address) == sent
    assert _bond(stage) == Bond(stage.terms.bond, 0)
    assert look(stage.parts, stage.project).steps == ()


# --- settlement by another --------------------------------------------------------------------------------------------


def _to_settle_by_the_rival(stage: Stage, rival: WorkerParts) -> None:
    """Everything is handed in to the rival's service, which posts it, and then is gone."""
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer, database=rival.database)
    _advance(rival, stage.project)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer, database=rival.database)
    stage.post_receipts(stage.reveal_set(), database=rival.database)
    _advance(rival, stage.project)
    assert stage.phase() is Phase.SETTLE


def test_a_round_that_its_aggregator_left_behind_is_settled_after_ts(make_stage: Callable[..., Stage]) -> None:
    stage, rival = _accepted_by_the_rival(make_stage)
    _to_settle_by_the_rival(stage, rival)
    assert not _advance(stage.parts, stage.project)
    assert look(stage.parts, stage.project).wake_at == stage.view().acceptor_end
    stage.devnet.control.warp_to(stage.view().acceptor_end)
    _advance(stage.parts, stage.project)
    assert evaluate_round(stage.parts, stage.project, 1), "asked for by the planner, done by its job"
    stage.sign_settlement(stage.proposal())
    stage.parts.indexer.catch_up()
    bond = stage.terms.bond
    assert look(stage.parts, stage.project).steps == (DepositBond(stage.project, 1, bond, 0),)
    _advance(stage.parts, stage.project)
    assert stage.market.round_of(stage.project, 1).phase is Phase.FINAL
    assert _bond(stage, stage.rival) == Bond(0, 0), "the rival's bond is gone"
    own = _bond(stage)
    assert own.free + own.locked == bond + bond // 2 + stage.terms.aggregator_fee, "half of it, and the fee"
    assert (stage.round, stage.view().acceptor) == (2, stage.aggregator.address)
    assert stage.market.ledger_of(stage.project).balanced


def test_nobody_settles_for_another_before_ts(make_stage: Callable[..., Stage]) -> None:
    stage, rival = _accepted_by_the_rival(make_stage)
    _to_settle_by_the_rival(stage, rival)
    stage.parts.indexer.catch_up()
    assert evaluate_round(stage.parts, stage.project, 1)
    stage.sign_settlement(stage.proposal(), stage.witnesses)
    assert not _advance(stage.parts, stage.project)
    assert stage.phase() is Phase.SETTLE
    assert stage.devnet.client.nonce(stage.aggregator.address) == 0


def test_our_own_round_is_settled_late_rather_than_not_at_all(make_stage: Callable[..., Stage]) -> None:
    """The bond is lost either way; the trainers are paid by their scores, and the fee is ours."""
    stage = make_stage(windows=SHORT, rounds=1)
    parts, bond = stage.parts, stage.terms.bond
    _advance(parts, stage.project)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    _advance(parts, stage.project)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    _advance(parts, stage.project)
    assert evaluate_round(parts, stage.project, 1)
    stage.sign_settlement(stage.proposal())
    stage.devnet.control.warp_to(stage.view().acceptor_end)
    stage.parts.indexer.catch_up()
    assert look(parts, stage.project).steps == (DepositBond(stage.project, 1, bond, bond),)
    _advance(parts, stage.project)
    assert stage.market.round_of(stage.project, 1).phase is Phase.FINAL
    assert _bond(stage) == Bond(bond + stage.terms.aggregator_fee, 0)
    assert stage.market.ledger_of(stage.project).bonds_burned == bond


def test_a_project_goes_on_with_a_new_bond_after_a_default(make_stage: Callable[..., Stage]) -> None:
    stage = make_stage(windows=SHORT)
    _advance(stage.parts, stage.project)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    _advance(stage.parts, stage.project)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    stage.post_receipts(stage.reveal_set())
    _advance(stage.parts, stage.project)
    stage.devnet.control.warp_to(stage.view().settle_end)
    _advance(stage.parts, stage.project)
    assert stage.market.round_of(stage.project, 1).phase is Phase.DEFAULTED
    assert stage.round == 2
    assert _bond(stage) == Bond(0, stage.terms.bond)
    assert _balance(stage) == 0, "the account's second bond"
    assert Settle(stage.project, 2) not in look(stage.parts, stage.project).steps
