"""Witnesses' words on an outcome: about the proposal as it stands, signed, and final."""

from __future__ import annotations

import threading

import pytest
from cohort_backend.database import Database, JobMessage
from cohort_backend.errors import PhaseNotAllowed, UnknownRound
from cohort_backend.projects.repository import version
from cohort_backend.settlements import repository
from cohort_backend.settlements.errors import ProposalChanged, WordChanged
from cohort_backend.settlements.models import Proposal
from cohort_backend.settlements.service import record_refusal, record_signature, signatures_of, statement_of
from cohort_backend.updates.errors import NotAWitness
from cohort_protocol.commitments import ZERO32, settlement_message, sign
from cohort_protocol.errors import SignatureInvalid
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.service.messages import SettlementRefusal, SettlementSignature
from cohort_protocol.service.words import refusal_message
from eth_account.signers.local import LocalAccount
from eth_utils import keccak

from tests.backend.stages import ADMITTED, COMMITTED, SETTLED, Stages
from tests.fixtures.scene import some_cid


def make_proposal(stages: Stages, content: bytes = b"bundle") -> Proposal:
    return Proposal(
        project=stages.project,
        round=1,
        admitted_hash=keccak(b"rows"),
        validation=ZERO32,
        public_rows=ZERO32,
        policy_hash=stages.scene.terms.policy_hash,
        outcomes=[[str(2**30), 0], ["0", 2], [str(2**64 - 1), 0]],
        previous_model=stages.scene.terms.initial_model,
        next_model=keccak(b"next"),
        next_model_cid=str(Cid.from_bytes(some_cid(b"next"))),
        bundle_cid=str(Cid.from_bytes(some_cid(content))),
        created_at=1.0,
    )


def propose(database: Database, stages: Stages, content: bytes = b"bundle") -> Proposal:
    proposal = make_proposal(stages, content)
    with database.write() as session:
        repository.save_proposal(session, make_proposal(stages, content))
    return proposal


def agree(stages: Stages, proposal: Proposal, witness: LocalAccount, signer: LocalAccount | None = None):
    message = settlement_message(stages.scene.identity, statement_of(proposal, stages.scene.terms.dimension))
    return SettlementSignature(
        witness=witness.address,
        bundle_cid=proposal.bundle_cid,
        signature=to_hex(sign(message, signer or witness)),
    )


def refuse(proposal: Proposal, witness: LocalAccount, detail: str = "row 1: score 0 here") -> SettlementRefusal:
    unsigned = SettlementRefusal(
        witness=witness.address, bundle_cid=proposal.bundle_cid, detail=detail, signature="0x" + "00" * 65
    )
    return unsigned.model_copy(update={"signature": to_hex(sign(refusal_message(unsigned), witness))})


def _sign(database: Database, stages: Stages, intake: SettlementSignature) -> str:
    return record_signature(database, stages.scene.identity, stages.project, 1, intake)


def _refuse(database: Database, stages: Stages, intake: SettlementRefusal) -> str:
    return record_refusal(database, stages.scene.identity, stages.project, 1, intake)


def test_words_are_recorded_once_and_wake_the_worker(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, ADMITTED)
    proposal = propose(database, stages_made)
    sent: list[JobMessage] = []
    database.send_jobs = sent.extend
    first, second, third = stages_made.scene.witnesses
    for witness in (first, second):
        assert _sign(database, stages_made, agree(stages_made, proposal, witness)) == "recorded"
        assert _sign(database, stages_made, agree(stages_made, proposal, witness)) == "already-recorded"
    assert _refuse(database, stages_made, refuse(proposal, third)) == "recorded"
    assert _refuse(database, stages_made, refuse(proposal, third)) == "already-recorded"
    assert {message.kind for message in sent} == {"advance_project"}
    with database.read() as session:
        signed = repository.signatures(session, stages_made.project, 1, proposal.bundle_cid)
        refused = repository.settlement_refusals(session, stages_made.project, 1, proposal.bundle_cid)
    assert {one.witness for one in signed} == {first.address, second.address}
    assert [(one.witness, one.detail) for one in refused] == [(third.address, "row 1: score 0 here")]


def test_proposing_again_shows_the_new_one_and_the_same_changes_nothing(
    database: Database, stages_made: Stages
) -> None:
    stages_made.fill(database, ADMITTED)
    first = propose(database, stages_made)
    _sign(database, stages_made, agree(stages_made, first, stages_made.scene.witnesses[0]))
    with database.read() as session:
        before = version(session, stages_made.project)
    propose(database, stages_made)
    with database.read() as session:
        assert version(session, stages_made.project) == before
    second = propose(database, stages_made, b"another bundle")
    with database.read() as session:
        assert version(session, stages_made.project) == before + 1
        assert repository.signatures(session, stages_made.project, 1, second.bundle_cid) == []
        found = repository.proposal(session, stages_made.project, 1)
    assert found is not None
    assert found.bundle_cid == second.bundle_cid
    assert found.outcome_pairs() == [(2**30, 0), (0, 2), (2**64 - 1, 0)]
    with pytest.raises(ProposalChanged, match="read the state again"):
        _sign(database, stages_made, agree(stages_made, first, stages_made.scene.witnesses[1]))


