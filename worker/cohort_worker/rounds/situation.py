"""Reads what the planner needs of one project from the database. No network, one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cohort_backend.chain.models import ChainBlock
from cohort_backend.jobs.models import FAILED, QUEUED, RUNNING, Job
from cohort_backend.jobs.service import EVALUATE_ROUND
from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Commit, Round
from cohort_backend.rounds.phase import phase_of
from cohort_backend.settlements import repository as settlements
from cohort_backend.settlements.models import Proposal
from cohort_backend.trainers import repository as trainers
from cohort_backend.updates import repository as updates
from cohort_backend.updates.models import CommitIntent, RecordedSet, WitnessReceipt
from cohort_protocol.chain.types import RevealState, SkipReason
from cohort_protocol.commitments import admitted_hash
from cohort_protocol.identifiers import to_hex
from cohort_protocol.phases import Phase
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_worker.rounds.planner import ProjectSituation, ProposalSituation, RoundSituation, SetSituation

EXPIRY_MARGIN = 15
"""Seconds that a signed commitment must still be valid for: a transaction may wait for a block or two."""

HOPELESS = (SkipReason.NOT_COMMITTED, SkipReason.WRONG_OPENING, SkipReason.BAD_CID)
"""Reveals that the chain passed over for these reasons are passed over again: they are not sent twice."""


def read_situation(session: Session, project_id: int, now: int, address: str) -> ProjectSituation | None:
    """The project as of `now` (unix seconds) for the aggregator `address`; None if it is not indexed."""
    project = projects.get(session, project_id)
    if project is None:
        return None
    newest = rounds.newest(session, project_id)
    joined = session.get(ChainBlock, project.last_join_block)
    return ProjectSituation(
        project=project.id,
        ours=address in project.aggregators,
        ended=project.ended,
        free=project.free,
        round_budget=project.round_budget,
        rounds=project.rounds,
        slots=project.slots,
        min_trainers=project.min_trainers,
        quorum=project.quorum,
        witnesses=len(project.witnesses),
        members=project.members,
        last_join_at=joined.timestamp if joined is not None else 0,
        round=_round_situation(session, project, newest, now) if newest is not None else None,
    )


def _round_situation(session: Session, project: Project, current: Round, now: int) -> RoundSituation:
    phase = phase_of(current, now, project.min_trainers)
    in_reveal = phase is Phase.REVEAL
    return RoundSituation(
        number=current.number,
        phase=phase,
        closed=current.outcome is not None,
        opened_at=current.opened_at,
        commit_end=current.commit_end,
        reveal_start=current.reveal_start,
        reveal_end=current.reveal_end,
        settle_end=current.settle_end,
        eligible=current.eligible,
        batch_posted=current.batch_posted,
        signed=len(postable_commits(session, project, current, now)) if phase is Phase.COMMIT else 0,
        committed=current.committed,
        decided=current.admitted + current.refused,
        handed_in=len(updates.current_set(session, project.id, current.number)) if in_reveal else 0,
        sets=_sets(session, project, current) if in_reveal else (),
        evaluating=_evaluating(session, current) if phase is Phase.SETTLE else False,
        unevaluable=_unevaluable(session, current) if phase is Phase.SETTLE else "",
        proposal=_proposal_situation(session, current) if phase is Phase.SETTLE else None,
    )


# --- commitments ------------------------------------------------------------------------------------------------------


def postable_commits(session: Session, project: Project, current: Round, now: int) -> list[CommitIntent]:
    """Signed commitments that a batch posted now may hold, first come first: of eligible members who have posted none
    themselves, still valid for a while."""
    posted = {commit.trainer for commit in rounds.commits(session, project.id, current.number)}
    members = {member.trainer: member for member in trainers.members(session, project.id)}
    found = [
        intent
        for intent in updates.commit_intents(session, project.id, current.number)
        if intent.trainer not in posted
        and intent.expiry >= now + EXPIRY_MARGIN
        and intent.trainer in members
        and members[intent.trainer].may_commit_in(current.number)
    ]
    return sorted(found, key=lambda intent: (intent.received_at, intent.trainer))


# --- reveals ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SignedSet:
    """A set of reveals with what the witnesses say to each."""

    recorded: RecordedSet
    receipts: Sequence[WitnessReceipt]
    undecided: int
    """Bitmap of the reveals that the chain has not decided and may still take."""

    def ready(self, quorum: int, receipts: Sequence[WitnessReceipt] | None = None) -> int:
        """Bitmap of the undecided reveals that a quorum endorses, or a quorum refuses."""
        spoken = self.receipts if receipts is None else receipts
        return self.undecided & (
            _with_quorum([receipt.endorsed for receipt in spoken], quorum)
            | _with_quorum([receipt.refused for receipt in spoken], quorum)
        )


def signed_sets(session: Session, project: int, round: int) -> list[SignedSet]:
    """Every set that a witness has signed a receipt for."""
    commits = {commit.trainer: commit for commit in rounds.commits(session, project, round)}
    return [
        SignedSet(
            recorded,
            updates.receipts(session, project, round, recorded.reveals_hash),
            sum(1 << bit for bit, trainer in enumerate(recorded.trainers) if _undecided(commits.get(trainer))),
        )
        for recorded in updates.recorded_sets(session, project, round)
    ]


def enough_receipts(signed: SignedSet, quorum: int) -> list[WitnessReceipt]:
    """As few receipts as give the same decisions: each costs gas."""
    kept = list(signed.receipts)
    for receipt in signed.receipts:
        fewer = [one for one in kept if one is not receipt]
        if signed.ready(quorum, fewer) == signed.ready(quorum):
            kept = fewer
    return kept


def _undecided(commit: Commit | None) -> bool:
    return commit is not None and commit.reveal_state == RevealState.NONE and commit.skip_reason not in HOPELESS


def _with_quorum(bitmaps: Collection[int], quorum: int) -> int:
    """Bits set in at least `quorum` of the bitmaps."""
    highest = max((bitmap.bit_length() for bitmap in bitmaps), default=0)
    return sum(1 << bit for bit in range(highest) if sum(bitmap >> bit & 1 for bitmap in bitmaps) >= quorum)


def _sets(session: Session, project: Project, current: Round) -> tuple[SetSituation, ...]:
    waiting = updates.current_set(session, project.id, current.number)
    current_hash = updates.set_hash(waiting) if waiting else b""
    return tuple(
        SetSituation(
            reveals_hash=signed.recorded.reveals_hash,
            current=signed.recorded.reveals_hash == current_hash,
            undecided=signed.undecided.bit_count(),
            ready=signed.ready(project.quorum).bit_count(),
        )
        for signed in signed_sets(session, project.id, current.number)
    )


# --- settlement -------------------------------------------------------------------------------------------------------


def admitted_now(session: Session, current: Round) -> bytes:
    """`commitments.admitted_hash` of the round's rows as indexed."""
    return admitted_hash([(row.trainer, row.update) for row in rounds.rows(session, current.project, current.number)])


