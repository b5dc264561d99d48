"""Proofs under way, words of witnesses in proven projects, and receipts for models that wait for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_backend.chain.projection import apply_events
from cohort_backend.chain.repository import chain_now
from cohort_backend.database import Database, JobMessage
from cohort_backend.projects import repository as projects
from cohort_backend.proofs import repository
from cohort_backend.proofs.errors import ModelNotPending
from cohort_backend.proofs.models import PROVING, QUEUED, READY
from cohort_backend.proofs.service import record_model_receipt
from cohort_backend.proofs.views import proof_view
from cohort_backend.rounds.state import project_state
from cohort_backend.settlements.service import record_signature
from cohort_backend.updates.errors import NotAWitness
from cohort_protocol.chain.events import ModelPending, ModelReceipted, RoundSettled
from cohort_protocol.commitments import model_bytes_message, model_receipt_message, sign
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.service.messages import ModelReceiptIntake, SettlementSignature
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from tests.backend.settlements.test_words import agree, propose
from tests.backend.stages import ADMITTED, SETTLED, Stages


def expect_proof(database: Database, stages: Stages, bundle_cid: str, state: str = QUEUED, **fields: object) -> None:
    with database.write() as session:
        repository.save_proof(session, stages.project, 1, bundle_cid, state, **fields)


def vouch(stages: Stages, proposal, witness: LocalAccount, signer: LocalAccount | None = None) -> SettlementSignature:
    """For the bytes of the next model."""
    cids = [bytes(Cid.parse(text)) for text in (proposal.next_model_cid, proposal.bundle_cid)]
    message = model_bytes_message(stages.scene.identity, stages.project, 1, proposal.next_model, *cids)
    signature = to_hex(sign(message, signer or witness))
    return SettlementSignature(witness=witness.address, bundle_cid=proposal.bundle_cid, signature=signature)


def test_in_a_proven_project_a_witness_vouches_for_bytes_and_not_for_scores(
    database: Database, stages_made: Stages
) -> None:
    stages_made.fill(database, ADMITTED)
    proposal, market = propose(database, stages_made), stages_made.scene.identity
    expect_proof(database, stages_made, proposal.bundle_cid)
    first, second = stages_made.scene.witnesses[:2]
    with pytest.raises(SignatureInvalid):
        record_signature(database, market, stages_made.project, 1, agree(stages_made, proposal, first))
    with pytest.raises(SignatureInvalid):
        record_signature(database, market, stages_made.project, 1, vouch(stages_made, proposal, first, second))
    assert record_signature(database, market, stages_made.project, 1, vouch(stages_made, proposal, first)) == "recorded"
    with database.read() as session:
        view = proof_view(session, stages_made.project, 1)
    assert view is not None
    assert (view.state, view.receipts, view.bytes) == ("queued", [first.address], None)


def test_in_an_attested_project_it_is_the_other_way_round(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, ADMITTED)
    proposal, witness = propose(database, stages_made), stages_made.scene.witnesses[0]
    intake = vouch(stages_made, proposal, witness)
    with pytest.raises(SignatureInvalid):
        record_signature(database, stages_made.scene.identity, stages_made.project, 1, intake)
    with database.read() as session:
        assert proof_view(session, stages_made.project, 1) is None


def test_how_far_a_proof_is_can_be_followed(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, ADMITTED)
    proposal = propose(database, stages_made)
    expect_proof(database, stages_made, proposal.bundle_cid)
    with database.read() as session:
        before = projects.version(session, stages_made.project)
    expect_proof(database, stages_made, proposal.bundle_cid, PROVING, part=3, parts=6, step="commit S", prover="python")
    with database.read() as session:
        assert projects.version(session, stages_made.project) == before + 1
        view = proof_view(session, stages_made.project, 1)
    assert (view.state, view.part, view.parts, view.step, view.prover) == ("proving", 3, 6, "commit S", "python")
    done = {"content": b"\1" * 320, "seconds": 1.5, "verify_gas": 400_000, "evidence_bytes": 3000, "ready_at": 7}
    expect_proof(database, stages_made, proposal.bundle_cid, READY, **done)
    with database.read() as session:
        view = proof_view(session, stages_made.project, 1)
        assert repository.proof(session, stages_made.project, 1, "another bundle") is None
    assert (view.state, view.bytes, view.prove_seconds, view.verify_gas) == ("ready", 320, 1.5, 400_000)
    expect_proof(database, stages_made, "bafkreianother")
    with database.read() as session:
        view = proof_view(session, stages_made.project, 1)
    assert (view.state, view.bytes, view.part) == ("queued", None, 0), "of another outcome nothing is kept"


# --- models that wait -------------------------------------------------------------------------------------------------


@pytest.fixture
def pending(database: Database, stages_made: Stages) -> bytes:
    """A round was settled without receipts for its model."""
    events = stages_made.events[SETTLED]
    settled = next(event for event in events if isinstance(event, RoundSettled))
    model = settled.next_model.commitment
    waits = ModelPending(settled.at, stages_made.project, 1, model, settled.at.block_number + 10**9)
    at = events.index(settled)
    later = replace(settled, at=settled.at._replace(log_index=settled.at.log_index + 5000))
    changed = Stages(
        stages_made.scene,
        stages_made.spec,
        {SETTLED: [*events[:at], *events[at + 1 :], waits, later]},
        stages_made.blocks,
        slash_window=stages_made.slash_window,
    )
    changed.fill(database, SETTLED)
    return model


def receipt(
    stages: Stages, witness: LocalAccount, model: bytes, signer: LocalAccount | None = None
) -> ModelReceiptIntake:
    message = model_receipt_message(stages.scene.identity, stages.project, model)
    signature = to_hex(sign(message, signer or witness))
    return ModelReceiptIntake(witness=witness.address, model=to_hex(model), signature=signature)


def _post(database: Database, stages: Stages, intake: ModelReceiptIntake) -> str:
    return record_model_receipt(database, stages.scene.identity, stages.project, intake)


def test_a_model_that_waits_is_shown_and_receipts_wake_the_worker(
    database: Database, stages_made: Stages, pending: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cohort_backend.rounds.state.round_view", lambda session, here: None)
    sent: list[JobMessage] = []
    database.send_jobs = sent.extend
    first, second = stages_made.scene.witnesses[:2]
    for witness in (first, second):
        assert _post(database, stages_made, receipt(stages_made, witness, pending)) == "recorded"
        assert _post(database, stages_made, receipt(stages_made, witness, pending)) == "already-recorded"
    assert {message.kind for message in sent} == {"advance_project"}
    with database.read() as session:
        shown = project_state(session, stages_made.project, chain_now(session)).pending_model
    assert shown is not None
    assert (shown.round, shown.model) == (1, to_hex(pending))
    assert set(shown.signed_by) == {first.address, second.address}


def test_receipts_that_are_not_taken(database: Database, stages_made: Stages, pending: bytes) -> None:
    first, second = stages_made.scene.witnesses[:2]
    with pytest.raises(SignatureInvalid):
        _post(database, stages_made, receipt(stages_made, first, pending, second))
    with pytest.raises(NotAWitness):
        _post(database, stages_made, receipt(stages_made, stages_made.scene.trainers[0], pending))
    with pytest.raises(ModelNotPending, match="waits for no receipt"):
        _post(database, stages_made, receipt(stages_made, first, keccak(b"another model")))


def test_nothing_waits_once_a_quorum_has_spoken(
    database: Database, stages_made: Stages, pending: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cohort_backend.rounds.state.round_view", lambda session, here: None)
    at = stages_made.events[SETTLED][-1].at
    with database.write() as session:
        apply_events(
            session, [ModelReceipted(at._replace(log_index=at.log_index + 9000), stages_made.project, pending)]
        )
    with database.read() as session:
        assert project_state(session, stages_made.project, chain_now(session)).pending_model is None
    with pytest.raises(ModelNotPending, match="none does"):
        _post(database, stages_made, receipt(stages_made, stages_made.scene.witnesses[0], pending))
