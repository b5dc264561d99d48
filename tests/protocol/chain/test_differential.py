"""Python against the market as it is deployed: what it hashes, recovers, pays and records in whole rounds.

The rules by themselves are compared on thousands of random cases in tests/differential.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from cohort_protocol import commitments
from cohort_protocol.chain.errors import ArgumentInvalid, TransactionReverted
from cohort_protocol.chain.events import LeafSkipped, RoundSettled, decode_receipt
from cohort_protocol.chain.packed import CommitLeaf, Opening
from cohort_protocol.chain.terms import TermsOutOfBounds, check_terms, minimum_bond, minimum_stake
from cohort_protocol.chain.types import LeafSkip, Record
from cohort_protocol.commitments import MarketId
from cohort_protocol.payout import PayoutTree, payout_leaf, pays, undistributed
from cohort_protocol.standing import (
    loss_after,
    next_record,
    rejection_loss,
    reliability,
    standing_order,
    standing_weight,
)
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils import keccak, to_checksum_address

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import BUDGET, ONE, Scene, make_terms

CASES = 25
SETTLEMENTS = 8
"""Each is a whole transaction; the rules alone are compared on thousands of cases in tests/differential."""
FULL_WEIGHT = 65_536


def random_address(rng: random.Random) -> str:
    return to_checksum_address(rng.randbytes(20))


def random_opening(rng: random.Random) -> Opening:
    cid = commitments.cid_from_parts(rng.choice((0x55, 0x70)), rng.randbytes(32))
    return Opening(rng.randrange(2**32), rng.randbytes(32), cid, rng.randbytes(32))


def test_what_the_market_hashes(devnet: Devnet) -> None:
    rng = random.Random(1)
    identity = MarketId(devnet.client.chain_id, devnet.market.address, devnet.deployment.verifier)
    for count in range(CASES):
        project, round = rng.randrange(2**256), rng.randrange(2**32)
        openings = [random_opening(rng) for _ in range(1 + count)]
        ours = [
            commitments.commitment(identity, project, round, one.member, one.update, one.cid, one.salt)
            for one in openings
        ]
        assert tuple(ours) == devnet.market.commitments_of(project, round, openings)
        leaf = (project, round, rng.randrange(256), rng.randrange(2**32), rng.randrange(2**256))
        assert payout_leaf(*leaf) == devnet.market.payout_leaf_of(*leaf)


def test_commit_digests(devnet: Devnet) -> None:
    """The market recovers the signer of exactly the message that Python signs, and of no changed one."""
    scene = Scene.create(devnet)
    rng = random.Random(5)
    scene.open()
    trainer = scene.trainers[0]
    right = {
        "identity": scene.identity,
        "project": scene.project,
        "round": 1,
        "member": 1,
        "commitment": scene.commitment_of(trainer),
    }
    wrong = [
        {"identity": replace(scene.identity, chain_id=1)},
        {"identity": replace(scene.identity, market=random_address(rng))},
        {"project": scene.project + 1},
        {"round": 2},
        {"member": 2},
        {"commitment": rng.randbytes(32)},
    ]
    # A second leaf that counts, so that the batch is not empty whatever becomes of the first.
    second = scene.trainers[1]
    leaves = [leaf_of(scene, trainer), leaf_of(scene, second)]
    good = scene.sign_commit(second)

    def skipped(changes: dict) -> list[tuple[int, LeafSkip]]:
        fields = right | changes
        signature = commitments.sign(commitments.commit_message(*fields.values()), trainer)
        signatures = [signature, good]
        with devnet.undone():
            receipt = devnet.send(scene.aggregator, devnet.market.commit_batch(scene.project, 1, leaves, signatures))
            events = decode_receipt(receipt, devnet.market.address)
        return [(event.member, event.reason) for event in events if isinstance(event, LeafSkipped)]

    for changes in wrong:
        assert skipped(changes) == [(1, LeafSkip.NOT_SIGNED)], changes
    assert skipped({}) == []


def leaf_of(scene: Scene, trainer: LocalAccount) -> CommitLeaf:
    return CommitLeaf(scene.number_of(trainer), scene.commitment_of(trainer))


def test_receipt_digests(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    openings = scene.openings_of(scene.trainers)
    right = scene.receipt_of(0, openings, 0b111)
    wrong = [
        replace(right, endorsed=0b110),
        replace(right, refused=0b100),
        replace(right, witness=1),
        scene.receipt_of(0, openings[::-1], 0b111),
        scene.receipt_of(0, openings[:2], 0b111),
        replace(right, signature=bytes(64) + b"\x1b"),
    ]
    for receipt in wrong:
        request = devnet.market.reveal(scene.project, 1, scene.batch, openings, [receipt])
        with pytest.raises(TransactionReverted) as refused:
            devnet.market.simulate(request, scene.aggregator.address)
        assert refused.value.name == "ReceiptInvalid"
    request = devnet.market.reveal(scene.project, 1, scene.batch, openings, [right])
    devnet.market.simulate(request, scene.aggregator.address)


def random_scores(rng: random.Random, rows: int) -> tuple[list[int], list[int]]:
    """Scores and reasons of every order of magnitude, some rejected."""
    sizes = (0, 1, ONE, 8 * ONE, 2**64 - 1)
    scores = [rng.randint(0, rng.choice(sizes)) for _ in range(rows)]
    reasons = [rng.choice((0, 0, 0, 1, 255)) for _ in range(rows)]
    return [0 if reason else score for score, reason in zip(scores, reasons, strict=True)], reasons


def in_bounds(round_budget: int = BUDGET, aggregator_fee: int = 10_000, slots: int = 4, **changes) -> dict:
    """Terms with the least stake and bond that their money allows."""
    distributable = round_budget - aggregator_fee - round_budget // 100
    return {
        "round_budget": round_budget,
        "aggregator_fee": aggregator_fee,
        "slots": slots,
        "stake": minimum_stake(distributable, slots),
        "bond": minimum_bond(round_budget),
        **changes,
    }


@pytest.mark.parametrize(
    ("trainers", "changes"),
    [
        (2, in_bounds(slots=2, min_trainers=1, share_cap=1)),
        (3, in_bounds(share_cap=2, score_floor=1)),
        (5, in_bounds(slots=5, share_cap=3, round_budget=2**100, aggregator_fee=2**99 + 1)),
        (8, in_bounds(slots=8, share_cap=255, score_floor=2**63)),
        (7, in_bounds(slots=16, share_cap=4, round_budget=17, aggregator_fee=0)),
    ],
)
def test_pay_root_and_records_of_a_settlement(devnet: Devnet, trainers: int, changes: dict) -> None:
    """The same round settled many times over, each time with other scores."""
    scene = Scene.create(devnet, trainers, deposit=max(changes["round_budget"], 2_000_008), **changes)
    rng = random.Random(trainers)
    scene.open()
    scene.commit()
    scene.reveal()
    assert len(scene.rows) == trainers
    for _ in range(SETTLEMENTS):
        scores, reasons = random_scores(rng, trainers)
        with devnet.undone():
            check_settlement(scene, scores, reasons, claimant=rng.randrange(trainers))


def check_settlement(scene: Scene, scores: list[int], reasons: list[int], claimant: int) -> None:
    devnet, terms = scene.devnet, scene.terms
    distributable = devnet.market.distributable_of(scene.project)
    fee, weight = devnet.market.fees_of(scene.project)
    assert weight == standing_weight(fee, devnet.market.profile().tokens[0].full_fee)
    before = devnet.market.ledger_of(scene.project)
    receipt = scene.settle(scores, reasons)
    pay = pays(scores, reasons, distributable, terms.score_floor, terms.share_cap)
    events = decode_receipt(receipt, scene.market.address)
    settled = next(event for event in events if isinstance(event, RoundSettled))
    tree = scene.tree(1, scene.rows, pay)
    dust, burned = undistributed(pay, distributable)
    assert (settled.payout_root, settled.paid, settled.burned) == (tree.root, sum(pay), burned)
    after = devnet.market.ledger_of(scene.project)
    assert (before.held, after.held) == (terms.round_budget, 0)
    assert (after.free - before.free, after.claimable) == (dust, sum(pay))
    assert (after.fees, after.protocol_fees) == (terms.aggregator_fee + fee, fee)
    for row, trainer in enumerate(scene.trainers):
        expected = next_record(
            Record(),
            pay=pay[row],
            rejected=reasons[row] != 0,
            rows=len(scores),
            distributable=distributable,
            weight=weight,
        )
        found = settled.rows[row]
        assert (found.score, found.reason, found.pay, found.record) == (
            scores[row],
            reasons[row],
            pay[row],
            expected,
        )
        assert devnet.market.record_of(scene.project, row + 1) == expected
        loss = rejection_loss(weight) if reasons[row] else 0
        assert devnet.market.losses_of(trainer.address) == loss
    if pay[claimant]:
        claim = devnet.market.claim(scene.project, claimant + 1, [tree.claim_item(claimant)])
        devnet.send(devnet.account("anyone"), claim)
    scene.money_holds()


def test_records_losses_and_reliability_over_many_rounds(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4, deposit=30 * BUDGET, rounds=20)
    rng, distributable = random.Random(9), devnet.market.distributable_of(scene.project)
    records = {number: Record() for number in range(1, 5)}
    losses = {number: 0 for number in range(1, 5)}
    for number in range(1, 21):
        scene.open()
        scene.commit()
        scene.reveal(scene.trainers[:2])
        scene.reveal(scene.trainers[2:])
        scores, reasons = random_scores(rng, 4)
        if number < 14:  # a good start, so that there is something to lose
            scores, reasons = [ONE + rng.randrange(ONE) for _ in scores], [0] * 4
        scene.settle(scores, reasons)
        pay = pays(scores, reasons, distributable, scene.terms.score_floor, scene.terms.share_cap)
        for row, one in enumerate(scene.rows):
            rejected = reasons[row] != 0
            records[one.member] = next_record(
                records[one.member],
                pay=pay[row],
                rejected=rejected,
                rows=4,
                distributable=distributable,
                weight=FULL_WEIGHT,
            )
            if rejected:
                losses[one.member] = loss_after(losses[one.member], rejection_loss(FULL_WEIGHT))
            trainer = scene.trainers[one.member - 1].address
            assert devnet.market.record_of(scene.project, one.member) == records[one.member]
            assert devnet.market.losses_through(trainer, scene.owner.address) == losses[one.member]
            assert devnet.market.reliability_of(trainer, [scene.project]) == reliability(
                [(scene.owner.address, records[one.member].credit)], losses[one.member]
            )
    assert all(record.rounds == 20 for record in records.values())
    assert max(losses.values()) == 30_000, "the cap of one owner was reached"


def test_reliability_through_several_owners(devnet: Devnet) -> None:
    """Projects of two owners vouch for the same trainers, in the one order that the market accepts."""
    first = Scene.create(devnet, deposit=4 * BUDGET, rounds=4)
    again = Scene.create(devnet, deposit=4 * BUDGET, rounds=4)
    other = Scene.create(devnet, deposit=4 * BUDGET, rounds=4, owner=devnet.account("another owner"))
    for scene, rounds in ((first, 2), (again, 1), (other, 3)):
        for _ in range(rounds):
            scene.open()
            scene.commit()
            scene.reveal()
            scene.settle([ONE, ONE, ONE // 5])
    trainer = first.trainers[2].address
    owners = {scene.project: scene.owner.address for scene in (first, again, other)}
    order = standing_order([(owner, project) for project, owner in owners.items()])
    credits = [(owners[project], devnet.market.record_of(project, 3).credit) for project in order]
    assert all(credit > 0 for _, credit in credits)
    assert devnet.market.reliability_of(trainer, order) == reliability(credits, 0)
    assert devnet.market.reliability_of(trainer, order[:1]) == reliability(credits[:1], 0)
    for bad in (order[::-1], [order[0], order[0]]):
        with pytest.raises(TransactionReverted) as refused:
            devnet.market.reliability_of(trainer, bad)
        assert refused.value.name == "StandingListUnsorted"


def test_terms_are_refused_alike(devnet: Devnet) -> None:
    """`createProject` refuses what `check_terms` refuses, and nothing else."""
    scene = Scene.create(devnet)
    profile, owner = devnet.market.profile(), scene.owner
    right = make_terms(devnet, scene.terms.witnesses, scene.terms.aggregators)
    check_terms(right, profile)
    devnet.market.simulate(devnet.market.create_project(right, 0), owner.address)
    for changes in (
        {"stake": right.stake - 1},
        {"bond": right.bond - 1},
        {"min_trainers": 3},
        {"quorum": 1},
        {"min_reliability": 10_001},
        {"windows": replace(right.windows, reveal=0)},
        {"windows": replace(right.windows, self_commit=600)},
        {"witnesses": right.witnesses[::-1]},
    ):
        wrong = replace(right, **changes)
        with pytest.raises(TermsOutOfBounds) as here:
            check_terms(wrong, profile)
        with pytest.raises(TransactionReverted) as there:
            devnet.market.simulate(devnet.market.create_project(wrong, 0), owner.address)
        assert there.value.name in ("TermsInvalid", "AddressesNotIncreasing")
        assert here.value.what.startswith(there.value.arguments["what"])
    for changes in ({"verifier_code_hash": bytes(32)}, {"policy_code_hash": keccak(b"other")}):
        wrong = replace(right, **changes)
        with pytest.raises(TermsOutOfBounds):
            check_terms(wrong, profile)
        with pytest.raises(TransactionReverted) as there:
            devnet.market.simulate(devnet.market.create_project(wrong, 0), owner.address)
        assert there.value.name == "CodeHashNotAllowed"


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 6, 8])
def test_a_tree_of_any_size_is_claimed_on_chain(devnet: Devnet, rows: int) -> None:
    """Default pay: every row's proof holds on chain, and no other row's does."""
    scene = Scene.create(devnet, rows, **in_bounds(slots=8, min_trainers=1))
    scene.open()
    scene.commit()
    scene.reveal()
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(devnet.account("anyone"), devnet.market.close_round(scene.project, 1, scene.admissions))
    amount = devnet.market.distributable_of(scene.project) // rows
    tree = PayoutTree(scene.project, 1, [(row.member, amount) for row in scene.rows])
    for row, trainer in enumerate(scene.trainers):
        item = tree.claim_item(row)
        stolen = devnet.market.claim(scene.project, (row + 1) % rows + 1, [item])
        more = devnet.market.claim(scene.project, row + 1, [replace(item, amount=amount + 1)])
        elsewhere = devnet.market.claim(scene.project, row + 1, [replace(item, row=31 - row)])
        for request in (stolen, more, elsewhere)[rows == 1 :]:
            with pytest.raises(TransactionReverted) as refused:
                devnet.market.simulate(request, trainer.address)
            assert refused.value.name == "ProofInvalid"
        devnet.send(trainer, devnet.market.claim(scene.project, row + 1, [item]))
    scene.money_holds()


def test_a_high_s_signature_is_refused(devnet: Devnet) -> None:
    """A second signature for the same message must not exist (EIP-2); on chain it cannot even be written down."""
    scene = Scene.create(devnet)
    scene.open()
    trainer = scene.trainers[0]
    signed = scene.sign_commit(trainer)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = int.from_bytes(signed[32:64], "big")
    flipped = signed[:32] + (order - s).to_bytes(32, "big") + bytes([55 - signed[64]])
    message = commitments.commit_message(scene.identity, scene.project, 1, 1, scene.commitment_of(trainer))
    assert Account.recover_message(message, signature=flipped) == trainer.address
    with pytest.raises(ArgumentInvalid, match="high s"):
        devnet.market.commit_batch(scene.project, 1, [leaf_of(scene, trainer)], [flipped])
