"""Proven rounds on a real chain: computed, proven, settled by the contract that checks the proof; what it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cohort_backend.jobs.models import FAILED
from cohort_backend.proofs import repository as proofs
from cohort_backend.proofs.service import record_model_receipt
from cohort_backend.public_rows import service as rows_service
from cohort_protocol.bundle import RoundBundle, admissions_of, outcomes_of, statement_of
from cohort_protocol.chain.errors import TransactionReverted
from cohort_protocol.chain.types import NextModel, Outcome
from cohort_protocol.chain.verification import gas_of, verification
from cohort_protocol.commitments import encode_outcomes, model_receipt_message, outcomes_hash, sign
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from cohort_protocol.proof.curve import add, compress, decompress
from cohort_protocol.proof.evidence import encode_evidence
from cohort_protocol.proof.proven_round import round_card, round_hints, round_statement, round_vectors
from cohort_protocol.proof.prover import prove
from cohort_protocol.proof.statement import RoundStatement
from cohort_protocol.proof.verifier import verify
from cohort_protocol.service.messages import ModelReceiptIntake
from cohort_worker.proving.prove import prove_round
from cohort_worker.rounds.advance import look
from cohort_worker.witness.public_rows import RowsChecker, make_rows_signature

from tests.fixtures.chain import Devnet
from tests.worker.evaluation.test_evaluate import RUNNING, advance, newest_job, run_jobs
from tests.worker.evaluation.test_public_rows import bundle_of, proposed, to_reveals, with_batch
from tests.worker.stage import SHORT, Stage


@pytest.fixture
def stage(proven_devnet: Devnet, srs_file: Path, tmp_path: Path) -> Iterator[Stage]:
    """A proven project with batches; its first round's updates were handed in and are endorsed."""
    made = Stage.create(proven_devnet, tmp_path, windows=SHORT, policy="default", batches=True, srs=srs_file)
    to_reveals(made)
    yield made
    made.close()


def sign_rows(stage: Stage) -> None:
    rows = proposed(stage)
    for witness in stage.witnesses[:2]:
        checker = RowsChecker(stage.store_of(witness))
        checker.check(rows, stage.inputs(), stage.spec, stage.scheme)
        word = make_rows_signature(witness, stage.identity, stage.key, to_hex(rows))
        rows_service.record_signature(stage.database, stage.identity, stage.project, stage.round, word)


def to_outcome(stage: Stage) -> None:
    """Rows computed, signed and posted, outcome computed."""
    run_jobs(stage, "compute_rows")
    sign_rows(stage)
    advance(stage)
    run_jobs(stage, "evaluate_round")
    advance(stage)


def proof_of(stage: Stage):
    with stage.database.read() as session:
        found = proofs.proof(session, stage.project, stage.round)
        assert found is not None
        session.expunge(found)
    return found


def phase_of(stage: Stage, number: int) -> Phase:
    return stage.market.round_of(stage.project, number).phase


def test_rounds_are_proven_and_settled_one_after_the_other(stage: Stage) -> None:
    models = [stage.terms.initial_model]
    for number in (1, 2):
        with_batch(stage)
        to_outcome(stage)
        assert look(stage.parts, stage.project).waiting_for == "the proof"
        run_jobs(stage, "prove_round")
        done, bundle = proof_of(stage), bundle_of(stage)
        assert (done.state, len(done.content), done.prover) == ("ready", 320, "python")
        assert 100_000 < done.verify_gas < 3_000_000
        assert "receipts" in look(stage.parts, stage.project).waiting_for
        stage.sign_settlement(stage.proposal())
        advance(stage)
        assert phase_of(stage, number) is Phase.FINAL
        assert bundle.proof is not None
        assert bundle.proof.steps == number - 1
        models.append(stage.market.progress_of(stage.project).model)
        # The model chain in commitments, and the bytes that open its newest link.
        assert models[-1] == compress(add(decompress(models[-2]), decompress(parse_bytes32(bundle.proof.step))))
        assert models[-1] == parse_bytes32(bundle.next_model.commitment)
        if number == 1:
            to_reveals(stage)
    assert not (stage.home / "proving").exists() or not list((stage.home / "proving").iterdir())


