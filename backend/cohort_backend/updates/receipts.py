"""Intake of receipts from witnesses: their word on a set of reveals."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from cohort_protocol.commitments import MarketId, check_signature, receipt_message
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import ReceiptedSet, ReceiptedSets, ReceiptIntake, ReceiptView, RevealItem
from sqlalchemy.orm import Session

from cohort_backend.database import Database
from cohort_backend.projects.changes import announce_change
from cohort_backend.projects.models import Project
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.lookup import find_round
from cohort_backend.updates import repository
from cohort_backend.updates.errors import (
    BitsOutOfRange,
    NotAWitness,
    ReceiptContradicts,
    RefusalsInvalid,
    RevealSetChanged,
)
from cohort_backend.updates.models import RevealIntent, UpdateRefusal, WitnessReceipt
from cohort_backend.updates.service import Status, parse_signature


def record_receipt(database: Database, market: MarketId, project: int, round: int, intake: ReceiptIntake) -> Status:
    """Records a witness's word on the current set of reveals, or on one that has receipts already. A later word on
    the same set may add bits (bytes that could not be fetched before) and never takes one back.

    Raises `SignatureInvalid`, `UnknownProject`, `UnknownRound`, `PhaseNotAllowed`, `NotAWitness`, `RevealSetChanged`,
    `BitsOutOfRange`, `RefusalsInvalid`, `ReceiptContradicts`.
    """
    digest = parse_bytes32(intake.openings_hash)
    signature = parse_signature(intake.signature)
    message = receipt_message(market, project, round, digest, intake.endorsed, intake.refused)
    check_signature(message, signature, intake.witness)
    with database.write() as session:
        here = find_round(session, project, round)
        repository.lock_intake(session, project, round)
        require_witness(here.project, intake.witness)
        reveals = _set_of(session, project, round, digest)
        trainers = [reveal.trainer for reveal in reveals]
        _check_words(intake, trainers)
        known = repository.receipt(session, project, round, digest, intake.witness)
        if known is not None and _says_nothing_new(known, intake):
            return "already-recorded"
        here.require(Phase.REVEAL)
        repository.record_set(session, project, round, digest, reveals)
        session.merge(
            WitnessReceipt(
                project=project,
                round=round,
                openings_hash=digest,
                witness=intake.witness,
                endorsed=intake.endorsed,
                refused=intake.refused,
                signature=signature,
                received_at=time.time(),
            )
        )
        _record_words(session, project, round, intake, trainers)
        announce_change(session, project)
    return "recorded"


def require_witness(project: Project, address: str) -> None:
    """Raises `NotAWitness`."""
    if address not in project.witnesses:
        raise NotAWitness(
            f"{address} is not a witness of project {project.id}: those are {', '.join(project.witnesses)}"
        )


def receipted_sets(session: Session, project: int, round: int) -> ReceiptedSets:
    """Every set of openings that witnesses have spoken of, with their receipts. Raises `UnknownProject`,
    `UnknownRound`."""
    find_round(session, project, round)
    posted = {commit.member: commit.commitment for commit in rounds.commits(session, project, round)}
    return ReceiptedSets(
        items=[
            ReceiptedSet(
                openings_hash=to_hex(recorded.openings_hash),
                reveals=reveal_items(repository.openings_of(session, recorded), posted),
                receipts=[
                    ReceiptView(
                        witness=one.witness,
                        endorsed=one.endorsed,
                        refused=one.refused,
                        signature=to_hex(one.signature),
                    )
                    for one in repository.receipts(session, project, round, recorded.openings_hash)
                ],
            )
            for recorded in repository.recorded_sets(session, project, round)
            if posted.keys() >= set(recorded.members)  # else a reorg took the commitments back
        ]
    )


def reveal_items(reveals: Sequence[RevealIntent], posted: Mapping[int, bytes]) -> list[RevealItem]:
    """Openings as the API shows them; `posted`: commitments on chain by member."""
    return [
        RevealItem(
            trainer=reveal.trainer,
            member=reveal.member,
            commitment=to_hex(posted[reveal.member]),
            update=to_hex(reveal.update),
            salt=to_hex(reveal.salt),
            cid=reveal.cid,
        )
        for reveal in reveals
    ]


def _set_of(session: Session, project: int, round: int, digest: bytes) -> list[RevealIntent]:
    """The set with this hash, in its order. Raises `RevealSetChanged`."""
    recorded = repository.recorded_set(session, project, round, digest)
    if recorded is not None:
        return repository.openings_of(session, recorded)
    current = repository.current_set(session, project, round)
    if not current or repository.set_hash(current) != digest:
        raise RevealSetChanged(
            "the receipt speaks of a set of reveals that is not waiting any more: read the state again and sign for "
            "its reveal_set"
        )
    return current


def _check_words(intake: ReceiptIntake, trainers: list[str]) -> None:
    """Bits within the set, words for what is refused and for nothing that is endorsed."""
    if intake.endorsed & intake.refused or (intake.endorsed | intake.refused) >> len(trainers):
        raise BitsOutOfRange(
            f"endorsed {intake.endorsed:#x} and refused {intake.refused:#x} for a set of {len(trainers)}: one bit per "
            "reveal, in at most one of the two"
        )
    words = {refusal.trainer for refusal in intake.refusals}
    endorsed = set(_chosen(trainers, intake.endorsed))
    if len(words) != len(intake.refusals) or words - set(trainers) or words & endorsed:
        raise RefusalsInvalid("refusals name each trainer of the set at most once, and none that is endorsed")
    silent = set(_chosen(trainers, intake.refused)) - words
    if silent:
        raise RefusalsInvalid(f"say in words why {', '.join(sorted(silent))} is refused")


def _says_nothing_new(known: WitnessReceipt, intake: ReceiptIntake) -> bool:
    """Whether the bits are all known. Raises `ReceiptContradicts` if one of them was the opposite."""
    if known.endorsed & intake.refused or known.refused & intake.endorsed:
        raise ReceiptContradicts(
            f"{intake.witness} has said the opposite about a reveal of this set: endorsed {known.endorsed:#x}, refused "
            f"{known.refused:#x} are recorded. A word given cannot be taken back"
        )
    if (known.endorsed & ~intake.endorsed) | (known.refused & ~intake.refused):
        if (intake.endorsed & ~known.endorsed) | (intake.refused & ~known.refused):
            raise ReceiptContradicts("a later receipt repeats every bit of the one before and adds to it")
        return True  # an older word that arrives late
    return (known.endorsed, known.refused) == (intake.endorsed, intake.refused)


def _record_words(session: Session, project: int, round: int, intake: ReceiptIntake, trainers: list[str]) -> None:
    repository.drop_refusals(session, project, round, intake.witness, trainers)
    for refusal in intake.refusals:
        session.add(
            UpdateRefusal(
                project=project,
                round=round,
                trainer=refusal.trainer,
                witness=intake.witness,
                code=refusal.code,
                detail=refusal.detail,
            )
        )
    session.flush()


def _chosen(trainers: list[str], bits: int) -> list[str]:
    return [trainer for index, trainer in enumerate(trainers) if bits >> index & 1]
