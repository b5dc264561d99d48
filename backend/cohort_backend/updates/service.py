"""Intake of commitments and reveals from trainers. Everything is checked here that the contract will check, so that a
refusal comes at once and in words instead of as a reverted or skipped transaction."""

from __future__ import annotations

import time
from typing import Literal

from cohort_protocol.commitments import MarketId, commit_message, commitment, signed_by
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import CommitIntake, RevealIntake
from sqlalchemy.orm import Session

from cohort_backend.database import Database
from cohort_backend.projects.changes import announce_change
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.lookup import RoundInProject, find_project, find_round
from cohort_backend.rounds.models import Commit, Resolution
from cohort_backend.rounds.phase import batch_end
from cohort_backend.trainers.models import Member
from cohort_backend.trainers.repository import member
from cohort_backend.updates import repository
from cohort_backend.updates.errors import (
    BatchPosted,
    BatchTooLate,
    CommitmentDiffers,
    DuplicateCommitment,
    MemberDiffers,
    NotAMember,
    NotCommitted,
    OpeningWrong,
    RoundFull,
)
from cohort_backend.updates.models import CommitIntent, RevealIntent, RoundIntake

Status = Literal["recorded", "already-recorded"]


def record_commit(database: Database, market: MarketId, project: int, round: int, intake: CommitIntake) -> Status:
    """Records a commitment for the batch of the round, signed by the trainer or by its delegate.

    Raises `SignatureInvalid`, `UnknownProject`, `UnknownRound`, `PhaseNotAllowed`, `NotAMember`, `MemberDiffers`,
    `CommitmentDiffers`, `DuplicateCommitment`, `BatchPosted`, `BatchTooLate`, `RoundFull`.
    """
    digest = parse_bytes32(intake.commitment)
    signature = parse_signature(intake.signature)
    message = commit_message(market, project, round, intake.member, digest)
    with database.read() as session:
        here = find_round(session, project, round)
        signers = _require_known(session, here, intake.trainer, intake.member).signers()
    signer = signed_by(message, signature, signers)  # costs a millisecond: not while others wait for the database
    with database.write() as session:
        here = find_round(session, project, round)
        gate = repository.lock_intake(session, project, round)
        if _committed_already(session, here, intake, digest):
            return "already-recorded"
        here.require(Phase.COMMIT)
        _require_eligible(session, here, intake, signer)
        _require_batch_open(here, gate)
        _require_new(session, here, intake.trainer, digest)
        session.add(
            CommitIntent(
                project=project,
                round=round,
                trainer=intake.trainer,
                member=intake.member,
                signer=signer,
                commitment=digest,
                signature=signature,
                received_at=time.time(),
            )
        )
        announce_change(session, project)
    return "recorded"


def record_reveal(database: Database, market: MarketId, project: int, round: int, intake: RevealIntake) -> Status:
    """Records the opening of a commitment that is on chain: in time for a row, or until tG to save the stake.

    The commitment binds the CID, so there is one opening and no other. Raises `UnknownProject`, `UnknownRound`,
    `PhaseNotAllowed`, `NotAMember`, `MemberDiffers`, `NotCommitted`, `OpeningWrong`, `CidMalformed`.
    """
    cid = Cid.parse(intake.cid)
    update, salt = parse_bytes32(intake.update), parse_bytes32(intake.salt)
    opened = commitment(market, project, round, intake.member, update, bytes(cid), salt)
    opening = RevealIntent(
        project=project,
        round=round,
        trainer=intake.trainer,
        member=intake.member,
        update=update,
        salt=salt,
        cid=str(cid),
        received_at=time.time(),
    )
    with database.write() as session:
        here = find_round(session, project, round)
        repository.lock_intake(session, project, round)
        _require_known(session, here, intake.trainer, intake.member)
        posted = rounds.commit(session, project, round, intake.member)
        if posted is not None and opened == posted.commitment and _revealed_already(session, posted, opening):
            return "already-recorded"
        here.require_openings()
        _require_opening(here, posted, intake.trainer, opened)
        session.merge(opening)  # in place of one that a reorg has taken the commitment of
        announce_change(session, project)
    return "recorded"


def market_of(database: Database, chain_id: int, market: str, project: int) -> MarketId:
    """What signatures for a project are bound to. Raises `UnknownProject`."""
    with database.read() as session:
        return MarketId(chain_id, market, find_project(session, project).verifier)


