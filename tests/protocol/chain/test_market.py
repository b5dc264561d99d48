"""A whole market on a real chain through the bindings: every step, every ending, the money after each."""

from __future__ import annotations

import pytest
from cohort_protocol.chain.errors import NoContract, TransactionReverted, UnknownProject
from cohort_protocol.chain.events import RevealRefused, RevealSkipped, UpdateAdmitted, decode_receipt
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.types import CommitLeaf, Member, Progress, RevealState, SkipReason, Standing
from cohort_protocol.payout import default_pay, pays, undistributed, void_pay
from cohort_protocol.phases import Phase
from cohort_protocol.standing import next_standing
from eth_utils import keccak

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BUDGET, FEE, ONE, STAKE, Scene, make_terms, some_cid

D = BUDGET - FEE


def test_two_settled_rounds_claimed_in_one_go(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    market, trees, earned = devnet.market, [], {}
    standings = {one.address: Standing(0, 0, 0, 0) for one in scene.trainers}
    scene.money_holds()
    for number, scores in ((1, [ONE, 3 * ONE, 0]), (2, [5 * ONE, ONE, ONE // 3])):
        reasons = [0, 0, 1] if number == 1 else [0, 0, 0]
        assert scene.open() == number
        assert market.ledger_of(scene.project).held == BUDGET
        scene.money_holds()
        scene.commit()
        assert scene.view().phase is Phase.REVEAL, "everyone has committed and the guard is 0"
        events = scene.reveal()
        assert [type(event) for event in events[:3]] == [UpdateAdmitted] * 3
        assert scene.view().phase is Phase.SETTLE
        scene.money_holds()
        scene.settle(scores, reasons)
        scene.money_holds()

        pay = pays(scores, reasons, D, scene.terms.score_floor, scene.terms.share_cap)
        trees.append(scene.tree(number, scene.rows, pay))
        view = market.round_of(scene.project, number)
        assert view.phase is Phase.FINAL
        assert view.closed
        assert view.payout_root == trees[-1].root
        for row, amount in enumerate(pay):
            address = scene.rows[row].trainer
            earned[address] = earned.get(address, 0) + amount
            standings[address] = next_standing(
                standings[address], pay=amount, rejected=reasons[row] != 0, rows=3, distributable=D
            )
            assert market.standing_of(address) == standings[address]
    assert standings[scene.rows[2].trainer].rejections == 1

    for row, trainer in enumerate(scene.trainers):
        request = market.claim(scene.project, trainer.address, [tree.claim_item(row) for tree in trees])
        devnet.send(devnet.account("anyone"), request)
        assert devnet.token.balance_of(trainer.address) == earned[trainer.address]
        assert market.round_of(scene.project, 1).claimed(row)
        scene.money_holds()
        with pytest.raises(TransactionReverted) as refused:
            devnet.send(devnet.account("anyone"), request)
        assert refused.value.name == "AlreadyClaimed"
    ledger = market.ledger_of(scene.project)
    assert (ledger.claimable, ledger.claimed, ledger.fees) == (0, sum(earned.values()), 2 * FEE)

    before = devnet.token.balance_of(scene.aggregator.address)
    devnet.send(scene.aggregator, market.withdraw_fees(scene.terms.token))
    assert devnet.token.balance_of(scene.aggregator.address) == before + 2 * FEE
    scene.money_holds()


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
    devnet.control.warp_to(scene.view().commit_end - 1)
    assert scene.view().phase is Phase.COMMIT
    devnet.control.warp_to(scene.view().commit_end)
    assert scene.view().phase is Phase.VOID
    assert not scene.view().closed
    scene.open()
    assert devnet.market.round_of(scene.project, 1).closed
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
    devnet.send(devnet.account("anyone"), devnet.market.close_round(scene.project, 1, scene.rows))
    pay = void_pay(D, scene.terms.slots)
    tree = scene.tree(1, scene.rows, [pay])
    assert devnet.market.round_of(scene.project, 1).payout_root == tree.root
    ledger = devnet.market.ledger_of(scene.project)
    assert (ledger.claimable, ledger.free, ledger.burned) == (pay, free + BUDGET - pay, 0)
    winner = scene.trainers[0]
    devnet.send(winner, devnet.market.claim(scene.project, winner.address, [tree.claim_item(0)]))
    assert devnet.token.balance_of(winner.address) == pay
    assert devnet.market.standing_of(winner.address) == Standing(0, 0, 0, 0)
    scene.money_holds()


def test_default_splits_the_round_and_burns_the_fee(devnet: Devnet) -> None:
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
    devnet.send(devnet.account("anyone"), devnet.market.close_round(scene.project, 1, scene.rows))
    pay = default_pay(D, 3)
    tree = scene.tree(1, scene.rows, [pay] * 3)
    assert devnet.market.round_of(scene.project, 1).payout_root == tree.root
    ledger = devnet.market.ledger_of(scene.project)
    assert (ledger.claimable, ledger.burned, ledger.held) == (3 * pay, FEE, 0)
    for row, trainer in enumerate(scene.trainers):
        devnet.send(trainer, devnet.market.claim(scene.project, trainer.address, [tree.claim_item(row)]))
    scene.money_holds()


def test_end_refund_leave_and_withdraw_empty_the_project(devnet: Devnet) -> None:
    scene = Scene.create(devnet, deposit=BUDGET)
    market = devnet.market
    for trainer in scene.trainers:
        devnet.send(trainer, market.leave(scene.project))
        devnet.send(devnet.account("anyone"), market.withdraw_stake(scene.project, trainer.address))
        assert devnet.token.balance_of(trainer.address) == STAKE
        scene.money_holds()
    assert market.member_count(scene.project) == 0
    devnet.send(scene.owner, market.end_project(scene.project))
    assert market.progress_of(scene.project) == Progress(0, scene.terms.initial_model, True)
    devnet.send(devnet.account("anyone"), market.refund(scene.project))
    assert devnet.token.balance_of(scene.owner.address) == BUDGET
    assert devnet.token.balance_of(market.address) == 0
    scene.money_holds()


def test_self_posted_commitment_replaces_the_leaf_and_is_revealed(devnet: Devnet) -> None:
    scene = Scene.create(devnet, slots=4)
    scene.open()
    loner = scene.trainers[2]
    scene.commit(scene.trainers[:2])
    devnet.send(loner, devnet.market.commit_self(scene.project, 1, scene.commitment_of(loner)))
    assert devnet.market.self_commit_of(scene.project, 1, loner.address) == scene.commitment_of(loner)
    view = scene.view()
    assert (view.batch_count, view.self_count, view.phase) == (2, 1, Phase.REVEAL)
    assert view.everyone_committed(scene.terms.slots)
    scene.reveal()
    assert [row.trainer for row in scene.rows] == [one.address for one in scene.trainers]
    assert devnet.market.reveal_state_of(scene.project, 1, loner.address) is RevealState.ADMITTED


def test_refused_and_skipped_reveals_do_not_hold_up_the_others(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    scene.commit(scene.trainers[:3])
    devnet.control.warp_to(scene.view().commit_end)
    events = scene.reveal(refused=0b10)
    kinds = {event.trainer: event for event in events if hasattr(event, "trainer")}
    good, bad, other, absent = (kinds[one.address] for one in scene.trainers)
    assert isinstance(good, UpdateAdmitted)
    assert isinstance(other, UpdateAdmitted)
    assert isinstance(bad, RevealRefused)
    assert isinstance(absent, RevealSkipped)
    assert absent.reason is SkipReason.NOT_COMMITTED
    assert devnet.market.reveal_state_of(scene.project, 1, bad.trainer) is RevealState.REFUSED
    assert devnet.market.reveal_state_of(scene.project, 1, absent.trainer) is RevealState.NONE
    view = scene.view()
    assert (view.admitted, view.refused, view.phase) == (2, 1, Phase.SETTLE)
    assert view.everyone_revealed
    scene.settle([ONE, ONE])
    scene.money_holds()


def test_one_witness_is_not_a_quorum(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    events = scene.reveal(witnesses=[1])
    assert [event.reason for event in events if isinstance(event, RevealSkipped)] == [SkipReason.NO_QUORUM] * 3
    assert scene.view().admitted == 0


def test_deadlines_are_those_that_phase_at_computes(devnet: Devnet) -> None:
    """The Python twin of the phase, compared with the contract one second before, at and after each deadline."""
    scene = Scene.create(devnet, windows=make_terms(devnet, [], []).windows.__class__(100, 30, 100, 100))
    scene.open()
    scene.commit(scene.trainers[:2])
    compared = []
    for step in ("commit_end", "reveal_start", "reveal_end", "settle_end"):
        deadline = getattr(scene.view(), step)
        for offset in (-1, 0, 1):
            devnet.control.warp_to(deadline + offset)
            view = devnet.market.round_of(scene.project, 1)
            assert view.phase_at(devnet.now(), scene.terms.min_trainers) is view.phase
            assert devnet.market.phase_of(scene.project, 1) is view.phase
            compared.append(view.phase)
        if step == "reveal_start":
            # A third commitment stays unrevealed, so that the reveal phase does not end early.
            scene.reveal(scene.trainers[:1])
    assert compared[:9] == [Phase.COMMIT, *[Phase.GUARD] * 3, *[Phase.REVEAL] * 3, *[Phase.VOID] * 2]
    assert devnet.market.round_of(scene.project, 7).phase_at(devnet.now(), 2) is Phase.NONE


def test_reads_of_what_does_not_exist(devnet: Devnet) -> None:
    with pytest.raises(UnknownProject, match="no project 99"):
        devnet.market.terms_of(99)
    with pytest.raises(NoContract):
        Market(devnet.client, devnet.account("anyone").address).project_count()
    scene = Scene.create(devnet)
    stranger = devnet.account("anyone").address
    assert devnet.market.member_of(scene.project, stranger) == Member(0, 0, 0, False)
    assert devnet.market.round_of(scene.project, 1).phase is Phase.NONE
    assert devnet.market.standing_of(stranger) == Standing(0, 0, 0, 0)


def test_terms_come_back_as_they_were_given(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    devnet.market.forget()
    assert devnet.market.terms_of(scene.project) == scene.terms
    assert devnet.market.owner_of(scene.project) == scene.owner.address
    assert devnet.market.member_count(scene.project) == 3
    assert devnet.market.identity(scene.project) == scene.identity


def test_errors_are_told_in_words(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    market, owner, stranger = devnet.market, scene.owner, devnet.account("anyone")

    def refusal(account, request) -> TransactionReverted:
        with pytest.raises(TransactionReverted) as refused:
            devnet.send(account, request)
        return refused.value

    too_many = refusal(owner, market.create_project(make_terms(devnet, scene.terms.witnesses, [], slots=33), 0))
    assert too_many.name == "TermsInvalid"
    assert too_many.arguments == {"what": "slots", "found": 33, "allowed": 32}
    assert "slots is 33, allowed is 32" in str(too_many)

    not_owner = refusal(stranger, market.end_project(scene.project))
    assert not_owner.arguments["owner"] == owner.address
    assert f"its owner is {owner.address}" in str(not_owner)

    poor = refusal(stranger, market.fund(scene.project, 5))
    assert poor.name == "ERC20InsufficientAllowance"

    early = refusal(scene.aggregator, market.settle(scene.project, 1, [], [], *_outcome()))
    assert (early.arguments["found"], early.arguments["allowed"]) == (Phase.NONE, Phase.SETTLE)
    assert "is in phase None; this call is allowed in Settle" in str(early)

    scene.open()
    leaf = CommitLeaf(scene.trainers[0].address, keccak(b"another commitment"))
    forged = scene.sign_commit(scene.trainers[0], scene.view().settle_end)
    invalid = refusal(scene.aggregator, market.commit_batch(scene.project, 1, [leaf], [forged]))
    assert invalid.name == "CommitSignatureInvalid"
    assert invalid.arguments["trainer"] == scene.trainers[0].address


def _outcome():
    from cohort_protocol.chain.types import NextModel

    return NextModel(keccak(b""), some_cid(b"")), some_cid(b""), b""


def test_a_forged_settlement_is_refused_by_the_verifier(devnet: Devnet) -> None:
    """The evidence signs the scores: with other scores it does not hold."""
    from cohort_protocol.chain.types import NextModel, Outcome

    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    scene.reveal()
    outcomes = [Outcome(ONE, 0)] * 3
    model, bundle = NextModel(keccak(b"m"), some_cid(b"m")), some_cid(b"b")
    evidence = scene.evidence(scene.statement(outcomes, model, bundle))
    greedy = [Outcome(9 * ONE, 0), *outcomes[1:]]
    request = devnet.market.settle(scene.project, 1, scene.rows, greedy, model, bundle, evidence)
    with pytest.raises(TransactionReverted) as refused:
        devnet.send(scene.aggregator, request)
    assert refused.value.name == "AttestationInvalid"
    with pytest.raises(TransactionReverted) as simulated:
        devnet.market.simulate(request, scene.aggregator.address)
    assert simulated.value.name == "AttestationInvalid"
    honest = devnet.market.settle(scene.project, 1, scene.rows, outcomes, model, bundle, evidence)
    receipt = devnet.send(scene.aggregator, honest)
    assert any(type(e).__name__ == "RoundSettled" for e in decode_receipt(receipt, devnet.market.address))


def test_permit_and_multicall_create_and_fund_in_one_transaction(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    newcomer = devnet.account("newcomer")
    devnet.send(newcomer, devnet.token.mint(newcomer.address, 50))
    deadline = devnet.now() + 1000
    message = devnet.token.permit_message(newcomer.address, devnet.market.address, 50, deadline)
    signed = newcomer.sign_message(message)
    requests = [
        devnet.market.self_permit(
            devnet.token.address, 50, deadline, signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")
        ),
        devnet.market.create_project(scene.terms, 20),
        devnet.market.fund(scene.project, 30),
    ]
    devnet.send(newcomer, devnet.market.multicall(requests))
    created = devnet.market.project_count()
    assert devnet.market.owner_of(created) == newcomer.address
    assert devnet.market.ledger_of(created).free == 20
    assert devnet.token.balance_of(newcomer.address) == 0
    assert devnet.token.nonces(newcomer.address) == 1
