"""The public rows of a round with a revealed batch: fetch, compute, publish, propose to the witnesses.

Everything they follow from is on chain or on IPFS, and one machine computes the same bytes every time, so that a run
that was cut short is simply run again. If they cannot be had in time the round is judged by agreement alone.
"""

from __future__ import annotations

import time

import structlog
from cohort_backend.jobs.service import enqueue_advance
from cohort_backend.projects.models import Project
from cohort_backend.projects.service import load_spec
from cohort_backend.public_rows import repository as public_rows
from cohort_backend.public_rows.models import RowsProposal
from cohort_backend.rounds import repository as rounds
from cohort_protocol.commitments import ZERO32
from cohort_protocol.computed_rows import ComputedRows, rows_without_batch
from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_bytes32, to_hex
from cohort_protocol.learning.batches import keep_batch
from cohort_protocol.proof.scheme import CommitmentScheme
from cohort_protocol.round_inputs import RoundInputs
from cohort_protocol.spec import ProjectSpec

from cohort_worker.evaluation.evaluate import gather_inputs, in_settlement
from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.evidence import rows_basis, rows_situation

log = structlog.get_logger(__name__)


def propose_rows(parts: WorkerParts, project_id: int, number: int) -> bool:
    """Computes the public rows of a round, publishes them and shows them to the witnesses.

    Returns whether there is a proposal now; False if none is wanted (any more). Safe to run twice and concurrently.
    Raises `ContentNotFound` or an `Unavailable` (try again), or an `InvalidInput` if no rows can follow from the batch.
    """
    started = time.monotonic()
    project = _wanted(parts, project_id, number)
    if project is None:
        return False
    spec = load_spec(parts.database, parts.store, project)
    inputs = gather_inputs(parts, project, number, spec)
    scheme = parts.schemes.of(inputs.settlement, project.verifier, inputs.dimension)
    rows = _rows(parts, inputs, spec, scheme)
    computed = time.monotonic()
    rows.publish(parts.store)
    manifest = rows.manifest
    basis = parse_bytes32(manifest.admitted), parse_bytes32(manifest.validation)
    with parts.database.write() as session:
        current = rounds.get(session, project_id, number)
        if current is None or rows_basis(session, current) != b"".join(basis):
            log.warning("rows_changed_meanwhile", project=project_id, round=number)
            enqueue_advance(session, project_id)
            return False
        proposal = RowsProposal(
            project=project_id,
            round=number,
            admitted_hash=basis[0],
            validation=basis[1],
            rows=rows.digest,
            created_at=time.time(),
        )
        public_rows.save_proposal(session, proposal)
    log.info(
        "public_rows_computed",
        project=project_id,
        round=number,
        rows=to_hex(rows.digest),
        count=len(rows.rows),
        compute_seconds=round(computed - started, 3),
        seconds=round(time.monotonic() - started, 3),
    )
    return True


def _rows(parts: WorkerParts, inputs: RoundInputs, spec: ProjectSpec, scheme: CommitmentScheme) -> ComputedRows:
    """The rows of the round's batch; in a proven project without one, or with one that no rows follow from, its past
    steps alone. Raises as `propose_rows`."""
    store, sealing = parts.store_of(spec, inputs.project), parts.sealing(spec, inputs.project)
    if inputs.validation == ZERO32:
        return rows_without_batch(inputs, store, scheme)
    # Brings torch in: only workers of projects with batches pay for it.
    from cohort_protocol.learning.public_rows import compute_rows

    try:
        rows = compute_rows(
            inputs, spec, store, scheme, lambda content: sealing.published(content, bytes(parts.account.key))
        )
    except InvalidInput as error:
        if inputs.settlement == "attested" or inputs.round == 1:
            raise
        log.warning("batch_unusable", project=inputs.project, round=inputs.round, code=error.code, detail=str(error))
        return rows_without_batch(inputs, store, scheme)
    keep_batch(store, inputs.validation, spec.data)
    return rows


def _wanted(parts: WorkerParts, project_id: int, number: int) -> Project | None:
    """The project, if the round waits for public rows and none are proposed."""
    with parts.database.read() as session:
        found = in_settlement(session, project_id, number)
        if found is None:
            return None
        project, current = found
        situation = rows_situation(session, project, current)
        if situation is None or situation.rows is not None:
            return None
        session.expunge(project)
        return project
