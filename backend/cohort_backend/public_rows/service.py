"""Intake of witnesses' words on the public rows of a round."""

from __future__ import annotations

import time

from cohort_protocol.commitments import MarketId, check_signature, public_rows_message
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import PublicRowsRefusal, PublicRowsSignature
from cohort_protocol.service.words import refusal_message
from sqlalchemy.orm import Session

from cohort_backend.database import Database
from cohort_backend.projects.changes import announce_change
from cohort_backend.public_rows import repository
from cohort_backend.public_rows.models import RowsWord
from cohort_backend.rounds.lookup import find_round
from cohort_backend.settlements.errors import ProposalChanged, WordChanged
from cohort_backend.updates.receipts import require_witness
from cohort_backend.updates.repository import lock_intake
from cohort_backend.updates.service import Status, parse_signature


def record_signature(
    database: Database, market: MarketId, project: int, round: int, intake: PublicRowsSignature
) -> Status:
    """Records that a witness vouches for the proposed rows.

    Raises `UnknownProject`, `UnknownRound`, `NotAWitness`, `ProposalChanged`, `SignatureInvalid`, `WordChanged`,
    `PhaseNotAllowed`.
    """
    rows, signature = parse_bytes32(intake.rows), parse_signature(intake.signature)
    check_signature(public_rows_message(market, project, round, rows), signature, intake.witness)
    return _record(database, RowsWord(**_key(project, round, rows, intake.witness), agrees=True, signature=signature))


def record_refusal(database: Database, project: int, round: int, intake: PublicRowsRefusal) -> Status:
    """Records that a witness computed other rows. Raises as `record_signature`."""
    rows, signature = parse_bytes32(intake.rows), parse_signature(intake.signature)
    check_signature(refusal_message(intake), signature, intake.witness)
    key = _key(project, round, rows, intake.witness)
    return _record(database, RowsWord(**key, agrees=False, detail=intake.detail, signature=signature))


def _key(project: int, round: int, rows: bytes, witness: str) -> dict[str, int | bytes | str]:
    return {"project": project, "round": round, "rows": rows, "witness": witness}


def _record(database: Database, word: RowsWord) -> Status:
    with database.write() as session:
        here = find_round(session, word.project, word.round)
        lock_intake(session, word.project, word.round)
        require_witness(here.project, word.witness)
        _require_proposed(session, word)
        known = session.get(RowsWord, (word.project, word.round, word.rows, word.witness))
        if known is not None and known.agrees == word.agrees:
            return "already-recorded"
        if known is not None:
            raise WordChanged(f"{word.witness} has said the opposite of these rows: a word given cannot be taken back")
        here.require(Phase.SETTLE)
        word.received_at = time.time()
        session.add(word)
        announce_change(session, word.project)
    return "recorded"


def _require_proposed(session: Session, word: RowsWord) -> None:
    found = repository.proposal(session, word.project, word.round)
    if found is None or found.rows != word.rows:
        proposed = "none" if found is None else to_hex(found.rows)
        raise ProposalChanged(
            f"{to_hex(word.rows)} are not the rows proposed for round {word.project}/{word.round} ({proposed}): read "
            "the state again and check what is proposed now"
        )
