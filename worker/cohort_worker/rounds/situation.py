"""Reads what the planner needs of one project from the database. No network, one snapshot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from cohort_backend.chain.models import ChainBlock, ChainEvent
from cohort_backend.jobs.models import FAILED, QUEUED, RUNNING, Job
from cohort_backend.jobs.service import EVALUATE_ROUND, PROVE_ROUND
from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.proofs import repository as proofs
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Round
from cohort_backend.rounds.phase import batch_end, phase_of
from cohort_backend.settlements import repository as settlements
from cohort_backend.settlements.models import Proposal
from cohort_backend.trainers import repository as trainers
from cohort_backend.updates import repository as updates
from cohort_backend.updates.models import CommitIntent, RecordedSet, RevealIntent, WitnessReceipt
from cohort_protocol.commitments import ZERO32, MarketId, admitted_hash, commitment
from cohort_protocol.identifiers import to_hex
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_worker.rounds.evidence import awaits_batch, job_of, rows_situation
from cohort_worker.rounds.planner import (
    Acceptor,
    ProjectSituation,
    ProofSituation,
    ProposalSituation,
    RoundSituation,
    SetSituation,
    UnresolvedSituation,
)


@dataclass(frozen=True)
class Viewer:
    """Who looks: the aggregator's address, and the market that commitments are bound to."""

    address: str
    chain_id: int
    market: str

    def identity(self, project: Project) -> MarketId:
        return MarketId(self.chain_id, self.market, project.verifier)


def read_situation(session: Session, project_id: int, now: int, viewer: Viewer) -> ProjectSituation | None:
    """The project as of `now` (unix seconds) for one aggregator; None if it is not indexed."""
    project = projects.get(session, project_id)
    if project is None:
        return None
    newest = rounds.newest(session, project_id)
    joined = session.get(ChainBlock, project.last_join_block)
    bond = projects.bond(session, project_id, viewer.address)
    bond_free = bond.free if bond is not None else 0
    deposited, withdrawn = (0, 0) if bond_free >= project.bond else _bond_history(session, project_id, viewer.address)
    return ProjectSituation(
        project=project.id,
        ours=viewer.address in project.aggregators,
        ended=project.ended,
        free=project.free,
        round_budget=project.round_budget,
        bond=project.bond,
        bond_free=bond_free,
        bond_deposited=deposited,
        bond_withdrawn=withdrawn,
        next_acceptor=_next_acceptor(project, viewer.address),
        pending_model=project.pending_model is not None,
        pending_until=project.pending_until,
        model_receipts=_model_receipts(session, project),
        rounds=project.rounds,
        slots=project.slots,
        min_trainers=project.min_trainers,
        quorum=project.quorum,
        witnesses=len(project.witnesses),
        members=project.members,
        last_join_at=joined.timestamp if joined is not None else 0,
        round=_round_situation(session, project, newest, now, viewer) if newest is not None else None,
        unresolved=tuple(
            _unresolved_situation(session, viewer.identity(project), one)
            for one in rounds.with_unresolved(session, project_id, now)
        ),
    )


def _next_acceptor(project: Project, address: str) -> Acceptor:
    if project.acceptor is None:
        return Acceptor.NOBODY
    return Acceptor.US if project.acceptor == address else Acceptor.OTHER


def _model_receipts(session: Session, project: Project) -> int:
    """Witnesses of the project who vouch for the bytes of its pending model."""
    if project.pending_model is None:
        return 0
    found = proofs.model_receipts(session, project.id, project.pending_model)
    return sum(one.witness in project.witnesses for one in found)


def _bond_history(session: Session, project: int, address: str) -> tuple[int, int]:
    """Base units that an aggregator has ever deposited as its bond in a project, and that it has withdrawn."""
    names = ("BondDeposited", "BondWithdrawn")
    query = select(ChainEvent.name, ChainEvent.payload).where(ChainEvent.project == project, ChainEvent.name.in_(names))
    total = dict.fromkeys(names, 0)
    for name, payload in session.execute(query):
        if payload["aggregator"] == address:
            total[name] += int(payload["amount"])
    return total["BondDeposited"], total["BondWithdrawn"]