class TestRefusals:
    def test_no_proposal(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, ADMITTED)
        proposal, witness = make_proposal(stages_made), stages_made.scene.witnesses[0]
        with pytest.raises(ProposalChanged, match="none"):
            _sign(database, stages_made, agree(stages_made, proposal, witness))
        with pytest.raises(ProposalChanged):
            _refuse(database, stages_made, refuse(proposal, witness))

    def test_who_is_no_witness(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, ADMITTED)
        proposal = propose(database, stages_made)
        with pytest.raises(NotAWitness):
            _sign(database, stages_made, agree(stages_made, proposal, stages_made.scene.owner))
        with pytest.raises(NotAWitness):
            _refuse(database, stages_made, refuse(proposal, stages_made.scene.owner))

    def test_a_signature_over_something_else(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, ADMITTED)
        proposal, (witness, other, _) = propose(database, stages_made), stages_made.scene.witnesses
        with pytest.raises(SignatureInvalid):
            _sign(database, stages_made, agree(stages_made, proposal, witness, signer=other))
        elsewhere = make_proposal(stages_made)
        elsewhere.outcomes = [["1", 0]]
        with pytest.raises(SignatureInvalid):
            _sign(database, stages_made, agree(stages_made, elsewhere, witness))
        for name in ("validation", "public_rows"):
            other_facts = make_proposal(stages_made)
            setattr(other_facts, name, b"\1" * 32)
            with pytest.raises(SignatureInvalid):
                _sign(database, stages_made, agree(stages_made, other_facts, witness))
        changed = refuse(proposal, witness).model_copy(update={"detail": "words it never said"})
        with pytest.raises(SignatureInvalid):
            _refuse(database, stages_made, changed)

    def test_a_word_cannot_be_taken_back(self, database: Database, stages_made: Stages) -> None:
        stages_made.fill(database, ADMITTED)
        proposal, (yes, no, _) = propose(database, stages_made), stages_made.scene.witnesses
        _sign(database, stages_made, agree(stages_made, proposal, yes))
        _refuse(database, stages_made, refuse(proposal, no))
        with pytest.raises(WordChanged):
            _refuse(database, stages_made, refuse(proposal, yes))
        with pytest.raises(WordChanged):
            _sign(database, stages_made, agree(stages_made, proposal, no))

    @pytest.mark.parametrize("stage", [COMMITTED, SETTLED])
    def test_outside_the_settle_phase(self, database: Database, stages_made: Stages, stage: str) -> None:
        stages_made.fill(database, stage)
        proposal, witness = propose(database, stages_made), stages_made.scene.witnesses[0]
        with pytest.raises(PhaseNotAllowed):
            _sign(database, stages_made, agree(stages_made, proposal, witness))
        with pytest.raises(PhaseNotAllowed):
            _refuse(database, stages_made, refuse(proposal, witness))


@pytest.mark.parametrize("word", ["yes", "no", "both"])
def test_words_at_the_same_moment_are_recorded_once(database: Database, stages_made: Stages, word: str) -> None:
    stages_made.fill(database, ADMITTED)
    proposal, witness = propose(database, stages_made), stages_made.scene.witnesses[0]
    yes, no = agree(stages_made, proposal, witness), refuse(proposal, witness)
    answers: list[str] = []
    barrier = threading.Barrier(6)

    def post(index: int) -> None:
        barrier.wait()
        try:
            if word == "yes" or (word == "both" and index % 2):
                answers.append(_sign(database, stages_made, yes))
            else:
                answers.append(_refuse(database, stages_made, no))
        except WordChanged:
            answers.append("word-changed")

    threads = [threading.Thread(target=post, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers.count("recorded") == 1
    assert answers.count("word-changed") == (3 if word == "both" else 0)
    assert len(answers) == 6


def test_words_on_earlier_proposals_stay_for_everybody_to_see(database: Database, stages_made: Stages) -> None:
    stages_made.fill(database, ADMITTED)
    first, second, _ = stages_made.scene.witnesses
    proposed = propose(database, stages_made)
    _sign(database, stages_made, agree(stages_made, proposed, first))
    later = propose(database, stages_made, b"another bundle")
    for witness in (first, second):
        _sign(database, stages_made, agree(stages_made, later, witness))
    with database.read() as session:
        found = signatures_of(session, stages_made.project, 1).items
        with pytest.raises(UnknownRound):
            signatures_of(session, stages_made.project, 2)
    assert {(one.witness, one.bundle_cid) for one in found} == {
        (first.address, proposed.bundle_cid),
        (first.address, later.bundle_cid),
        (second.address, later.bundle_cid),
    }
