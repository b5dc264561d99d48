"""Intake of witnesses' receipts for models that settlements left."""

from __future__ import annotations

import time

from cohort_protocol.commitments import MarketId, check_signature, model_receipt_message
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.service.messages import ModelReceiptIntake

from cohort_backend.database import Database
from cohort_backend.projects.changes import announce_change
from cohort_backend.proofs.errors import ModelNotPending
from cohort_backend.proofs.models import ModelReceipt
from cohort_backend.rounds.lookup import find_project
from cohort_backend.updates.receipts import require_witness
from cohort_backend.updates.service import Status, parse_signature


def record_model_receipt(database: Database, market: MarketId, project: int, intake: ModelReceiptIntake) -> Status:
    """Records that a witness vouches for the bytes of the pending model.

    Raises `UnknownProject`, `NotAWitness`, `SignatureInvalid`, `ModelNotPending`.
    """
    model, signature = parse_bytes32(intake.model), parse_signature(intake.signature)
    check_signature(model_receipt_message(market, project, model), signature, intake.witness)
    with database.write() as session:
        found = find_project(session, project)
        require_witness(found, intake.witness)
        if session.get(ModelReceipt, (project, model, intake.witness)) is not None:
            return "already-recorded"
        if found.pending_model != model:
            waiting = "none does" if found.pending_model is None else f"{to_hex(found.pending_model)} does"
            raise ModelNotPending(f"model {intake.model} of project {project} waits for no receipt ({waiting})")
        session.add(
            ModelReceipt(
                project=project, model=model, witness=intake.witness, signature=signature, received_at=time.time()
            )
        )
        announce_change(session, project)
    return "recorded"