def _round_situation(session: Session, project: Project, current: Round, now: int, viewer: Viewer) -> RoundSituation:
    phase = phase_of(current, now, project.min_trainers)
    in_reveal, in_settle = phase is Phase.REVEAL, phase is Phase.SETTLE
    market = viewer.identity(project)
    return RoundSituation(
        number=current.number,
        phase=phase,
        closed=current.outcome is not None,
        ours=current.acceptor == viewer.address,
        opened_at=current.opened_at,
        batch_end=batch_end(current, project.self_commit_seconds),
        commit_end=current.commit_end,
        reveal_start=current.reveal_start,
        reveal_end=current.reveal_end,
        acceptor_end=current.acceptor_end,
        settle_end=current.settle_end,
        expected=current.expected,
        batch_posted=current.batch_posted,
        signed=len(postable_commits(session, project, current)) if phase is Phase.COMMIT else 0,
        committed=current.committed,
        unresolved=current.unresolved,
        handed_in=len(openable(session, market, current)) if in_reveal else 0,
        sets=_sets(session, market, project, current) if in_reveal else (),
        evaluating=_evaluating(session, current) if in_settle else False,
        unevaluable=_unevaluable(session, current) if in_settle else "",
        proposal=_proposal_situation(session, current) if in_settle else None,
        awaits_batch=awaits_batch(session, project, current) if in_reveal else False,
        rows=rows_situation(session, project, current) if in_settle else None,
    )


# --- commitments ------------------------------------------------------------------------------------------------------


def postable_commits(session: Session, project: Project, current: Round) -> list[CommitIntent]:
    """Signed commitments that a batch posted now may hold, first come first: of eligible members who have posted none
    themselves, and by somebody who may still sign for the member."""
    posted = {one.member for one in rounds.commits(session, project.id, current.number) if one.counts}
    members = {member.number: member for member in trainers.members(session, project.id)}
    found = [
        intent
        for intent in updates.commit_intents(session, project.id, current.number)
        if intent.member not in posted
        and intent.member in members
        and members[intent.member].may_commit_in(current.number)
        and intent.signer in members[intent.member].signers()
    ]
    return sorted(found, key=lambda intent: (intent.received_at, intent.member))


# --- openings ---------------------------------------------------------------------------------------------------------


def openable(session: Session, market: MarketId, current: Round) -> list[RevealIntent]:
    """Openings that were handed in and open a commitment on chain that is unresolved, by increasing member.

    They are checked against the commitment itself and not against what the chain said to earlier transactions: anybody
    may send wrong openings of somebody else's commitment.
    """
    committed = {one.member: one.commitment for one in rounds.unresolved(session, current.project, current.number)}
    return [
        intent
        for intent in updates.reveal_intents(session, current.project, current.number)
        if committed.get(intent.member) == _commitment_of(market, intent)
    ]


def _commitment_of(market: MarketId, intent: RevealIntent) -> bytes:
    cid = bytes(Cid.parse(intent.cid))
    return commitment(market, intent.project, intent.round, intent.member, intent.update, cid, intent.salt)


def _unresolved_situation(session: Session, market: MarketId, current: Round) -> UnresolvedSituation:
    ours = tuple(intent.member for intent in openable(session, market, current))
    handed_in = {intent.member for intent in updates.reveal_intents(session, current.project, current.number)}
    return UnresolvedSituation(
        round=current.number,
        reveal_end=current.reveal_end,
        rescue_end=current.rescue_end,
        slash_end=current.slash_end,
        openable=ours,
        silent=tuple(
            one.member
            for one in rounds.unresolved(session, current.project, current.number)
            if one.member not in handed_in
        ),
    )


