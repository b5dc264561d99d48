"""What a witness says of a round with a batch: its own rows first, an outcome without them only when it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cohort_backend.public_rows import service as rows_service
from cohort_backend.rounds.state import project_state
from cohort_backend.settlements import service as settlements_service
from cohort_protocol.chain import ChainClient
from cohort_protocol.identifiers import to_hex
from cohort_protocol.phases import Phase
from cohort_protocol.proof.schemes import Schemes
from cohort_protocol.service.messages import (
    ProjectState,
    PublicRowsProposal,
    PublicRowsRefusal,
    PublicRowsSignature,
    SettlementSignature,
)
from cohort_worker.rounds.margins import rows_due
from cohort_worker.witness.history import ChainHistory
from cohort_worker.witness.memory import SigningMemory
from cohort_worker.witness.watch import LOOK_AGAIN, ProjectWatch, WitnessParts
from eth_account.signers.local import LocalAccount

from tests.worker.evaluation.test_evaluate import advance, run_jobs
from tests.worker.evaluation.test_public_rows import proposed, to_reveals, with_batch
from tests.worker.stage import SHORT, Stage


class Ears:
    """The part of the service's client that a witness speaks to, straight into the service's intake."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.heard: list[Any] = []

    def post_rows_signature(self, project: int, round: int, intake: PublicRowsSignature) -> None:
        self.heard.append(intake)
        rows_service.record_signature(self._stage.database, self._stage.identity, project, round, intake)

    def post_rows_refusal(self, project: int, round: int, intake: PublicRowsRefusal) -> None:
        self.heard.append(intake)

    def post_settlement_signature(self, project: int, round: int, intake: SettlementSignature) -> None:
        self.heard.append(intake)
        settlements_service.record_signature(self._stage.database, self._stage.identity, project, round, intake)


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A round that waits for its outcome and has a batch."""
    stage = make_stage(windows=SHORT, policy="default", batches=True)
    to_reveals(stage)
    with_batch(stage)
    return stage


@pytest.fixture
def ears(stage: Stage) -> Ears:
    return Ears(stage)


@pytest.fixture
def watch(stage: Stage, ears: Ears) -> Iterator[Callable[[LocalAccount], ProjectWatch]]:
    """Watches of witnesses of the project."""
    memories = []

    def make(account: LocalAccount) -> ProjectWatch:
        client: ChainClient = stage.devnet.client
        history = ChainHistory(client, stage.market, stage.devnet.deployment.block)
        memories.append(SigningMemory(stage.home / f"{account.address}.jsonl"))
        schemes = Schemes(client, None)
        parts = WitnessParts(account, ears, stage.market, history, stage.store, memories[-1], schemes)  # type: ignore[arg-type]
        return ProjectWatch(parts, stage.project, stage.identity, stage.terms, "attested")

    yield make
    for memory in memories:
        memory.close()


def state_of(stage: Stage) -> ProjectState:
    with stage.database.read() as session:
        from cohort_backend.chain.repository import chain_now

        return project_state(session, stage.project, chain_now(session))


def test_witnesses_sign_rows_then_the_outcome(stage: Stage, ears: Ears, watch) -> None:
    run_jobs(stage, "compute_rows")
    for witness in stage.witnesses[:2]:
        assert watch(witness).answer(state_of(stage)) is None
    assert [type(word) for word in ears.heard] == [PublicRowsSignature] * 2
    advance(stage)
    assert stage.view().public_rows == proposed(stage)
    run_jobs(stage, "evaluate_round")
    signer = watch(stage.witnesses[2])
    assert signer.answer(state_of(stage)) is None
    assert isinstance(ears.heard[-1], SettlementSignature)
    count = len(ears.heard)
    signer.answer(state_of(stage))
    assert len(ears.heard) == count, "a word is said once"


def test_other_rows_are_refused_in_words(stage: Stage, ears: Ears, watch) -> None:
    run_jobs(stage, "compute_rows")
    state = state_of(stage)
    assert state.public_rows is not None
    rubbish = to_hex(stage.store.put(b"no manifest").digest)
    other = PublicRowsProposal(**{**state.public_rows.model_dump(), "rows": rubbish})
    assert watch(stage.witnesses[0]).answer(state.model_copy(update={"public_rows": other})) is None
    assert isinstance(ears.heard[-1], PublicRowsRefusal)
    assert "not a manifest" in ears.heard[-1].detail


def test_an_outcome_without_rows_is_signed_only_when_their_time_is_over(
    stage: Stage, ears: Ears, watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cohort_worker.evaluation.evaluate import evaluate_round

    assert evaluate_round(stage.parts, stage.project, 1), "an aggregator that leaves the rows out"
    witness = watch(stage.witnesses[0])
    assert witness.answer(state_of(stage)) == LOOK_AGAIN
    assert ears.heard == []
    view = stage.view()
    stage.devnet.control.warp_to(rows_due(view.reveal_end, view.acceptor_end) + 1)
    stage.parts.indexer.catch_up()
    assert stage.phase() is Phase.SETTLE
    assert witness.answer(state_of(stage)) is None
    assert isinstance(ears.heard[-1], SettlementSignature)


def test_a_batch_that_no_rows_follow_from_is_not_waited_for(
    stage: Stage, ears: Ears, watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cohort_worker.evaluation.evaluate import evaluate_round

    monkeypatch.setattr("cohort_protocol.learning.batches.MAX_BATCH_BYTES", 10)
    assert evaluate_round(stage.parts, stage.project, 1)
    assert watch(stage.witnesses[0]).answer(state_of(stage)) is None
    assert isinstance(ears.heard[-1], SettlementSignature)
