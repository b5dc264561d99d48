"""Every way in which a round or a project ends, on a real chain, and the money after each."""

from __future__ import annotations

import pytest
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.events import (
    BondSlashed,
    StakeSlashed,
    UpdateRescued,
    decode_receipt,
)
from cohort_protocol.chain.types import (
    Bond,
    Record,
)
from cohort_protocol.payout import default_pay, pays, undistributed, void_pay
from cohort_protocol.phases import Phase
from cohort_protocol.standing import no_reveal_loss

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import (
    BOND,
    BUDGET,
    DISTRIBUTABLE,
    FEE,
    ONE,
    PROTOCOL_FEE,
    STAKE,
    Scene,
)

D = DISTRIBUTABLE
FULL_WEIGHT = 65_536


def test_what_low_scores_leave_is_burned_and_dust_returns(devnet: Devnet) -> None:
    scene = Scene.create(devnet, score_floor=100 * ONE, share_cap=1)
    for scores in ([ONE, ONE, ONE], [40 * ONE, 40 * ONE, 40 * ONE]):
        before = devnet.market.ledger_of(scene.project)
        scene.open()
        scene.commit()
        scene.reveal()
        scene.settle(scores)
        pay = pays(scores, [0, 0, 0], D, scene.terms.score_floor, scene.terms.share_cap)
        dust, burned = undistributed(pay, D)
        after = devnet.market.ledger_of(scene.project)
        assert after.burned - before.burned == burned
        assert before.free - after.free == BUDGET - dust
        scene.money_holds()
    assert dust == D - 3 * (D // 3) > 0
    assert burned == 0 < after.burned


def test_void_for_lack_of_commits_needs_nobody(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit(scene.trainers[:1])
    devnet.control.warp_to(scene.view().commit_end - 2)  # a view is of the next block, a second later
    assert scene.view().phase is Phase.COMMIT
    devnet.control.warp_to(scene.view().commit_end - 1)
    assert scene.view().phase is Phase.VOID
    assert not scene.view().closed
    scene.open()
    assert devnet.market.round_of(scene.project, 1).phase is Phase.VOID
    assert devnet.market.ledger_of(scene.project).held == BUDGET, "the first budget is free again, the second held"
    scene.money_holds()


def test_void_for_lack_of_reveals_pays_a_slot_to_who_revealed(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    scene.reveal(scene.trainers[:1])
    devnet.control.warp_to(scene.view().reveal_end)
    assert scene.view().phase is Phase.VOID
    free = devnet.market.ledger_of(scene.project).free
    devnet.send(devnet.account("anyone"), devnet.market.close_round(scene.project, 1, scene.admissions))
    pay = void_pay(D, scene.terms.slots)
    tree = scene.tree(1, scene.rows, [pay])
    assert devnet.market.round_of(scene.project, 1).payout_root == tree.root
    ledger = devnet.market.ledger_of(scene.project)
    assert (ledger.claimable, ledger.free, ledger.burned) == (pay, free + BUDGET - pay, 0)
    winner = scene.trainers[0]
    devnet.send(winner, devnet.market.claim(scene.project, 1, [tree.claim_item(0)]))
    assert devnet.token.balance_of(winner.address) == pay
    assert devnet.market.record_of(scene.project, 1) == Record()
    scene.money_holds()


def test_default_splits_the_round_and_burns_fees_and_bond(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    scene.reveal()
    devnet.control.warp_to(scene.view().settle_end)
    assert scene.view().phase is Phase.DEFAULTED
    with pytest.raises(TransactionReverted) as late:
        scene.settle([ONE, ONE, ONE])
    assert late.value.name == "WrongPhase"
    assert late.value.arguments["found"] is Phase.DEFAULTED
    free = devnet.market.ledger_of(scene.project).free
    devnet.send(devnet.account("anyone"), devnet.market.close_round(scene.project, 1, scene.admissions))
    pay = default_pay(D, 3)
    tree = scene.tree(1, scene.rows, [pay] * 3)
    assert devnet.market.round_of(scene.project, 1).payout_root == tree.root
    ledger = devnet.market.ledger_of(scene.project)
    assert (ledger.claimable, ledger.burned, ledger.held) == (3 * pay, FEE + PROTOCOL_FEE, 0)
    assert ledger.free - free == D - 3 * pay
    assert (ledger.bonds, ledger.bonds_burned, ledger.fees) == (BOND, BOND, 0)
    for row in range(3):
        devnet.send(devnet.account("anyone"), devnet.market.claim(scene.project, row + 1, [tree.claim_item(row)]))
    scene.money_holds()


def test_another_aggregator_settles_after_the_first_ones_time(devnet: Devnet) -> None:
    """Half of the bond goes to whoever settles instead, the rest is burned."""
    scene = Scene.create(devnet)
    other = devnet.account("second aggregator")
    devnet.send(scene.owner, devnet.market.add_aggregator(scene.project, other.address))
    assert set(devnet.market.aggregators_of(scene.project)) == {scene.aggregator.address, other.address}
    devnet.give_tokens(other, BOND)
    devnet.send(other, devnet.market.deposit_bond(scene.project, BOND))
    scene.open()
    scene.commit()
    scene.reveal()
    with pytest.raises(TransactionReverted) as early:
        scene.settle([ONE] * 3, settler=other)
    assert early.value.name == "NotYours"
    devnet.control.warp_to(scene.view().acceptor_end)
    receipt = scene.settle([ONE] * 3, settler=other)
    slashed = [e for e in decode_receipt(receipt, scene.market.address) if isinstance(e, BondSlashed)]
    assert [(e.aggregator, e.to_settler, e.burned) for e in slashed] == [
        (scene.aggregator.address, BOND // 2, BOND - BOND // 2)
    ]
    assert devnet.market.bond_of(scene.project, other.address) == Bond(BOND + BOND // 2 + FEE, 0)
    assert devnet.market.bond_of(scene.project, scene.aggregator.address) == Bond(BOND, 0)
    scene.money_holds()


def test_end_refund_leave_and_withdraw_empty_the_project(devnet: Devnet) -> None:
    scene = Scene.create(devnet, deposit=BUDGET)
    market = devnet.market
    for trainer in scene.trainers:
        devnet.send(trainer, market.leave(scene.project))
        member = market.member_of(scene.project, trainer.address)
        assert not member.active
        devnet.control.warp_to(max(member.unlock_at, devnet.now() + 1))
        devnet.send(devnet.account("anyone"), market.withdraw_stake(scene.project, trainer.address))
        assert devnet.token.balance_of(trainer.address) == STAKE
        scene.money_holds()
    assert market.progress_of(scene.project).members == 0
    devnet.send(scene.owner, market.end_project(scene.project))
    progress = market.progress_of(scene.project)
    assert (progress.round, progress.ended, progress.model) == (0, True, scene.terms.initial_model)
    devnet.send(devnet.account("anyone"), market.refund(scene.project))
    devnet.send(scene.aggregator, market.withdraw_bond(scene.project, 2 * BOND))
    assert devnet.token.balance_of(scene.owner.address) == BUDGET
    assert devnet.token.balance_of(market.address) == 0
    scene.money_holds()


def test_a_stake_is_saved_by_rescue_and_lost_by_silence(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4)
    market, anyone = devnet.market, devnet.account("anyone")
    scene.open()
    scene.commit()
    scene.reveal(scene.trainers[:2])
    devnet.control.warp_to(scene.view().reveal_end)
    receipt = scene.rescue(scene.trainers[2:3])
    rescued = [e.member for e in decode_receipt(receipt, market.address) if isinstance(e, UpdateRescued)]
    assert rescued == [3]
    scene.settle([ONE, ONE])
    devnet.control.warp_to(market.round_of(scene.project, 1).rescue_end)
    for member, name in ((3, "NothingToSlash"), (1, "NothingToSlash")):
        with pytest.raises(TransactionReverted) as refused:
            devnet.send(anyone, market.slash_no_reveal(scene.project, 1, member, scene.batch))
        assert refused.value.name == name
    before = devnet.token.balance_of(anyone.address)
    receipt = devnet.send(anyone, market.slash_no_reveal(scene.project, 1, 4, scene.batch))
    slashed = next(e for e in decode_receipt(receipt, market.address) if isinstance(e, StakeSlashed))
    silent = scene.trainers[3].address
    assert (slashed.trainer, slashed.reward, slashed.burned) == (silent, STAKE // 10, STAKE - STAKE // 10)
    assert devnet.token.balance_of(anyone.address) - before == STAKE // 10
    assert market.losses_of(silent) == no_reveal_loss(FULL_WEIGHT)
    member = market.member_of(scene.project, silent)
    assert (member.staked, member.active, member.joined) == (False, False, True)
    scene.money_holds()
    devnet.give_tokens(anyone, STAKE)
    devnet.send(anyone, market.stake_for(scene.project, silent))
    assert market.member_of(scene.project, silent).active
    scene.money_holds()
