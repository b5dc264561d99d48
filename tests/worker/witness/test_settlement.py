"""A witness signs the outcome that follows from chain and IPFS, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cohort_backend.settlements.service import refusal_message
from cohort_protocol.canonical import canonical_json
from cohort_protocol.commitments import check_signature, settlement_message
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.errors import ContentNotFound
from cohort_protocol.service.messages import ModelRef, SettlementProposal
from cohort_worker.evaluation.evaluate import evaluate_round
from cohort_worker.witness.history import ProjectHistory, RoundHistory
from cohort_worker.witness.settlement import (
    HistoryBehind,
    OutcomeRefused,
    check_proposal,
    fetch_spec,
    gather_inputs,
    make_refusal,
    make_signature,
)

from tests.worker.evaluation.test_evaluate import to_settle
from tests.worker.stage import Stage


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    stage = make_stage()
    to_settle(stage)
    assert evaluate_round(stage.parts, stage.project, 1)
    return stage


def _bundle(stage: Stage) -> dict:
    return json.loads(stage.store.get(Cid.parse(stage.proposal().bundle_cid), 2**20))


def test_the_right_outcome_is_signed_and_the_signature_is_the_contracts(stage: Stage) -> None:
    proposal = stage.proposal()
    statement = check_proposal(proposal, stage.inputs(), stage.store)
    signed = make_signature(stage.witnesses[0], stage.identity, statement, proposal.bundle_cid)
    message = settlement_message(stage.identity, statement)
    check_signature(message, bytes.fromhex(signed.signature[2:]), stage.witnesses[0].address)


def _claims(proposal: SettlementProposal) -> list[tuple[str, dict]]:
    score, reason = proposal.outcomes[0]
    return [
        ("admitted hash", {"admitted_hash": to_hex(b"\x01" * 32)}),
        ("validation batch", {"validation": to_hex(b"\x01" * 32)}),
        ("public rows", {"public_rows": to_hex(b"\x01" * 32)}),
        ("policy hash", {"policy_hash": to_hex(b"\x01" * 32)}),
        ("previous model", {"previous_model": to_hex(b"\x01" * 32)}),
        ("outcomes", {"outcomes": [(score + 1, reason), *proposal.outcomes[1:]]}),
        ("next model", {"next_model": ModelRef(commitment=to_hex(b"\x01" * 32), cid=proposal.next_model.cid)}),
        ("next model's CID", {"next_model": proposal.next_model.model_copy(update={"cid": proposal.bundle_cid})}),
    ]


def test_a_claim_that_the_bundle_does_not_bear_out_is_refused(stage: Stage) -> None:
    proposal = stage.proposal()
    for words, change in _claims(proposal):
        with pytest.raises(OutcomeRefused, match=f"^{words} should be"):
            check_proposal(proposal.model_copy(update=change), stage.inputs(), stage.store)


def test_a_tampered_bundle_is_refused_and_the_place_is_named(stage: Stage) -> None:
    proposal, data = stage.proposal(), _bundle(stage)
    data["outcomes"][1]["score"] = str(int(data["outcomes"][1]["score"]) + 1)
    forged = proposal.model_copy(update={"bundle_cid": str(stage.store.put(canonical_json(data)))})
    with pytest.raises(OutcomeRefused, match=r"outcomes\[1\]\.score should be"):
        check_proposal(forged, stage.inputs(), stage.store)


def test_one_flipped_byte_is_refused(stage: Stage) -> None:
    proposal = stage.proposal()
    data = bytearray(stage.store.get(Cid.parse(proposal.bundle_cid), 2**20))
    place = data.index(b'"verdicts"') + 40
    data[place] ^= 1
    forged = proposal.model_copy(update={"bundle_cid": str(stage.store.put(bytes(data)))})
    with pytest.raises(OutcomeRefused, match=r"bundle|should be"):
        check_proposal(forged, stage.inputs(), stage.store)


def test_a_huge_bundle_is_refused_unread(stage: Stage) -> None:
    forged = stage.proposal().model_copy(update={"bundle_cid": str(stage.store.put(bytes(3_000_000)))})
    with pytest.raises(OutcomeRefused, match="proposed bundle"):
        check_proposal(forged, stage.inputs(), stage.store)


def test_a_bundle_that_cannot_be_fetched_is_waited_for(stage: Stage) -> None:
    missing = stage.proposal().model_copy(update={"bundle_cid": str(Cid(RAW, b"\x03" * 32))})
    with pytest.raises(ContentNotFound):
        check_proposal(missing, stage.inputs(), stage.store)


@pytest.mark.parametrize("what", ["bundle", "model"])
def test_nothing_is_signed_while_the_files_cannot_be_had(stage: Stage, what: str) -> None:
    proposal = stage.proposal()
    cid = Cid.parse(proposal.bundle_cid if what == "bundle" else proposal.next_model.cid)
    stage.store._path(cid).unlink()
    with pytest.raises(ContentNotFound):
        check_proposal(proposal, stage.inputs(), stage.store)


def test_the_spec_must_fit_the_terms(stage: Stage) -> None:
    from dataclasses import replace

    with pytest.raises(OutcomeRefused, match="dimension"):
        fetch_spec(stage.store, replace(stage.terms, dimension=201))
    with pytest.raises(OutcomeRefused, match="initial model"):
        fetch_spec(stage.store, replace(stage.terms, initial_model=b"\x01" * 32))


def test_models_that_were_not_all_read_yet_are_waited_for(stage: Stage) -> None:
    history = ProjectHistory()
    current = RoundHistory(1, b"\x01" * 32, 0, 0)
    with pytest.raises(HistoryBehind):
        gather_inputs(
            stage.identity, stage.project, stage.terms, fetch_spec(stage.store, stage.terms), history, current
        )


def test_a_refusal_is_on_record_and_short(stage: Stage, tmp_path: Path) -> None:
    refusal = make_refusal(stage.witnesses[1], stage.key, stage.proposal().bundle_cid, "no " * 400)
    assert len(refusal.detail) == 500
    check_signature(refusal_message(refusal), bytes.fromhex(refusal.signature[2:]), stage.witnesses[1].address)
