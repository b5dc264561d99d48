"""A witness of a proven project on a real chain: points instead of hashes, steps on the card, receipts for models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohort_backend.proofs.service import record_model_receipt
from cohort_backend.public_rows import service as rows_service
from cohort_backend.settlements import service as settlements_service
from cohort_backend.updates import receipts as receipts_service
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.phases import Phase
from cohort_protocol.proof.project_srs import SrsMissing
from cohort_protocol.proof.schemes import Schemes
from cohort_protocol.service.messages import (
    ModelReceiptIntake,
    PublicRowsProposal,
    PublicRowsRefusal,
    PublicRowsSignature,
    ReceiptIntake,
    SettlementSignature,
)
from cohort_protocol.update import encode_update
from cohort_worker.rounds.advance import look
from cohort_worker.witness.history import ChainHistory
from cohort_worker.witness.memory import SigningMemory
from cohort_worker.witness.watch import ProjectWatch, WitnessParts
from eth_account.signers.local import LocalAccount

from tests.fixtures.chain import Devnet
from tests.worker.evaluation.test_evaluate import advance, run_jobs
from tests.worker.evaluation.test_public_rows import bundle_of, with_batch
from tests.worker.stage import SHORT, Stage
from tests.worker.witness.test_public_rows import state_of


class Post:
    """Answers go straight into the service's intake, which checks each."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.said: list[Any] = []

    def post_receipt(self, project: int, round: int, intake: ReceiptIntake) -> Any:
        self.said.append(intake)
        stage = self._stage
        status = receipts_service.record_receipt(stage.database, stage.identity, project, round, intake)
        return type("Answer", (), {"status": status})

    def post_rows_signature(self, project: int, round: int, intake: PublicRowsSignature) -> None:
        self.said.append(intake)
        rows_service.record_signature(self._stage.database, self._stage.identity, project, round, intake)

    def post_rows_refusal(self, project: int, round: int, intake: PublicRowsRefusal) -> None:
        self.said.append(intake)

    def post_settlement_signature(self, project: int, round: int, intake: SettlementSignature) -> None:
        self.said.append(intake)
        settlements_service.record_signature(self._stage.database, self._stage.identity, project, round, intake)

    def post_model_receipt(self, project: int, intake: ModelReceiptIntake) -> None:
        self.said.append(intake)
        record_model_receipt(self._stage.database, self._stage.identity, project, intake)


@pytest.fixture
def stage(proven_devnet: Devnet, srs_file: Path, tmp_path: Path) -> Iterator[Stage]:
    made = Stage.create(proven_devnet, tmp_path, windows=SHORT, policy="default", batches=True, srs=srs_file)
    yield made
    made.close()


@pytest.fixture
def post(stage: Stage) -> Post:
    return Post(stage)


@pytest.fixture
def watch(stage: Stage, post: Post) -> Iterator[Callable[..., ProjectWatch]]:
    """Watches of witnesses of the project, each with its own memory."""
    memories: dict[str, SigningMemory] = {}

    def make(account: LocalAccount, srs: Path | None = stage.srs) -> ProjectWatch:
        history = ChainHistory(stage.devnet.client, stage.market, stage.devnet.deployment.block)
        if account.address not in memories:
            memories[account.address] = SigningMemory(stage.home / f"{account.address}.jsonl")
        memory = memories[account.address]
        schemes = Schemes(stage.devnet.client, srs)
        parts = WitnessParts(account, post, stage.market, history, stage.store, memory, schemes)  # type: ignore[arg-type]
        return ProjectWatch(parts, stage.project, stage.identity, stage.terms, "proven")

    yield make
    for memory in memories.values():
        memory.close()


def reveal(stage: Stage) -> None:
    """A round up to where witnesses are asked about its updates."""
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)


def endorse(stage: Stage, watch: Callable[..., ProjectWatch]) -> None:
    for witness in stage.witnesses[:2]:
        watch(witness).answer(state_of(stage))
    advance(stage)


def to_proof(stage: Stage, watch: Callable[..., ProjectWatch]) -> None:
    """Rows computed and signed by watches, outcome computed, proof made."""
    run_jobs(stage, "compute_rows")
    endorse(stage, watch)
    run_jobs(stage, "evaluate_round")
    advance(stage)
    run_jobs(stage, "prove_round")