def current_proposal(session: Session, current: Round) -> Proposal | None:
    """Our proposal, if it speaks of the rows and the model that the chain has now."""
    found = settlements.proposal(session, current.project, current.number)
    expected = (admitted_now(session, current), current.model)
    return found if found is not None and (found.admitted_hash, found.previous_model) == expected else None


def _proposal_situation(session: Session, current: Round) -> ProposalSituation | None:
    found = current_proposal(session, current)
    if found is None:
        return None
    key = (current.project, current.number, found.bundle_cid)
    return ProposalSituation(
        signatures=len(settlements.signatures(session, *key)),
        refusals=len(settlements.settlement_refusals(session, *key)),
    )


def evaluation_key(project: int, round: int) -> str:
    """Key of the job that computes a round's outcome."""
    return f"{project}/{round}"


def _evaluating(session: Session, current: Round) -> bool:
    found = _newest_evaluation(session, current)
    return found is not None and found.state in (QUEUED, RUNNING)


def _unevaluable(session: Session, current: Round) -> str:
    """The error of an evaluation of these very rows that was given up."""
    found = _newest_evaluation(session, current)
    if found is None or found.state != FAILED or found.args.get("admitted") != to_hex(admitted_now(session, current)):
        return ""
    return found.last_error or "unknown"


def _newest_evaluation(session: Session, current: Round) -> Job | None:
    key = evaluation_key(current.project, current.number)
    query = select(Job).where(Job.kind == EVALUATE_ROUND, Job.key == key).order_by(Job.id.desc()).limit(1)
    return session.scalars(query).one_or_none()
