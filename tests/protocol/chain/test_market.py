"""A whole market on a real chain through the bindings: every step, and the money after each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol import commitments
from cohort_protocol.chain.errors import NoContract, TransactionReverted, UnknownProject
from cohort_protocol.chain.events import (
    LeafSkipped,
    RevealSkipped,
    RoundSettled,
    UpdateRefused,
    UpdatesAdmitted,
    decode_receipt,
)
from cohort_protocol.chain.lens import MarketLens
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.packed import ClaimItem, CommitLeaf, Opening, pack_claims
from cohort_protocol.chain.types import (
    ZERO_ADDRESS,
    Bond,
    LeafSkip,
    NextModel,
    Outcome,
    Record,
    SkipReason,
    deadlines,
    self_commit_mark,
)
from cohort_protocol.commitments import ZERO32
from cohort_protocol.payout import pays
from cohort_protocol.phases import Phase
from cohort_protocol.standing import next_record, rejection_loss, reliability
from eth_utils import keccak

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import (
    BOND,
    BUDGET,
    DISTRIBUTABLE,
    FEE,
    ONE,
    PROTOCOL_FEE,
    WINDOWS,
    Scene,
    make_terms,
    some_cid,
)

D = DISTRIBUTABLE
FULL_WEIGHT = 65_536


def test_two_settled_rounds_claimed_in_one_go(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    market, trees, earned = devnet.market, [], {}
    records = {scene.number_of(one): Record() for one in scene.trainers}
    assert market.fees_of(scene.project) == (PROTOCOL_FEE, FULL_WEIGHT)
    assert market.distributable_of(scene.project) == D == scene.terms.distributable(100)
    scene.money_holds()
    for number, scores in ((1, [ONE, 3 * ONE, 0]), (2, [5 * ONE, ONE, ONE // 3])):
        reasons = [0, 0, 1] if number == 1 else [0, 0, 0]
        assert scene.open() == number
        assert market.ledger_of(scene.project).held == BUDGET
        assert market.bond_of(scene.project, scene.aggregator.address).locked == BOND
        scene.money_holds()
        scene.commit()
        assert scene.view().phase is Phase.REVEAL, "everyone has committed and the guard is 0"
        events = scene.reveal()
        assert [len(event.rows) for event in events if isinstance(event, UpdatesAdmitted)] == [3]
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
            member = scene.rows[row].member
            earned[member] = earned.get(member, 0) + amount
            records[member] = next_record(
                records[member],
                pay=amount,
                rejected=reasons[row] != 0,
                rows=3,
                distributable=D,
                weight=FULL_WEIGHT,
            )
            assert market.record_of(scene.project, member) == records[member]
    assert records[3].rejections == 1
    cheat = scene.trainers[2].address
    assert market.losses_of(cheat) == market.losses_through(cheat, scene.owner.address) == rejection_loss(FULL_WEIGHT)
    for member, trainer in enumerate(scene.trainers, 1):
        expected = reliability([(scene.owner.address, records[member].credit)], market.losses_of(trainer.address))
        assert market.reliability_of(trainer.address, [scene.project]) == expected

    for row, trainer in enumerate(scene.trainers):
        request = market.claim(scene.project, row + 1, [tree.claim_item(row) for tree in trees])
        devnet.send(devnet.account("anyone"), request)
        assert devnet.token.balance_of(trainer.address) == earned[row + 1]
        assert market.claimed_rounds(scene.project, row + 1, 0) == 0b110
        assert market.claimed_among(scene.project, row + 1, (1, 2, 3, 300)) == {1, 2}
        scene.money_holds()
        with pytest.raises(TransactionReverted) as refused:
            devnet.send(devnet.account("anyone"), request)
        assert refused.value.name == "AlreadyClaimed"
    ledger = market.ledger_of(scene.project)
    assert (ledger.claimable, ledger.claimed) == (0, sum(earned.values()))
    assert (ledger.fees, ledger.protocol_fees) == (2 * (FEE + PROTOCOL_FEE), 2 * PROTOCOL_FEE)

    assert market.bond_of(scene.project, scene.aggregator.address) == Bond(2 * BOND + 2 * FEE, 0)
    before = devnet.token.balance_of(scene.aggregator.address)
    devnet.send(scene.aggregator, market.withdraw_bond(scene.project, 2 * BOND + 2 * FEE))
    assert devnet.token.balance_of(scene.aggregator.address) == before + 2 * BOND + 2 * FEE
    scene.money_holds()


def test_acceptance_is_needed_and_can_be_taken_back(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    market, anyone = devnet.market, devnet.account("anyone")
    with pytest.raises(TransactionReverted) as refused:
        devnet.send(anyone, market.open_round(scene.project))
    assert refused.value.name == "NotAccepted"
    devnet.send(scene.aggregator, market.accept(scene.project, 1))
    assert market.progress_of(scene.project).acceptor == scene.aggregator.address
    assert market.bond_of(scene.project, scene.aggregator.address) == Bond(BOND, BOND)
    devnet.send(scene.aggregator, market.withdraw_acceptance(scene.project, 1))
    assert market.progress_of(scene.project).acceptor == ZERO_ADDRESS
    assert market.bond_of(scene.project, scene.aggregator.address) == Bond(2 * BOND, 0)
    devnet.send(scene.aggregator, market.accept(scene.project, 1))
    devnet.send(anyone, market.open_round(scene.project))
    assert scene.view().acceptor == scene.aggregator.address
    scene.money_holds()


def test_self_posted_commitment_is_revealed_with_the_batch(devnet: Devnet) -> None:
    scene = Scene.create(devnet, slots=4)
    scene.open()
    loner = scene.trainers[2]
    scene.commit(scene.trainers[:2])
    scene.commit_self(loner)
    assert devnet.market.self_commit_of(scene.project, 1, 3) == self_commit_mark(scene.commitment_of(loner))
    view = scene.view()
    assert (view.batch_count, view.self_count, view.phase) == (2, 1, Phase.REVEAL)
    assert view.everyone_committed
    scene.reveal()
    assert [row.member for row in scene.rows] == [1, 2, 3]
    assert int.from_bytes(devnet.market.self_commit_of(scene.project, 1, 3), "big") == 1


def test_a_leaf_gives_way_to_the_trainers_own_commitment(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    scene.commit(scene.trainers[:3])
    scene.commit_self(scene.trainers[1])
    view = scene.view()
    assert (view.batch_count, view.self_count, view.batch_bits) == (2, 1, 0b101)
    devnet.control.warp_to(view.commit_end)
    scene.reveal(scene.trainers[:3])  # the very commitment that its dead leaf has
    assert [row.member for row in scene.rows] == [1, 2, 3]


def test_a_reveal_brings_only_the_leaves_that_it_does_not_open(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    scene.commit()
    openings = scene.openings_of(scene.trainers)
    wrong = replace(openings[1], salt=bytes(32))

    def size_of(*opened: Opening) -> int:
        return len(devnet.market.rescue(scene.project, 1, scene.batch, opened).data)

    assert size_of(*openings) < size_of(openings[0], wrong, *openings[2:])
    receipts = [scene.receipt_of(witness, [wrong, openings[2]], 0b11) for witness in (0, 2)]
    request = devnet.market.reveal(scene.project, 1, scene.batch, [wrong, openings[2]], receipts)
    events = decode_receipt(devnet.send(devnet.account("anyone"), request), devnet.market.address)
    assert [event.reason for event in events if isinstance(event, RevealSkipped)] == [SkipReason.WRONG_OPENING]
    (admitted,) = [event.rows for event in events if isinstance(event, UpdatesAdmitted)]
    scene.admissions.append(admitted)
    scene.reveal([scene.trainers[0], scene.trainers[2]])  # member 3 was resolved before
    scene.reveal([scene.trainers[1], scene.trainers[3]])
    assert [[row.member for row in rows] for rows in scene.admissions] == [[3], [1], [2, 4]]
    assert scene.view().admitted_hash == commitments.admitted_hash(scene.admissions)
    scene.settle([ONE] * 4)
    scene.money_holds()


def test_a_delegate_commits_and_reveals_for_its_trainer(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    trainer, delegate = scene.trainers[0], devnet.account("delegate")
    devnet.send(trainer, devnet.market.set_delegate(scene.project, delegate.address))
    member = devnet.market.member_of(scene.project, trainer.address)
    assert (member.delegate, member.signers()) == (delegate.address, (trainer.address, delegate.address))
    scene.open()
    scene.leaves = [CommitLeaf(1, scene.commitment_of(trainer))]
    signed = scene.sign_commit(trainer, signer=delegate)
    devnet.send(scene.aggregator, devnet.market.commit_batch(scene.project, 1, scene.leaves, [signed]))
    assert scene.view().batch_count == 1
    second = scene.trainers[1]
    devnet.send(second, devnet.market.set_delegate(scene.project, delegate.address))
    devnet.send(delegate, devnet.market.commit_self(scene.project, 1, 2, scene.commitment_of(second), scene.batch))
    assert scene.view().self_count == 1
    devnet.send(second, devnet.market.set_delegate(scene.project, None))
    assert devnet.market.member_at(scene.project, 2).delegate == ZERO_ADDRESS


def test_leaves_that_cannot_count_are_passed_over(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    leaves = [CommitLeaf(scene.number_of(one), scene.commitment_of(one)) for one in scene.trainers]
    signatures = [scene.sign_commit(one) for one in scene.trainers]
    signatures[1] = signatures[0]
    leaves[2] = CommitLeaf(3, bytes(32))
    leaves.append(CommitLeaf(77, keccak(b"nobody")))
    receipt = devnet.send(
        scene.aggregator, devnet.market.commit_batch(scene.project, 1, leaves, [*signatures, signatures[0]])
    )
    skipped = {e.member: e.reason for e in decode_receipt(receipt, scene.market.address) if isinstance(e, LeafSkipped)}
    assert skipped == {2: LeafSkip.NOT_SIGNED, 3: LeafSkip.NO_COMMITMENT, 77: LeafSkip.NOT_ELIGIBLE}
    assert scene.view().batch_bits == 0b01001


def test_refused_and_skipped_openings_do_not_hold_up_the_others(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    scene.commit(scene.trainers[:3])
    devnet.control.warp_to(scene.view().commit_end)
    events = scene.reveal(refused=0b10)
    admitted = [row.member for event in events if isinstance(event, UpdatesAdmitted) for row in event.rows]
    assert admitted == [1, 3]
    assert [event.member for event in events if isinstance(event, UpdateRefused)] == [2]
    skipped = [(event.member, event.reason) for event in events if isinstance(event, RevealSkipped)]
    assert skipped == [(4, SkipReason.NOT_COMMITTED)]
    view = scene.view()
    assert (view.admitted, view.refused, view.unresolved, view.phase) == (2, 1, 0, Phase.SETTLE)
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
    scene = Scene.create(devnet, windows=replace(WINDOWS, commit=100, guard=30, reveal=100, rescue=100, settle=100))
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
            expected = deadlines(scene.terms.windows, devnet.market.profile().slash_window, *ends(view))
            assert expected == tuple(getattr(view, name) for name in expected._fields)
            compared.append(view.phase)
        if step == "reveal_start":
            # A third commitment stays unrevealed, so that the reveal phase does not end early.
            scene.reveal(scene.trainers[:1])
    assert compared[:9] == [Phase.COMMIT, *[Phase.GUARD] * 3, *[Phase.REVEAL] * 3, *[Phase.VOID] * 2]
    assert devnet.market.round_of(scene.project, 7).phase_at(devnet.now(), 2) is Phase.NONE


def ends(view) -> tuple[int, int]:
    return view.commit_end, view.reveal_end


def test_reads_of_what_does_not_exist(devnet: Devnet) -> None:
    with pytest.raises(UnknownProject, match="no project 99"):
        devnet.market.terms_of(99)
    with pytest.raises(NoContract):
        Market(devnet.client, devnet.account("anyone").address).project_count()
    scene = Scene.create(devnet)
    stranger = devnet.account("anyone").address
    member = devnet.market.member_of(scene.project, stranger)
    assert (member.known, member.active, member.trainer) == (False, False, ZERO_ADDRESS)
    assert devnet.market.round_of(scene.project, 1).phase is Phase.NONE
    assert devnet.market.record_of(scene.project, 99) == Record()


def test_terms_come_back_as_they_were_given(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    devnet.market.forget()
    assert devnet.market.terms_of(scene.project) == scene.terms
    assert devnet.market.owner_of(scene.project) == scene.owner.address
    assert devnet.market.progress_of(scene.project).members == 3
    assert devnet.market.identity(scene.project) == scene.identity


def test_the_lens_shows_what_the_market_says(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit(scene.trainers[:2])
    scene.commit_self(scene.trainers[2])
    market, lens = devnet.market, MarketLens(devnet.client, devnet.deployment.lens)
    assert lens.market() == market.address
    overview = lens.project_overview(scene.project)
    assert (overview.terms, overview.progress) == (scene.terms, market.progress_of(scene.project))
    assert (overview.ledger, overview.newest) == (market.ledger_of(scene.project), market.round_of(scene.project, 1))
    assert (overview.protocol_fee, overview.standing_weight) == market.fees_of(scene.project)
    assert [(one.aggregator, one.bond.locked) for one in overview.aggregators] == [(scene.aggregator.address, BOND)]
    loner = scene.trainers[2]
    seen = lens.round_overview(scene.project, 0, loner.address)
    assert seen.place.self_commit == market.self_commit_of(scene.project, 1, 3) != ZERO32
    assert (seen.place.member.number, seen.time) == (3, devnet.now())
    assert lens.places_of(loner.address, [scene.project])[0].member == seen.place.member
    assert [place.member.number for place in lens.members_of(scene.project, 2, 99)] == [2, 3]
    with pytest.raises(NoContract):
        MarketLens(devnet.client, loner.address).market()


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

    scene.open()
    model = NextModel(keccak(b""), some_cid(b""))
    early = refusal(scene.aggregator, market.settle(scene.project, 1, [], b"", model, some_cid(b""), b""))
    assert (early.arguments["found"], early.arguments["allowed"]) == (Phase.COMMIT, Phase.SETTLE)
    assert "is in phase Commit; this call is allowed in Settle" in str(early)

    leaf = CommitLeaf(1, keccak(b"a commitment"))
    signed = scene.sign_commit(scene.trainers[0])
    not_batcher = refusal(stranger, market.commit_batch(scene.project, 1, [leaf], [signed]))
    assert not_batcher.name == "NotBatcher"
    assert f"only {scene.aggregator.address} may" in str(not_batcher)


def test_a_forged_settlement_is_refused_by_the_verifier(devnet: Devnet) -> None:
    """The evidence signs the scores: with other scores it does not hold."""
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    scene.reveal()
    outcomes = [Outcome(ONE, 0)] * 3
    model, bundle = NextModel(keccak(b"m"), some_cid(b"m")), some_cid(b"b")
    evidence = scene.evidence(scene.statement(outcomes, model, bundle))

    def settle_with(outcomes: list[Outcome]):
        policy_input = commitments.encode_outcomes(outcomes)
        return devnet.market.settle(scene.project, 1, scene.admissions, policy_input, model, bundle, evidence)

    greedy = settle_with([Outcome(9 * ONE, 0), *outcomes[1:]])
    with pytest.raises(TransactionReverted) as refused:
        devnet.send(scene.aggregator, greedy)
    assert refused.value.name == "AttestationInvalid"
    with pytest.raises(TransactionReverted) as simulated:
        devnet.market.simulate(greedy, scene.aggregator.address)
    assert simulated.value.name == "AttestationInvalid"
    receipt = devnet.send(scene.aggregator, settle_with(outcomes))
    assert any(isinstance(e, RoundSettled) for e in decode_receipt(receipt, devnet.market.address))


def test_pay_goes_elsewhere_only_with_the_trainers_word(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    market, anyone, vault = devnet.market, devnet.account("anyone"), devnet.account("vault").address
    scene.open()
    scene.commit()
    scene.reveal()
    scene.settle([ONE] * 3)
    tree = scene.tree(1, scene.rows, pays([ONE] * 3, [0] * 3, D, scene.terms.score_floor, scene.terms.share_cap))
    items = [tree.claim_item(0)]
    expiry = devnet.now() + 100

    def claim(signed_items: list[ClaimItem], to: str):
        digest = commitments.claim_items_hash(pack_claims(signed_items)[0])
        message = commitments.claim_to_message(scene.identity, scene.project, 1, digest, vault, expiry)
        signature = commitments.sign(message, scene.trainers[0])
        return market.claim_to(scene.project, 1, items, to, expiry, signature)

    for request in (claim(items, anyone.address), claim([replace(items[0], amount=1)], vault)):
        with pytest.raises(TransactionReverted) as refused:
            devnet.send(anyone, request)
        assert refused.value.name == "ClaimNotSigned"
    devnet.send(anyone, claim(items, vault))
    assert devnet.token.balance_of(vault) == items[0].amount
    own = market.claim_to(scene.project, 2, [tree.claim_item(1)], vault)
    devnet.send(scene.trainers[1], own)
    assert devnet.token.balance_of(vault) == items[0].amount + tree.claim_item(1).amount
    scene.money_holds()


def test_public_rows_need_a_quorum(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    scene.reveal()
    rows = keccak(b"public rows")
    message = commitments.public_rows_message(scene.identity, scene.project, 1, rows)
    few = devnet.market.post_public_rows(scene.project, 1, rows, scene.witness_signatures(message, [1]))
    with pytest.raises(TransactionReverted) as refused:
        devnet.send(devnet.account("anyone"), few)
    assert refused.value.name == "QuorumMissing"
    enough = devnet.market.post_public_rows(scene.project, 1, rows, scene.witness_signatures(message))
    devnet.send(devnet.account("anyone"), enough)
    assert scene.view().public_rows == rows
    scene.settle([ONE] * 3)


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