def test_a_round_is_vouched_for_from_updates_to_model(stage: Stage, post: Post, watch) -> None:
    reveal(stage)
    endorse(stage, watch)
    assert [word.endorsed for word in post.said] == [0b111, 0b111]
    with_batch(stage)
    to_proof(stage, watch)
    model = parse_bytes32(bundle_of(stage).next_model.commitment)
    endorse(stage, watch)
    kinds = [type(word) for word in post.said]
    assert kinds == [ReceiptIntake] * 2 + [PublicRowsSignature] * 2 + [SettlementSignature] * 2
    assert stage.market.round_of(stage.project, 1).phase is Phase.FINAL
    assert stage.market.progress_of(stage.project).model == model, "with the quorum's receipts it waits for nothing"
    assert watch(stage.witnesses[0]).vouch() is None
    assert len(post.said) == 6


def test_an_update_that_opens_another_point_is_refused_and_the_round_goes_on(stage: Stage, post: Post, watch) -> None:
    advance(stage)
    cheat = stage.trainers[1]
    honest = stage.update_of(cheat)
    stage.publish_elsewhere(cheat, stage.store.put(encode_update(np.full(honest.values.size, 7, np.int16))))
    for trainer in stage.trainers:
        stage.hand_in_commit(trainer)
    advance(stage)
    for trainer in stage.trainers:
        stage.hand_in_reveal(trainer)
    for witness in stage.witnesses[:2]:
        watch(witness).answer(state_of(stage))
    for word in post.said:
        assert (word.endorsed, word.refused) == (0b101, 0b010)
        (refusal,) = word.refusals
        assert (refusal.trainer, refusal.code) == (cheat.address, "commitment-mismatch")
        assert "does not open its commitment" in refusal.detail
    with_batch(stage)
    assert stage.view().admitted == 2
    assert stage.phase() is Phase.SETTLE


def test_a_card_without_the_past_steps_is_not_signed(stage: Stage, post: Post, watch) -> None:
    reveal(stage)
    endorse(stage, watch)
    with_batch(stage)
    to_proof(stage, watch)
    first_rounds = bundle_of(stage).public_rows
    endorse(stage, watch)
    reveal(stage)
    endorse(stage, watch)
    with_batch(stage)
    run_jobs(stage, "compute_rows")
    state = state_of(stage)
    assert state.public_rows is not None
    old = PublicRowsProposal(**{**state.public_rows.model_dump(), "rows": first_rounds})
    watch(stage.witnesses[0]).answer(state.model_copy(update={"public_rows": old}))
    assert isinstance(post.said[-1], PublicRowsRefusal)
    assert "for round 1" in post.said[-1].detail
    said = len(post.said)
    with pytest.raises(SrsMissing):  # a trouble of the witness's own: nothing is said of the rows
        watch(stage.witnesses[1], None).answer(state)
    assert len(post.said) == said
    watch(stage.witnesses[0]).answer(state)
    assert isinstance(post.said[-1], PublicRowsSignature)


def test_a_model_that_waits_is_seen_on_chain_and_vouched_for(stage: Stage, post: Post, watch) -> None:
    reveal(stage)
    endorse(stage, watch)
    with_batch(stage)
    to_proof(stage, watch)
    stage.devnet.control.warp(stage.parts.settings.receipt_wait + 1)
    advance(stage)
    pending = stage.market.progress_of(stage.project).pending_model
    assert pending == parse_bytes32(bundle_of(stage).next_model.commitment)
    for witness in stage.witnesses[:2]:
        one = watch(witness)
        assert one.vouch() is None
        said = len(post.said)
        assert isinstance(post.said[-1], ModelReceiptIntake)
        assert one.vouch() is None
        assert len(post.said) == said, "a word is said once"
    advance(stage)
    progress = stage.market.progress_of(stage.project)
    assert (progress.model, any(progress.pending_model)) == (pending, False)
    assert "nobody has vouched" not in look(stage.parts, stage.project).waiting_for


def test_without_the_string_nothing_is_signed(stage: Stage, post: Post, watch) -> None:
    reveal(stage)
    with pytest.raises(SrsMissing, match="cohort srs"):
        watch(stage.witnesses[0], None).answer(state_of(stage))
    assert post.said == []
