"""Intake of commitments and reveals from trainers. Everything is checked here that the contract will check, so that a
refusal comes at once and in words instead of as a reverted or skipped transaction."""

from __future__ import annotations

import time
from typing import Literal

from cohort_protocol.chain.types import RevealState
from cohort_protocol.commitments import MarketId, check_signature, commit_message, commitment
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import CommitIntake, RevealIntake
from sqlalchemy.orm import Session

from cohort_backend.database import Database
from cohort_backend.projects.changes import announce_change
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.lookup import RoundInProject, find_project, find_round
from cohort_backend.rounds.models import Commit
from cohort_backend.trainers.repository import member
from cohort_backend.updates import repository
from cohort_backend.updates.errors import (
    BatchPosted,
    CommitmentDiffers,
    DuplicateCommitment,
    ExpiryTooEarly,
    NotAMember,
    NotCommitted,
    OpeningWrong,
    RevealDiffers,
    RoundFull,
)
from cohort_backend.updates.models import CommitIntent, RevealIntent

Status = Literal["recorded", "already-recorded"]


def record_commit(database: Database, market: MarketId, project: int, round: int, intake: CommitIntake) -> Status:
    """Records a trainer's signed commitment for the batch of the round.

    Raises `SignatureInvalid`, `UnknownProject`, `UnknownRound`, `PhaseNotAllowed`, `NotAMember`, `CommitmentDiffers`,
    `DuplicateCommitment`, `BatchPosted`, `RoundFull`, `ExpiryTooEarly`.
    """
    digest = parse_bytes32(intake.commitment)
    signature = parse_signature(intake.signature)
    message = commit_message(market, project, round, intake.trainer, digest, intake.expiry)
    check_signature(message, signature, intake.trainer)  # costs a millisecond: not while others wait for the database
    with database.write() as session:
        here = find_round(session, project, round)
        gate = repository.lock_intake(session, project, round)
        if _committed_already(session, here, intake.trainer, digest):
            return "already-recorded"
        here.require(Phase.COMMIT)
        _require_member(session, here, intake.trainer)
        if gate.batch_closed_at is not None or here.round.batch_posted:
            raise BatchPosted(
                f"the batch of round {project}/{round} has been made: post the commitment yourself (commitSelf) "
                f"before {here.round.commit_end}"
            )
        _require_new(session, here, intake.trainer, digest)
        if intake.expiry < here.round.commit_end:
            raise ExpiryTooEarly(
                f"the signature ends at {intake.expiry}, the batch may be posted until {here.round.commit_end}: sign "
                f"with the end of settlement ({here.round.settle_end}) or later"
            )
        session.add(
            CommitIntent(
                project=project,
                round=round,
                trainer=intake.trainer,
                commitment=digest,
                expiry=intake.expiry,
                signature=signature,
                received_at=time.time(),
            )
        )
        announce_change(session, project)
    return "recorded"


def record_reveal(database: Database, market: MarketId, project: int, round: int, intake: RevealIntake) -> Status:
    """Records the opening of a commitment that is on chain.

    Raises `UnknownProject`, `UnknownRound`, `PhaseNotAllowed`, `NotCommitted`, `OpeningWrong`, `RevealDiffers`,
    `CidMalformed`.
    """
    cid = str(Cid.parse(intake.cid))
    update, salt = parse_bytes32(intake.update), parse_bytes32(intake.salt)
    opened = commitment(market, project, round, intake.trainer, update, salt)
    with database.write() as session:
        here = find_round(session, project, round)
        repository.lock_intake(session, project, round)
        posted = rounds.commit(session, project, round, intake.trainer)
        if posted is not None and opened == posted.commitment:
            known = _revealed_already(session, posted, update, cid)
            if known:
                return "already-recorded"
        here.require(Phase.REVEAL)
        _require_opening(here, posted, intake.trainer, opened)
        session.add(
            RevealIntent(
                project=project,
                round=round,
                trainer=intake.trainer,
                update=update,
                salt=salt,
                cid=cid,
                received_at=time.time(),
            )
        )
        announce_change(session, project)
    return "recorded"


