"""Intake of witnesses' words on the outcome of a round."""

from __future__ import annotations

import time

from cohort_protocol.commitments import (
    MarketId,
    SettlementStatement,
    check_signature,
    model_bytes_message,
    outcomes_hash,
    settlement_message,
)
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import SettlementRefusal, SettlementSignature, SettlementSignatures
from cohort_protocol.service.words import refusal_message
from eth_account.messages import SignableMessage
from sqlalchemy.orm import Session

from cohort_backend.database import Database
from cohort_backend.projects.changes import announce_change
from cohort_backend.proofs import repository as proofs
from cohort_backend.rounds.lookup import find_round
from cohort_backend.settlements import repository
from cohort_backend.settlements.errors import ProposalChanged, WordChanged
from cohort_backend.settlements.models import Proposal, ProposalRefusal, ProposalSignature
from cohort_backend.updates.receipts import require_witness
from cohort_backend.updates.repository import lock_intake
from cohort_backend.updates.service import Status, parse_signature


def statement_of(proposal: Proposal, dimension: int) -> SettlementStatement:
    """What witnesses sign when they agree. `dimension` is that of the project's terms."""
    return SettlementStatement(
        project=proposal.project,
        round=proposal.round,
        dimension=dimension,
        admitted_hash=proposal.admitted_hash,
        policy_hash=proposal.policy_hash,
        outcomes_hash=outcomes_hash(proposal.outcome_pairs()),
        previous_model=proposal.previous_model,
        next_model=proposal.next_model,
        next_model_cid=bytes(Cid.parse(proposal.next_model_cid)),
        bundle_cid=bytes(Cid.parse(proposal.bundle_cid)),
        validation=proposal.validation,
        public_rows=proposal.public_rows,
    )


def record_signature(
    database: Database, market: MarketId, project: int, round: int, intake: SettlementSignature
) -> Status:
    """Records that a witness agrees with the proposed outcome.

    Raises `UnknownProject`, `UnknownRound`, `NotAWitness`, `ProposalChanged`, `SignatureInvalid`, `WordChanged`,
    `PhaseNotAllowed`.
    """
    signature = parse_signature(intake.signature)
    with database.read() as session:
        here = find_round(session, project, round)
        require_witness(here.project, intake.witness)
        proposed = _proposed(session, project, round, intake.bundle_cid)
        message = _message(session, market, proposed, here.project.dimension)
    check_signature(message, signature, intake.witness)
    with database.write() as session:
        lock_intake(session, project, round)
        _proposed(session, project, round, intake.bundle_cid)
        key = (project, round, intake.bundle_cid, intake.witness)
        if session.get(ProposalSignature, key) is not None:
            return "already-recorded"
        if session.get(ProposalRefusal, key) is not None:
            raise WordChanged(f"{intake.witness} has refused this outcome: a word given cannot be taken back")
        find_round(session, project, round).require(Phase.SETTLE)
        session.add(ProposalSignature(**_key_columns(key), signature=signature, received_at=time.time()))
        announce_change(session, project)
    return "recorded"


def _message(session: Session, market: MarketId, proposed: Proposal, dimension: int) -> SignableMessage:
    """What a witness signs that agrees: the outcome; in a proven project, where nobody has to vouch for that, that the
    bytes of the next model can be had."""
    if proofs.proof(session, proposed.project, proposed.round, proposed.bundle_cid) is None:
        return settlement_message(market, statement_of(proposed, dimension))
    model_cid, bundle_cid = bytes(Cid.parse(proposed.next_model_cid)), bytes(Cid.parse(proposed.bundle_cid))
    return model_bytes_message(market, proposed.project, proposed.round, proposed.next_model, model_cid, bundle_cid)


def signatures_of(session: Session, project: int, round: int) -> SettlementSignatures:
    """Every word on an outcome of the round. Raises `UnknownProject`, `UnknownRound`."""
    find_round(session, project, round)
    return SettlementSignatures(
        items=[
            SettlementSignature(witness=one.witness, bundle_cid=one.bundle_cid, signature=to_hex(one.signature))
            for one in repository.all_signatures(session, project, round)
        ]
    )


def record_refusal(database: Database, market: MarketId, project: int, round: int, intake: SettlementRefusal) -> Status:
    """Records that a witness computed something else.

    Raises as `record_signature`.
    """
    signature = parse_signature(intake.signature)
    check_signature(refusal_message(intake), signature, intake.witness)
    with database.write() as session:
        here = find_round(session, project, round)
        lock_intake(session, project, round)
        require_witness(here.project, intake.witness)
        _proposed(session, project, round, intake.bundle_cid)
        key = (project, round, intake.bundle_cid, intake.witness)
        if session.get(ProposalRefusal, key) is not None:
            return "already-recorded"
        if session.get(ProposalSignature, key) is not None:
            raise WordChanged(f"{intake.witness} has signed this outcome: a word given cannot be taken back")
        here.require(Phase.SETTLE)
        session.add(
            ProposalRefusal(**_key_columns(key), detail=intake.detail, signature=signature, received_at=time.time())
        )
        announce_change(session, project)
    return "recorded"


def _key_columns(key: tuple[int, int, str, str]) -> dict[str, int | str]:
    return dict(zip(("project", "round", "bundle_cid", "witness"), key, strict=True))


def _proposed(session: Session, project: int, round: int, bundle_cid: str) -> Proposal:
    found = repository.proposal(session, project, round)
    if found is None or found.bundle_cid != bundle_cid:
        proposed = "none" if found is None else f"bundle {found.bundle_cid}"
        raise ProposalChanged(
            f"bundle {bundle_cid} is not the outcome proposed for round {project}/{round} ({proposed}): read the state "
            "again and check what is proposed now"
        )
    return found
