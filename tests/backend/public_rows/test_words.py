"""Witnesses' words on proposed public rows: about the rows as they stand, signed, and final."""

from __future__ import annotations

import pytest
from cohort_backend.chain.repository import chain_now
from cohort_backend.database import Database
from cohort_backend.public_rows import repository
from cohort_backend.public_rows.models import RowsProposal
from cohort_backend.public_rows.service import record_refusal, record_signature
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.state import project_state
from cohort_backend.settlements.errors import ProposalChanged, WordChanged
from cohort_backend.updates.errors import NotAWitness
from cohort_protocol.chain.events import PublicRowsPosted, ValidationRevealed
from cohort_protocol.commitments import ZERO32, admitted_hash, public_rows_message, sign
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import to_hex
from cohort_protocol.service.messages import PublicRowsRefusal, PublicRowsSignature
from cohort_protocol.service.words import refusal_message
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from tests.backend.stages import ADMITTED, Stages

BATCH, ROWS = keccak(b"batch"), keccak(b"rows")


def propose(database: Database, stages: Stages, rows: bytes = ROWS) -> None:
    with database.write() as session:
        admitted = admitted_hash(rounds.admissions(session, stages.project, 1))
        proposal = RowsProposal(
            project=stages.project, round=1, admitted_hash=admitted, validation=BATCH, rows=rows, created_at=1.0
        )
        repository.save_proposal(session, proposal)


def agree(stages: Stages, witness: LocalAccount, rows: bytes = ROWS, signer: LocalAccount | None = None):
    message = public_rows_message(stages.scene.identity, stages.project, 1, rows)
    signature = to_hex(sign(message, signer or witness))
    return PublicRowsSignature(witness=witness.address, rows=to_hex(rows), signature=signature)


def refuse(witness: LocalAccount, detail: str = "row v differs") -> PublicRowsRefusal:
    unsigned = PublicRowsRefusal(witness=witness.address, rows=to_hex(ROWS), detail=detail, signature="0x" + "00" * 65)
    return unsigned.model_copy(update={"signature": to_hex(sign(refusal_message(unsigned), witness))})


@pytest.fixture
def filled(database: Database, stages_made: Stages) -> Stages:
    """A round that waits for its outcome, with a batch."""
    revealed = _event(stages_made, ValidationRevealed, digest=BATCH)
    stages_made.fill(database, ADMITTED, [revealed])
    propose(database, stages_made)
    return stages_made


def _event(stages: Stages, kind: type, later: int = 1, **fields: object):
    """An event as if it had come after the newest one."""
    at = stages.events[ADMITTED][-1].at
    return kind(at._replace(log_index=at.log_index + later), stages.project, 1, *fields.values())


def _sign(database: Database, stages: Stages, intake: PublicRowsSignature) -> str:
    return record_signature(database, stages.scene.identity, stages.project, 1, intake)


def shown(database: Database, stages: Stages):
    with database.read() as session:
        return project_state(session, stages.project, chain_now(session)).public_rows


def test_witnesses_see_the_rows_and_are_heard_once(database: Database, filled: Stages, monkeypatch) -> None:
    with_spec(monkeypatch)
    first, second = filled.scene.witnesses[:2]
    found = shown(database, filled)
    assert (found.rows, found.signed_by) == (to_hex(ROWS), [])
    assert _sign(database, filled, agree(filled, first)) == "recorded"
    assert _sign(database, filled, agree(filled, first)) == "already-recorded"
    assert record_refusal(database, filled.project, 1, refuse(second)) == "recorded"
    assert shown(database, filled).signed_by == [first.address]
    with database.read() as session:
        words = repository.words(session, filled.project, 1, ROWS)
    assert {word.witness: (word.agrees, word.detail) for word in words} == {
        first.address: (True, ""),
        second.address: (False, "row v differs"),
    }


def with_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state shows models by the CID that the spec names; these tests need none."""
    monkeypatch.setattr("cohort_backend.rounds.state.round_view", lambda session, here: None)


def test_a_word_given_stands(database: Database, filled: Stages) -> None:
    witness = filled.scene.witnesses[0]
    _sign(database, filled, agree(filled, witness))
    with pytest.raises(WordChanged):
        record_refusal(database, filled.project, 1, refuse(witness))


def test_words_that_are_not_taken(database: Database, filled: Stages) -> None:
    first, second = filled.scene.witnesses[:2]
    with pytest.raises(SignatureInvalid):
        _sign(database, filled, agree(filled, first, signer=second))
    with pytest.raises(NotAWitness):
        _sign(database, filled, agree(filled, filled.scene.trainers[0]))
    with pytest.raises(ProposalChanged):
        _sign(database, filled, agree(filled, first, keccak(b"others")))
    with pytest.raises(SignatureInvalid):
        record_refusal(database, filled.project, 1, refuse(first).model_copy(update={"detail": "other words"}))


def test_rows_are_shown_while_they_are_missing_on_chain(database: Database, stages_made: Stages, monkeypatch) -> None:
    with_spec(monkeypatch)
    stages_made.fill(database, ADMITTED, [_event(stages_made, ValidationRevealed, digest=keccak(b"another batch"))])
    propose(database, stages_made)
    assert shown(database, stages_made) is None, "the chain says another batch"


def test_posted_rows_are_not_asked_for(database: Database, stages_made: Stages, monkeypatch) -> None:
    with_spec(monkeypatch)
    events = [
        _event(stages_made, ValidationRevealed, digest=BATCH),
        _event(stages_made, PublicRowsPosted, 2, rows=ROWS),
    ]
    stages_made.fill(database, ADMITTED, events)
    propose(database, stages_made)
    assert shown(database, stages_made) is None
    with database.read() as session:
        assert rounds.facts_before(session, stages_made.project, 2) == [(1, BATCH, ROWS)]
        assert rounds.facts_before(session, stages_made.project, 1) == []


def test_nobody_else_is_heard_of_rows_without_a_proposal(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, ADMITTED)
    with pytest.raises(ProposalChanged):
        _sign(database, stages_made, agree(stages_made, stages_made.scene.witnesses[0], ZERO32))