def market_of(database: Database, chain_id: int, market: str, project: int) -> MarketId:
    """What signatures for a project are bound to. Raises `UnknownProject`."""
    with database.read() as session:
        return MarketId(chain_id, market, find_project(session, project).verifier)


def parse_signature(text: str) -> bytes:
    """The 65 bytes behind a `messages.Signature`, whose form pydantic has checked."""
    return bytes.fromhex(text[2:])


def _committed_already(session: Session, here: RoundInProject, trainer: str, digest: bytes) -> bool:
    """Whether this very commitment is here or on chain. Raises `CommitmentDiffers` if another one is."""
    posted = rounds.commit(session, here.project.id, here.round.number, trainer)
    intent = repository.commit_intent(session, here.project.id, here.round.number, trainer)
    found = posted.commitment if posted is not None else intent.commitment if intent is not None else None
    if found is None:
        return False
    if found != digest:
        where = "on chain" if posted is not None else "recorded here"
        raise CommitmentDiffers(
            f"{trainer} has committed to {to_hex(found)} ({where}) in round {here.project.id}/{here.round.number}: one "
            "commitment per round; send that one again, or replace it on chain yourself (commitSelf)"
        )
    return True


def _require_member(session: Session, here: RoundInProject, trainer: str) -> None:
    found = member(session, here.project.id, trainer)
    if found is None or found.stake == 0:
        raise NotAMember(f"{trainer} has no stake in project {here.project.id}: join first")
    if not found.may_commit_in(here.round.number):
        when = f"left in round {found.left_round}" if found.left else f"joined in round {found.joined_round}"
        raise NotAMember(
            f"{trainer} {when} and may not commit in round {here.round.number}: whoever joins takes part from the "
            "next round on"
        )


def _require_new(session: Session, here: RoundInProject, trainer: str, digest: bytes) -> None:
    """Raises `DuplicateCommitment` or `RoundFull`."""
    intents = repository.commit_intents(session, here.project.id, here.round.number)
    posted = rounds.commits(session, here.project.id, here.round.number)
    others = [(i.trainer, i.commitment) for i in intents] + [
        (c.trainer, value) for c in posted for value in (c.batch_commitment, c.self_commitment)
    ]
    for other, value in others:
        if value == digest and other != trainer:
            raise DuplicateCommitment(
                f"the commitment {to_hex(digest)} is that of {other} in this round: a copied commitment can never be "
                "opened, because it names its trainer. Commit to an update of your own"
            )
    taken = {i.trainer for i in intents} | {c.trainer for c in posted}
    if len(taken) >= here.project.slots:
        raise RoundFull(
            f"all {here.project.slots} slots of round {here.project.id}/{here.round.number} are taken: be earlier in "
            "the next round"
        )


def _revealed_already(session: Session, posted: Commit, update: bytes, cid: str) -> bool:
    """Whether this reveal is here or on chain. Raises `RevealDiffers` if the same opening came with another CID."""
    if posted.reveal_state != RevealState.NONE:
        return True  # the chain has decided, by the same opening: no other exists
    intent = repository.reveal_intent(session, posted.project, posted.round, posted.trainer)
    if intent is None:
        return False
    if (intent.update, intent.cid) != (update, cid):
        raise RevealDiffers(
            f"this commitment was opened with CID {intent.cid}: a reveal cannot be replaced, since everybody who "
            "checks updates knows the opening by now. Make the bytes available under that CID"
        )
    return True


def _require_opening(here: RoundInProject, posted: Commit | None, trainer: str, opened: bytes) -> None:
    if posted is None:
        raise NotCommitted(
            f"{trainer} has no commitment on chain in round {here.project.id}/{here.round.number}: nothing to reveal"
        )
    if opened != posted.commitment:
        raise OpeningWrong(
            f"update and salt give the commitment {to_hex(opened)}, on chain is {to_hex(posted.commitment)}: send the "
            "update and salt that were committed to"
        )