@dataclass(frozen=True)
class SignedSet:
    """A set of openings with what the witnesses say to each."""

    recorded: RecordedSet
    receipts: Sequence[WitnessReceipt]
    undecided: int
    """Bitmap of the openings that the chain has not decided and can take."""

    def ready(self, quorum: int, receipts: Sequence[WitnessReceipt] | None = None) -> int:
        """Bitmap of the undecided openings that a quorum endorses, or a quorum refuses."""
        spoken = self.receipts if receipts is None else receipts
        return self.undecided & (
            _with_quorum([receipt.endorsed for receipt in spoken], quorum)
            | _with_quorum([receipt.refused for receipt in spoken], quorum)
        )


def signed_sets(session: Session, market: MarketId, current: Round) -> list[SignedSet]:
    """Every set that a witness has signed a receipt for."""
    undecided = {intent.member for intent in openable(session, market, current)}
    return [
        SignedSet(
            recorded,
            updates.receipts(session, current.project, current.number, recorded.openings_hash),
            sum(1 << bit for bit, member in enumerate(recorded.members) if member in undecided),
        )
        for recorded in updates.recorded_sets(session, current.project, current.number)
    ]


def enough_receipts(signed: SignedSet, quorum: int) -> list[WitnessReceipt]:
    """As few receipts as give the same decisions: each costs gas."""
    kept = list(signed.receipts)
    for receipt in signed.receipts:
        fewer = [one for one in kept if one is not receipt]
        if signed.ready(quorum, fewer) == signed.ready(quorum):
            kept = fewer
    return kept


def _with_quorum(bitmaps: Collection[int], quorum: int) -> int:
    """Bits set in at least `quorum` of the bitmaps."""
    highest = max((bitmap.bit_length() for bitmap in bitmaps), default=0)
    return sum(1 << bit for bit in range(highest) if sum(bitmap >> bit & 1 for bitmap in bitmaps) >= quorum)


def _sets(session: Session, market: MarketId, project: Project, current: Round) -> tuple[SetSituation, ...]:
    waiting = updates.current_set(session, project.id, current.number)
    current_hash = updates.set_hash(waiting) if waiting else b""
    return tuple(
        SetSituation(
            openings_hash=signed.recorded.openings_hash,
            current=signed.recorded.openings_hash == current_hash,
            undecided=signed.undecided.bit_count(),
            ready=signed.ready(project.quorum).bit_count(),
        )
        for signed in signed_sets(session, market, current)
    )


# --- settlement -------------------------------------------------------------------------------------------------------


def admitted_now(session: Session, current: Round) -> bytes:
    """`commitments.admitted_hash` of the round's rows as indexed."""
    return admitted_hash(rounds.admissions(session, current.project, current.number))


def current_proposal(session: Session, current: Round) -> Proposal | None:
    """Our proposal, if it speaks of what the chain says of the round now: rows, model, validation and public rows."""
    found = settlements.proposal(session, current.project, current.number)
    if found is None:
        return None
    says = (found.admitted_hash, found.previous_model, found.validation, found.public_rows)
    validation, public_rows = current.validation or ZERO32, current.public_rows or ZERO32
    return found if says == (admitted_now(session, current), current.model, validation, public_rows) else None


def _proposal_situation(session: Session, current: Round) -> ProposalSituation | None:
    found = current_proposal(session, current)
    if found is None:
        return None
    key = (current.project, current.number, found.bundle_cid)
    return ProposalSituation(
        signatures=len(settlements.signatures(session, *key)),
        refusals=len(settlements.settlement_refusals(session, *key)),
        proof=_proof_situation(session, current, found.bundle_cid),
    )


def _proof_situation(session: Session, current: Round, bundle_cid: str) -> ProofSituation | None:
    found = proofs.proof(session, current.project, current.number, bundle_cid)
    if found is None:
        return None
    job = job_of(session, PROVE_ROUND, current)
    ours = job is not None and job.args.get("bundle") == bundle_cid
    given_up = job.last_error or "unknown" if ours and job is not None and job.state == FAILED else ""
    return ProofSituation(
        ready_at=found.ready_at,
        proving=ours and job is not None and job.state in (QUEUED, RUNNING),
        impossible=found.error or given_up,
    )


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
    return job_of(session, EVALUATE_ROUND, current)
