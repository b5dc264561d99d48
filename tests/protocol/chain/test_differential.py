"""Python against Solidity on random cases: commitments, signed digests, pay, payout root, standing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from cohort_protocol import commitments
from cohort_protocol.chain.codec import contract_abi, encode_values
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.events import RoundSettled, RowPaid, decode_receipt
from cohort_protocol.chain.types import CommitLeaf, CommitSignature, Outcome, Reveal, Standing
from cohort_protocol.commitments import MarketId, SettlementStatement
from cohort_protocol.payout import PayoutTree, payout_leaf, pays, undistributed
from cohort_protocol.standing import next_standing
from eth_abi import encode
from eth_account import Account
from eth_account.messages import SignableMessage
from eth_account.signers.local import LocalAccount
from eth_utils import keccak, to_checksum_address

from tests.fixtures.chain import Devnet
from tests.fixtures.scene import ONE, Scene

CASES = 25


def digest(message: SignableMessage) -> bytes:
    """What is signed: keccak256(0x19 || version || domain separator || struct hash) (EIP-712, EIP-191)."""
    return keccak(b"\x19" + message.version + message.header + message.body)


def random_address(rng: random.Random) -> str:
    return to_checksum_address(rng.randbytes(20))


def test_commitments(devnet: Devnet) -> None:
    rng = random.Random(1)
    identity = MarketId(devnet.client.chain_id, devnet.market.address, devnet.deployment.verifier)
    for _ in range(CASES):
        values = (
            rng.randrange(2**256),
            rng.randrange(2**32),
            random_address(rng),
            rng.randbytes(32),
            rng.randbytes(32),
        )
        assert commitments.commitment(identity, *values) == devnet.market.commitment_of(*values)


def test_reveals_hash(devnet: Devnet) -> None:
    rng = random.Random(2)
    for count in range(CASES):
        reveals = [
            Reveal(
                random_address(rng), rng.randbytes(32), rng.randbytes(32), rng.randbytes(rng.choice((36, 0, 5, 100)))
            )
            for _ in range(count)
        ]
        ours = commitments.reveals_hash([(one.trainer, one.update, one.cid) for one in reveals])
        assert ours == devnet.market.reveals_hash_of(reveals)


def test_payout_leaves(devnet: Devnet) -> None:
    rng = random.Random(3)
    for _ in range(CASES):
        leaf = (
            rng.randrange(2**256),
            rng.randrange(2**32),
            rng.randrange(256),
            random_address(rng),
            rng.randrange(2**256),
        )
        assert payout_leaf(*leaf) == devnet.market.payout_leaf_of(*leaf)


def test_settlement_digests(devnet: Devnet) -> None:
    """The verifier says what it wants signed."""
    rng = random.Random(4)
    verifier = contract_abi("AttestedVerifier")
    function = verifier.functions["settlementDigest"]
    for _ in range(CASES):
        identity = MarketId(devnet.client.chain_id, random_address(rng), devnet.deployment.verifier)
        words = [rng.randbytes(32) for _ in range(5)]
        model_cid, bundle_cid = rng.randbytes(36), rng.randbytes(36)
        statement = SettlementStatement(rng.randrange(2**256), rng.randrange(2**32), *words, model_cid, bundle_cid)
        on_chain = {
            "market": identity.market,
            "project": statement.project,
            "round": statement.round,
            "admitted_hash": words[0],
            "policy_hash": words[1],
            "outcomes_hash": words[2],
            "previous_model": words[3],
            "next_model": words[4],
            "next_model_cid": keccak(model_cid),
            "bundle_cid": keccak(bundle_cid),
        }
        data = function.selector + encode_values(function.inputs, [on_chain], "settlementDigest")
        theirs = verifier.decode_result("settlementDigest", devnet.client.call(identity.verifier, data))
        assert digest(commitments.settlement_message(identity, statement)) == theirs


def test_commit_digests(devnet: Devnet) -> None:
    """The market recovers the signer of exactly the message that Python signs, and another of any changed one."""
    scene = Scene.create(devnet)
    rng = random.Random(5)
    scene.open()
    trainer = scene.trainers[0]
    right = {
        "identity": scene.identity,
        "project": scene.project,
        "round": 1,
        "trainer": trainer.address,
        "commitment": scene.commitment_of(trainer),
        "expiry": scene.view().settle_end,
    }
    wrong = [
        {"identity": replace(scene.identity, chain_id=1)},
        {"identity": replace(scene.identity, market=random_address(rng))},
        {"project": scene.project + 1},
        {"round": 2},
        {"trainer": scene.trainers[1].address},
        {"commitment": rng.randbytes(32)},
        {"expiry": right["expiry"] + 1},
    ]

    def post(changes: dict) -> None:
        fields = right | changes
        signature = commitments.sign(commitments.commit_message(*fields.values()), trainer)
        leaf = leaf_of(scene, trainer)
        request = devnet.market.commit_batch(scene.project, 1, [leaf], [CommitSignature(right["expiry"], signature)])
        devnet.market.simulate(request, scene.aggregator.address)

    for changes in wrong:
        with pytest.raises(TransactionReverted) as refused:
            post(changes)
        assert refused.value.name == "CommitSignatureInvalid", changes
        assert refused.value.arguments["recovered"] != trainer.address
    post({})


def leaf_of(scene: Scene, trainer: LocalAccount) -> CommitLeaf:
    return CommitLeaf(trainer.address, scene.commitment_of(trainer))


def test_receipt_digests(devnet: Devnet) -> None:
    scene = Scene.create(devnet)
    scene.open()
    scene.commit()
    reveals = scene.reveals_of(scene.trainers)
    right = scene.receipt_of(0, reveals, 0b111)
    wrong = [
        replace(right, endorsed=0b110),
        replace(right, refused=0b100),
        replace(right, witness=1),
        scene.receipt_of(0, reveals[::-1], 0b111),
        scene.receipt_of(0, reveals[:2], 0b111),
        replace(right, signature=right.signature[:-1]),
        replace(right, signature=bytes(65)),
    ]
    for receipt in wrong:
        request = devnet.market.reveal(scene.project, 1, scene.leaves, reveals, [receipt])
        with pytest.raises(TransactionReverted) as refused:
            devnet.market.simulate(request, scene.aggregator.address)
        assert refused.value.name == "ReceiptInvalid"
    request = devnet.market.reveal(scene.project, 1, scene.leaves, reveals, [right])
    devnet.market.simulate(request, scene.aggregator.address)


def random_scores(rng: random.Random, rows: int) -> tuple[list[int], list[int]]:
    """Scores and reasons of every order of magnitude, some rejected."""
    sizes = (0, 1, ONE, 8 * ONE, 2**64 - 1)
    scores = [rng.randint(0, rng.choice(sizes)) for _ in range(rows)]
    reasons = [rng.choice((0, 0, 0, 1, 255)) for _ in range(rows)]
    return [0 if reason else score for score, reason in zip(scores, reasons, strict=True)], reasons


@pytest.mark.parametrize(
    ("trainers", "changes"),
    [
        (2, {"slots": 2, "min_trainers": 1, "share_cap": 1}),
        (3, {"share_cap": 2, "score_floor": 1}),
        (5, {"slots": 5, "share_cap": 3, "round_budget": 2**100, "aggregator_fee": 2**99 + 1}),
        (8, {"slots": 8, "share_cap": 255, "score_floor": 2**63}),
        (7, {"slots": 16, "share_cap": 4, "round_budget": 17, "aggregator_fee": 0}),
    ],
)
def test_pay_root_and_standing_of_a_settlement(devnet: Devnet, trainers: int, changes: dict) -> None:
    """The same round settled many times over, each time with other scores."""
    deposit = changes.get("round_budget", 2_000_008)
    scene = Scene.create(devnet, trainers, deposit=max(deposit, 2_000_008), **changes)
    rng = random.Random(trainers)
    scene.open()
    scene.commit()
    scene.reveal()
    assert len(scene.rows) == trainers
    for _ in range(CASES):
        scores, reasons = random_scores(rng, trainers)
        with devnet.undone():
            check_settlement(scene, scores, reasons, claimant=rng.randrange(trainers))


def check_settlement(scene: Scene, scores: list[int], reasons: list[int], claimant: int) -> None:
    devnet, terms = scene.devnet, scene.terms
    before = devnet.market.ledger_of(scene.project)
    receipt = scene.settle(scores, reasons)
    pay = pays(scores, reasons, terms.distributable, terms.score_floor, terms.share_cap)
    events = decode_receipt(receipt, scene.market.address)
    assert [event.pay for event in events if isinstance(event, RowPaid)] == pay
    tree = scene.tree(1, scene.rows, pay)
    settled = next(event for event in events if isinstance(event, RoundSettled))
    dust, burned = undistributed(pay, terms.distributable)
    assert (settled.payout_root, settled.paid, settled.burned) == (tree.root, sum(pay), burned)
    after = devnet.market.ledger_of(scene.project)
    assert (before.held, after.held) == (terms.round_budget, 0)
    assert (after.free - before.free, after.claimable, after.fees) == (dust, sum(pay), terms.aggregator_fee)
    for row, trainer in enumerate(scene.trainers):
        expected = next_standing(
            Standing(0, 0, 0, 0),
            pay=pay[row],
            rejected=reasons[row] != 0,
            rows=len(scores),
            distributable=terms.distributable,
        )
        assert devnet.market.standing_of(trainer.address) == expected
    if pay[claimant]:
        claim = devnet.market.claim(scene.project, scene.trainers[claimant].address, [tree.claim_item(claimant)])
        devnet.send(devnet.account("anyone"), claim)
    scene.money_holds()


def test_standing_over_many_rounds(devnet: Devnet) -> None:
    scene = Scene.create(devnet, trainers=4, deposit=40 * 1_000_004, rounds=30)
    rng, distributable = random.Random(9), scene.terms.distributable
    standings = {trainer.address: Standing(0, 0, 0, 0) for trainer in scene.trainers}
    for number in range(1, 31):
        scene.open()
        scene.commit()
        scene.reveal(rng.sample(scene.trainers, 4))
        scores, reasons = random_scores(rng, 4)
        if number < 20:  # a good start, so that there is something to lose
            scores, reasons = [ONE + rng.randrange(ONE) for _ in scores], [0] * 4
        scene.settle(scores, reasons)
        pay = pays(scores, reasons, distributable, scene.terms.score_floor, scene.terms.share_cap)
        for row, one in enumerate(scene.rows):
            standings[one.trainer] = next_standing(
                standings[one.trainer],
                pay=pay[row],
                rejected=reasons[row] != 0,
                rows=4,
                distributable=distributable,
            )
            assert devnet.market.standing_of(one.trainer) == standings[one.trainer]
    assert all(standing.rounds == 30 for standing in standings.values())
    assert any(standing.rejections for standing in standings.values())
    assert max(standing.reliability for standing in standings.values()) > 2000


def test_hashes_of_batches_and_outcomes(devnet: Devnet) -> None:
    """What the contract stores of a batch and of the admitted rows."""
    scene = Scene.create(devnet, trainers=4)
    scene.open()
    scene.commit()
    view = scene.view()
    assert view.batch_hash == commitments.batch_hash([(leaf.trainer, leaf.commitment) for leaf in scene.leaves])
    scene.reveal(scene.trainers[::-1])
    rows = [(row.trainer, row.update) for row in scene.rows]
    assert scene.view().admitted_hash == commitments.admitted_hash(rows)
    assert rows[0][0] == scene.trainers[-1].address
    outcomes = [Outcome(5, 0), Outcome(0, 2)]
    assert commitments.outcomes_hash([(one.score, one.reason) for one in outcomes]) == keccak(
        encode(["(uint64,uint8)[]"], [[(5, 0), (0, 2)]])
    )


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 6, 8])
def test_a_tree_of_any_size_is_claimed_on_chain(devnet: Devnet, rows: int) -> None:
    """Default pay: every row's proof holds on chain, and no other row's does."""
    scene = Scene.create(devnet, rows, slots=8, min_trainers=1)
    scene.open()
    scene.commit()
    scene.reveal()
    devnet.control.warp_to(scene.view().settle_end)
    devnet.send(devnet.account("anyone"), devnet.market.close_round(scene.project, 1, scene.rows))
    amount = scene.terms.distributable // rows
    tree = PayoutTree(scene.project, 1, [(row.trainer, amount) for row in scene.rows])
    for row, trainer in enumerate(scene.trainers):
        item = tree.claim_item(row)
        stolen = devnet.market.claim(scene.project, devnet.account("thief").address, [item])
        more = devnet.market.claim(scene.project, trainer.address, [replace(item, amount=amount + 1)])
        for request in (stolen, more):
            with pytest.raises(TransactionReverted) as refused:
                devnet.market.simulate(request, trainer.address)
            assert refused.value.name == "ProofInvalid"
        devnet.send(trainer, devnet.market.claim(scene.project, trainer.address, [item]))
    scene.money_holds()


def test_a_high_s_signature_is_refused(devnet: Devnet) -> None:
    """A second signature for the same message must not exist (EIP-2)."""
    scene = Scene.create(devnet)
    scene.open()
    trainer = scene.trainers[0]
    signed = scene.sign_commit(trainer, scene.view().settle_end)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = int.from_bytes(signed.signature[32:64], "big")
    flipped = signed.signature[:32] + (order - s).to_bytes(32, "big") + bytes([55 - signed.signature[64]])
    message = commitments.commit_message(
        scene.identity, scene.project, 1, trainer.address, scene.commitment_of(trainer), signed.expiry
    )
    assert Account.recover_message(message, signature=flipped) == trainer.address
    leaf = leaf_of(scene, trainer)
    request = devnet.market.commit_batch(scene.project, 1, [leaf], [CommitSignature(signed.expiry, flipped)])
    with pytest.raises(TransactionReverted) as refused:
        devnet.market.simulate(request, scene.aggregator.address)
    assert refused.value.name == "CommitSignatureInvalid"