def test_a_round_without_a_batch_is_proven_with_the_past_steps_alone(stage: Stage) -> None:
    with_batch(stage)
    to_outcome(stage)
    run_jobs(stage, "prove_round")
    stage.sign_settlement(stage.proposal())
    advance(stage)
    to_reveals(stage)
    view = stage.view()
    stage.devnet.control.warp_to((view.reveal_start + view.reveal_end) // 2 + 1)
    advance(stage)
    assert look(stage.parts, stage.project).waiting_for == "the public rows"
    to_outcome(stage)
    bundle = bundle_of(stage)
    assert bundle.evidence.fallback == "batch-not-revealed"
    assert (bundle.proof.steps, len(bundle.proof.points)) == (1, 1)
    run_jobs(stage, "prove_round")
    stage.sign_settlement(stage.proposal())
    advance(stage)
    assert phase_of(stage, 2) is Phase.FINAL


def test_without_receipts_the_pay_is_final_and_the_model_waits(stage: Stage) -> None:
    with_batch(stage)
    to_outcome(stage)
    run_jobs(stage, "prove_round")
    stage.devnet.control.warp(stage.parts.settings.receipt_wait + 1)
    advance(stage)
    assert phase_of(stage, 1) is Phase.FINAL
    progress = stage.market.progress_of(stage.project)
    assert progress.pending_model == parse_bytes32(bundle_of(stage).next_model.commitment)
    assert progress.model == stage.terms.initial_model
    assert "nobody has vouched" in look(stage.parts, stage.project).waiting_for
    for witness in stage.witnesses[:2]:
        message = model_receipt_message(stage.identity, stage.project, progress.pending_model)
        word = ModelReceiptIntake(
            witness=witness.address, model=to_hex(progress.pending_model), signature=to_hex(sign(message, witness))
        )
        record_model_receipt(stage.database, stage.identity, stage.project, word)
    to_reveals(stage)
    assert stage.round == 2
    assert stage.market.progress_of(stage.project).model == progress.pending_model


def test_a_proof_that_was_cut_short_goes_on_and_has_the_same_bytes(stage: Stage) -> None:
    with_batch(stage)
    to_outcome(stage)
    cid = stage.proposal().bundle_cid
    stopping = threading.Event()
    stopping.set()
    assert prove_round(stage.parts, stage.project, 1, cid, stopping), "to be done again"
    (left,) = (stage.home / "proving").iterdir()
    assert (left / "task.json").is_file()
    assert proof_of(stage).content is None
    assert not prove_round(stage.parts, stage.project, 1, cid, RUNNING)
    bundle = bundle_of(stage)
    statement = round_statement(bundle, stage.terms.verifier)
    again = prove(stage.scheme.srs, statement, round_vectors(bundle, stage.store, stage.scheme))
    assert proof_of(stage).content == again.to_bytes()
    assert not prove_round(stage.parts, stage.project, 1, cid, RUNNING), "nothing left to do"


def test_an_outcome_that_the_contract_refuses_is_given_up_in_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_batch(stage)
    to_outcome(stage)
    monkeypatch.setattr("cohort_protocol.proof.proven_round.round_hints", lambda bundle: b"")
    run_jobs(stage, "prove_round")
    assert newest_job(stage, "prove_round").state == FAILED
    found = proof_of(stage)
    assert found.state == "failed"
    assert found.error.startswith("outcome-unprovable: the verifier contract refuses")
    assert look(stage.parts, stage.project).trouble


# --- what a dishonest aggregator may try ------------------------------------------------------------------------------


@dataclass
class Attempt:
    """A settlement of a stage's round in parts, as its aggregator would send it; tests falsify some."""

    stage: Stage
    bundle: RoundBundle
    statement: RoundStatement

    @classmethod
    def honest(cls, stage: Stage) -> Attempt:
        bundle = bundle_of(stage)
        return cls(stage, bundle, round_statement(bundle, stage.terms.verifier))

    def evidence(self, admissions=None) -> bytes:
        """With a proof of the statement as it stands now: whoever cheats proves anew."""
        rows = round_vectors(self.bundle, self.stage.store, self.stage.scheme)
        updates, public = rows[: self.statement.n], rows[len(self.bundle.rows) :]
        proof = prove(self.stage.scheme.srs, self.statement, updates + public)
        verify(self.statement, proof, self.stage.scheme.srs.tau_g2)
        card = round_card(self.bundle, self.stage.store)
        given = admissions_of(self.bundle) if admissions is None else admissions
        return encode_evidence(given, self.statement, proof, card, round_hints(self.bundle))

    def send(self, outcomes=None, next_model: bytes | None = None, admissions=None) -> bytes:
        """Simulated, so that the chain stays as it is. Raises `TransactionReverted`."""
        stage, bundle = self.stage, self.bundle
        model = next_model or parse_bytes32(bundle.next_model.commitment)
        request = stage.market.settle(
            stage.project,
            stage.round,
            admissions_of(bundle) if admissions is None else admissions,
            encode_outcomes(outcomes_of(bundle) if outcomes is None else outcomes),
            NextModel(model, bytes(Cid.parse(bundle.next_model.cid))),
            bytes(Cid.parse(stage.proposal().bundle_cid)),
            self.evidence(admissions),
        )
        return stage.market.simulate(request, stage.aggregator.address)


@pytest.fixture
def attempt(stage: Stage) -> Attempt:
    with_batch(stage)
    to_outcome(stage)
    honest = Attempt.honest(stage)
    honest.send()  # as it is, it settles
    return honest


def test_a_tampered_score_reverts_even_with_a_proof_of_its_own(attempt: Attempt) -> None:
    outcomes = outcomes_of(attempt.bundle)
    for row in range(len(outcomes)):
        wrong = list(outcomes)
        wrong[row] = Outcome(outcomes[row].score + 1, outcomes[row].reason)
        attempt.statement = replace(attempt.statement, outcomes_hash=outcomes_hash(wrong))
        with pytest.raises(TransactionReverted) as caught:
            attempt.send(outcomes=wrong)
        assert caught.value.name == "ScoresMismatch"


def test_a_tampered_model_reverts_even_with_a_proof_of_its_own(attempt: Attempt) -> None:
    statement = attempt.statement
    moved_twice = compress(add(decompress(statement.next_model), statement.step))
    for wrong in (moved_twice, statement.previous_model, bytes(32)):
        attempt.statement = replace(statement, next_model=wrong)
        with pytest.raises(TransactionReverted) as caught:
            attempt.send(next_model=wrong)
        assert caught.value.name == "NextModelMismatch"


def test_an_accepted_row_cannot_be_dropped(attempt: Attempt) -> None:
    """Neither from what the market is told, nor from the evidence alone: everything else is proven truthfully."""
    bundle, statement = attempt.bundle, attempt.statement
    n = statement.n - 1
    kept = [row for row in range(len(statement.commitments)) if row != n]
    fewer = replace(
        statement,
        commitments=tuple(statement.commitments[row] for row in kept),
        gram=tuple(tuple(statement.gram[a][b] for b in kept) for a in kept),
        weights=statement.weights[:n],
    )
    points = stage_step(attempt, fewer.weights)
    attempt.statement = replace(fewer, step=points)
    admissions = [list(call) for call in admissions_of(bundle)]
    admissions[-1].pop()
    with pytest.raises(TransactionReverted) as caught:
        attempt.send(outcomes=outcomes_of(bundle)[:n], admissions=admissions)
    assert caught.value.name == "RowsMismatch"
    evidence = attempt.evidence(admissions)
    stage = attempt.stage
    names = [witness.address for witness in stage.witnesses]
    said = statement_of(bundle, Cid.parse(stage.proposal().bundle_cid))
    request = verification(stage.terms.verifier, stage.market.address, said, names, 2, evidence)
    with pytest.raises(TransactionReverted) as caught:
        gas_of(stage.devnet.client, request, stage.aggregator.address)
    assert caught.value.name == "RowsMismatch"


def stage_step(attempt: Attempt, weights: tuple[int, ...]):
    """C_m of the rows that are left."""
    from cohort_protocol.proof.kzg_scheme import step_point

    return step_point([parse_bytes32(row.update) for row in attempt.bundle.rows[: len(weights)]], weights)
