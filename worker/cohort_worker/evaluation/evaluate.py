"""Step 6 of a round: fetch, verify, filter, score, aggregate, publish, propose.

Everything that the outcome follows from is on chain or on IPFS, so that a run that was cut short is simply run again
and comes to the same bytes. An update that witnesses admitted and that nobody can fetch any more is asked for again
until the round's tF; then the round defaults, and its whole budget is shared equally among the admitted.
"""

from __future__ import annotations

import time

import structlog
from cohort_backend.chain.repository import chain_now
from cohort_backend.jobs.service import enqueue_advance
from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.projects.service import load_spec
from cohort_backend.proofs import repository as proofs
from cohort_backend.proofs.models import QUEUED
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Round
from cohort_backend.rounds.phase import phase_of
from cohort_backend.settlements import repository as settlements
from cohort_backend.settlements.models import Proposal
from cohort_protocol.bundle import Recomputed, RoundInputs, recompute, round_inputs
from cohort_protocol.chain.packed import by_admission
from cohort_protocol.commitments import ZERO32
from cohort_protocol.identifiers import parse_bytes32
from cohort_protocol.ipfs.cid import RAW, Cid
from cohort_protocol.ipfs.errors import ContentCorrupt
from cohort_protocol.phases import Phase
from cohort_protocol.spec import ProjectSpec
from sqlalchemy.orm import Session

from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.situation import admitted_now, current_proposal

log = structlog.get_logger(__name__)


def evaluate_round(parts: WorkerParts, project_id: int, number: int) -> bool:
    """Computes the outcome of a round that can be settled, publishes it and proposes it to the witnesses.

    Returns whether there is a proposal now; False if the round is not (or no longer) to be settled. Safe to run twice
    and concurrently. Raises `ContentNotFound` or an `Unavailable` (try again), or an `InvalidInput` if no outcome can
    follow from what was admitted (trying again is useless).
    """
    started = time.monotonic()
    project = _to_be_settled(parts, project_id, number)
    if project is None:
        return False
    spec = load_spec(parts.database, parts.store, project)
    inputs = gather_inputs(parts, project, number, spec)
    scheme = parts.schemes.of(inputs.settlement, project.verifier, inputs.dimension)
    done = recompute(inputs, parts.store_of(spec, project_id), scheme=scheme)
    computed = time.monotonic()
    _publish(parts, done)
    if not _propose(parts, inputs, done):
        return False
    log.info(
        "round_evaluated",
        project=project_id,
        round=number,
        rows=len(inputs.rows),
        accepted=sum(verdict.accepted for verdict in done.bundle.verdicts),
        fallback=done.bundle.evidence.fallback,
        model=str(done.model_cid),
        bundle=str(done.bundle_cid),
        compute_seconds=round(computed - started, 3),
        seconds=round(time.monotonic() - started, 3),
    )
    return True


def _to_be_settled(parts: WorkerParts, project_id: int, number: int) -> Project | None:
    """The project, if the round waits for an outcome."""
    with parts.database.read() as session:
        found = in_settlement(session, project_id, number)
        if found is None or current_proposal(session, found[1]) is not None:
            return None
        session.expunge(found[0])
        return found[0]


def in_settlement(session: Session, project_id: int, number: int) -> tuple[Project, Round] | None:
    """Project and round, if the round can be settled now."""
    project, current = projects.get(session, project_id), rounds.get(session, project_id, number)
    if project is None or current is None:
        return None
    if phase_of(current, chain_now(session), project.min_trainers) is not Phase.SETTLE:
        return None
    return project, current


def gather_inputs(parts: WorkerParts, project: Project, number: int, spec: ProjectSpec) -> RoundInputs:
    """The round's inputs from the projection and the spec. Witnesses gather the same from the chain itself
    (`witness/history.py`)."""
    with parts.database.read() as session:
        settled = projects.models_before(session, project.id, number, limit=number)
        admitted = by_admission(rounds.rows(session, project.id, number))
        current = rounds.get(session, project.id, number)
        return round_inputs(
            chain_id=parts.settings.chain_id,
            market=parts.market.address,
            project=project.id,
            round=number,
            spec=spec,
            spec_cid=Cid(RAW, project.spec_digest),
            policy_hash=project.policy_hash,
            settled=[(model.commitment, bytes(Cid.parse(model.cid))) for model in settled if model.cid is not None],
            admissions=[
                [(row.member, row.trainer, row.update, bytes(Cid.parse(row.cid))) for row in rows] for rows in admitted
            ],
            validation=(current.validation if current is not None else None) or ZERO32,
            public_rows=(current.public_rows if current is not None else None) or ZERO32,
            facts=[
                (before, validation or ZERO32, public_rows or ZERO32)
                for before, validation, public_rows in rounds.facts_before(session, project.id, number)
            ],
        )


def _publish(parts: WorkerParts, done: Recomputed) -> None:
    """Model first: whoever sees the bundle can fetch what it names. The same bytes again change nothing."""
    for what, data, expected in (
        ("model", done.model_bytes, done.model_cid),
        ("bundle", done.bundle_bytes, done.bundle_cid),
    ):
        found = parts.store.put(data)
        if found != expected:
            raise ContentCorrupt(f"the store gave the {what} the CID {found}, its bytes have {expected}")


def _propose(parts: WorkerParts, inputs: RoundInputs, done: Recomputed) -> bool:
    """Records the proposal, unless a reorg changed the rows meanwhile; then the planner asks again."""
    statement = done.statement()
    with parts.database.write() as session:
        current = rounds.get(session, inputs.project, inputs.round)
        if current is None or admitted_now(session, current) != statement.admitted_hash:
            log.warning("rows_changed_meanwhile", project=inputs.project, round=inputs.round)
            enqueue_advance(session, inputs.project)
            return False
        settlements.save_proposal(
            session,
            Proposal(
                project=inputs.project,
                round=inputs.round,
                admitted_hash=statement.admitted_hash,
                validation=statement.validation,
                public_rows=statement.public_rows,
                policy_hash=statement.policy_hash,
                outcomes=[[str(outcome.score), outcome.reason] for outcome in done.bundle.outcomes],
                previous_model=statement.previous_model,
                next_model=parse_bytes32(done.bundle.next_model.commitment),
                next_model_cid=str(done.model_cid),
                bundle_cid=str(done.bundle_cid),
                created_at=time.time(),
            ),
        )
        if inputs.settlement == "proven":
            _expect_proof(session, inputs, str(done.bundle_cid))
    return True


def _expect_proof(session: Session, inputs: RoundInputs, bundle_cid: str) -> None:
    """Beside the proposal from the start: it is what makes the witnesses' words receipts for the next model."""
    if proofs.proof(session, inputs.project, inputs.round, bundle_cid) is None:
        proofs.save_proof(session, inputs.project, inputs.round, bundle_cid, QUEUED)
