"""Proven rounds through the market: the real verifier and the real policy, from commit to the next model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.events import RoundSettled, decode_receipt
from cohort_protocol.chain.types import Outcome
from cohort_protocol.commitments import encode_outcomes, model_receipt_message
from cohort_protocol.payout import pays
from cohort_protocol.phases import Phase
from cohort_protocol.proof.curve import compress

from tests.fixtures.chain import Devnet
from tests.fixtures.proven_scene import ProvenScene, proven_devnet
from tests.fixtures.scene import BUDGET, DISTRIBUTABLE


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    with proven_devnet(tmp_path_factory.mktemp("proven")) as devnet:
        yield devnet


@pytest.fixture
def scene(chain: Devnet) -> Iterator[ProvenScene]:
    with chain.undone():
        yield ProvenScene.of(chain, 4, deposit=4 * BUDGET)


def _revealed(scene: ProvenScene) -> None:
    scene.open()
    scene.commit()
    scene.reveal()


def test_three_rounds_prove_themselves(scene: ProvenScene) -> None:
    """Pay is the policy's, the model moves by the sum of paid work, and every round starts from the one before."""
    for number in (1, 2, 3):
        _revealed(scene)
        card = scene.post_public_rows()
        assert (card is None) == (number == 1)
        ready = scene.judged(card)
        receipt = scene.send_settlement(ready, scene.evidence_of(ready))
        (settled,) = [
            event for event in decode_receipt(receipt, scene.market.address) if isinstance(event, RoundSettled)
        ]
        scores = [outcome.score for outcome in ready.outcomes]
        assert sum(scores) > 0
        assert [row.pay for row in settled.rows] == list(
            pays(
                scores,
                [o.reason for o in ready.outcomes],
                DISTRIBUTABLE,
                scene.terms.score_floor,
                scene.terms.share_cap,
            )
        )
        assert scene.view().phase is Phase.FINAL
        scene.money_holds()
        assert scene.market.progress_of(scene.project).model == compress(scene.model) == ready.statement.next_model


def test_a_model_without_receipts_waits_for_them(scene: ProvenScene) -> None:
    _revealed(scene)
    ready = scene.judged(scene.post_public_rows())
    before = scene.market.progress_of(scene.project).model
    scene.send_settlement(ready, scene.evidence_of(ready, witnesses=()))
    assert scene.view().phase is Phase.FINAL, "pay does not wait"
    assert scene.market.progress_of(scene.project).model == before
    message = model_receipt_message(scene.identity, scene.project, ready.statement.next_model)
    request = scene.market.receipt_model(scene.project, scene.witness_signatures(message))
    scene.devnet.send(scene.devnet.account("anyone"), request)
    assert scene.market.progress_of(scene.project).model == ready.statement.next_model


def test_no_lie_about_scores_or_model_is_settled(scene: ProvenScene) -> None:
    """The aggregator has a right proof, and says something else beside it."""
    _revealed(scene)
    scene.settle_proven()
    _revealed(scene)
    ready = scene.judged(scene.post_public_rows())
    evidence = scene.evidence_of(ready)
    first, *others = ready.outcomes
    lies = {
        "a higher score": replace(ready, outcomes=[Outcome(first.score + 1, first.reason), *others]),
        "a row dropped": replace(ready, outcomes=[Outcome(0, 2), *others]),
        "another model": replace(ready, statement=replace(ready.statement, next_model=ready.statement.previous_model)),
    }
    for lie in lies.values():
        with pytest.raises(TransactionReverted):
            scene.send_settlement(lie, evidence)
    held = scene.admissions
    scene.admissions = held[:-1]
    with pytest.raises(TransactionReverted):
        scene.send_settlement(ready, evidence)
    scene.admissions = held
    scene.send_settlement(ready, evidence)


def test_every_word_of_a_settlement_counts(scene: ProvenScene) -> None:
    """The whole calldata of `settle`, as the aggregator sends it to the market: no word of it can be another one, and
    nothing can be cut off."""
    _revealed(scene)
    scene.settle_proven()
    _revealed(scene)
    ready = scene.judged(scene.post_public_rows())
    said = (scene.project, scene.round_number(), scene.admissions, encode_outcomes(ready.outcomes))
    evidence = scene.evidence_of(ready)
    right = scene.market.settle(*said, *scene.model_of(ready), evidence).data
    members = b"".join(row.member.to_bytes(4, "big") for row in scene.rows)
    behind = right.index(members) + len(
        members
    )  # what stands there is padding, which nobody reads; and behind the evidence
    padding = {*range(behind, behind - len(members) + 32), *range(right.index(evidence) + len(evidence), len(right))}
    wrong = [
        right[:at] + bytes(other) + right[at + 32 :]
        for at in range(4, len(right), 32)
        for word in (right[at : at + 32],)
        for other in ([word[0] ^ 0x80, *word[1:]], [*word[:31], word[31] ^ 1])
        if any(old != new and at + i not in padding for i, (old, new) in enumerate(zip(word, other, strict=True)))
    ]
    wrong += [right[:length] for length in range(0, len(right) - 32, 29)]
    assert len(wrong) > 240
    sender = scene.aggregator.address
    scene.devnet.client.call(scene.market.address, right, sender=sender)
    for data in wrong:
        with pytest.raises(TransactionReverted):
            scene.devnet.client.call(scene.market.address, data, sender=sender)


def test_past_steps_cannot_be_left_out(scene: ProvenScene) -> None:
    """A proof of round 2 without public rows, honest in everything else."""
    _revealed(scene)
    scene.settle_proven()
    _revealed(scene)
    scene.public_rows = lambda: ProvenScene.public_rows(_first(scene))  # type: ignore[method-assign]
    ready = scene.judged(None)
    with pytest.raises(TransactionReverted) as refused:
        scene.send_settlement(ready, scene.evidence_of(ready))
    assert refused.value.name == "PublicRowsMissing"


def _first(scene: ProvenScene) -> ProvenScene:
    """The scene as it would be in round 1."""
    other = replace(scene)
    other.round_number = lambda: 1  # type: ignore[method-assign]
    return other