def parse_signature(text: str) -> bytes:
    """The 65 bytes behind a `messages.Signature`, whose form pydantic has checked."""
    return bytes.fromhex(text[2:])


def _require_known(session: Session, here: RoundInProject, trainer: str, number: int) -> Member:
    """The member. Raises `NotAMember`, `MemberDiffers`."""
    found = member(session, here.project.id, trainer)
    if found is None:
        raise NotAMember(f"{trainer} has no number in project {here.project.id}: join first")
    if found.number != number:
        raise MemberDiffers(f"{trainer} is member {found.number} of project {here.project.id}, not {number}")
    return found


def _committed_already(session: Session, here: RoundInProject, intake: CommitIntake, digest: bytes) -> bool:
    """Whether this very commitment is here or on chain. Raises `CommitmentDiffers` if another one is."""
    posted = rounds.commit(session, here.project.id, here.round.number, intake.member)
    intent = repository.commit_intent(session, here.project.id, here.round.number, intake.trainer)
    on_chain = posted is not None and posted.counts
    found = posted.commitment if on_chain else intent.commitment if intent is not None else None  # type: ignore[union-attr]
    if found is None:
        return False
    if found != digest:
        where = "on chain" if on_chain else "recorded here"
        raise CommitmentDiffers(
            f"{intake.trainer} has committed to {to_hex(found)} ({where}) in round "
            f"{here.project.id}/{here.round.number}: one commitment per round; send that one again, or replace it on "
            "chain yourself (commitSelf)"
        )
    return True


def _require_eligible(session: Session, here: RoundInProject, intake: CommitIntake, signer: str) -> None:
    """Raises `NotAMember` for whom the contract would skip."""
    found = _require_known(session, here, intake.trainer, intake.member)
    if signer not in found.signers():
        raise NotAMember(f"{signer} is not the delegate of {intake.trainer} any more: sign with another key")
    if not found.staked:
        raise NotAMember(
            f"{intake.trainer} has no stake in project {here.project.id}: somebody has to pay it first (stakeFor)"
        )
    if not found.may_commit_in(here.round.number):
        when = f"joined in round {found.joined_round}" if found.joined else "has left the project (or never joined)"
        raise NotAMember(
            f"{intake.trainer} {when} and may not commit in round {here.round.number}: whoever joins takes part from "
            "the next round on"
        )


def _require_batch_open(here: RoundInProject, gate: RoundIntake) -> None:
    """Raises `BatchPosted`, `BatchTooLate`."""
    post_it = f"post the commitment yourself (commitSelf) before {here.round.commit_end}"
    name = f"{here.project.id}/{here.round.number}"
    if gate.batch_closed_at is not None or here.round.batch_posted:
        raise BatchPosted(f"the batch of round {name} has been made: {post_it}")
    if here.now >= batch_end(here.round, here.project.self_commit_seconds):
        raise BatchTooLate(f"no batch may be posted in round {name} any more: {post_it}")


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
    taken = {i.member for i in intents} | {c.member for c in posted if c.counts}
    if len(taken) >= here.project.slots:
        raise RoundFull(
            f"all {here.project.slots} slots of round {here.project.id}/{here.round.number} are taken: be earlier in "
            "the next round"
        )


def _revealed_already(session: Session, posted: Commit, opening: RevealIntent) -> bool:
    """Whether this opening is here, or the chain has decided."""
    if posted.resolution != Resolution.NONE:
        return True
    known = repository.reveal_intent(session, posted.project, posted.round, opening.trainer)
    return known is not None and repository.opening(known) == repository.opening(opening)


def _require_opening(here: RoundInProject, posted: Commit | None, trainer: str, opened: bytes) -> None:
    if posted is None or not posted.counts:
        raise NotCommitted(
            f"{trainer} has no commitment on chain in round {here.project.id}/{here.round.number}: nothing to reveal"
        )
    if opened != posted.commitment:
        raise OpeningWrong(
            f"update, CID and salt give the commitment {to_hex(opened)}, on chain is {to_hex(posted.commitment)}: send "
            "those that were committed to. The CID is bound too: publish the update as the very file whose CID you "
            "committed to"
        )
