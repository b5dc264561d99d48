"""What a round's scores may rest on besides the updates, as far as it is known: batch, public rows, words on them."""

from __future__ import annotations

from cohort_backend.jobs.models import FAILED, QUEUED, RUNNING, Job
from cohort_backend.jobs.service import COMPUTE_ROWS
from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.projects.service import parsed_spec
from cohort_backend.public_rows import repository as public_rows
from cohort_backend.public_rows.models import RowsProposal
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Round
from cohort_protocol.commitments import ZERO32, admitted_hash
from cohort_protocol.errors import CohortError
from cohort_protocol.identifiers import to_hex
from cohort_protocol.round_rows import reads_batch
from cohort_protocol.scoring import policy_by_name
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_worker.rounds.planner import RowsSituation


def job_key(project: int, round: int) -> str:
    """Key of the jobs that compute something of a round."""
    return f"{project}/{round}"


def job_of(session: Session, kind: str, current: Round) -> Job | None:
    """The newest job of this kind for the round."""
    key = job_key(current.project, current.number)
    query = select(Job).where(Job.kind == kind, Job.key == key).order_by(Job.id.desc()).limit(1)
    return session.scalars(query).one_or_none()


def is_proven(session: Session, project: Project) -> bool:
    """Whether the project's rounds prove themselves; taken not to be so while the spec is not here."""
    content = projects.spec_document(session, project.spec_digest)
    return content is not None and parsed_spec(content).settlement == "proven"


def awaits_batch(session: Session, project: Project, current: Round) -> bool:
    """Whether the owner can still make the round a better judged one."""
    return current.validation is None and _reads_batches(session, project)


def rows_situation(session: Session, project: Project, current: Round) -> RowsSituation | None:
    """See `RowsSituation`; None if no rows are wanted."""
    required = is_proven(session, project) and current.number > 1
    judged = current.validation is not None and _reads_batches(session, project)
    if current.public_rows is not None or not (required or judged):
        return None
    job = job_of(session, COMPUTE_ROWS, current)
    failed = job is not None and job.state == FAILED and job.args.get("of") == to_hex(rows_basis(session, current))
    found = current_rows(session, current)
    words = public_rows.words(session, current.project, current.number, found.rows) if found is not None else []
    return RowsSituation(
        rows=found.rows if found is not None else None,
        computing=job is not None and job.state in (QUEUED, RUNNING),
        impossible=(job.last_error or "unknown") if failed and job is not None else "",
        signatures=sum(word.agrees for word in words),
        refusals=sum(not word.agrees for word in words),
        required=required,
    )


def current_rows(session: Session, current: Round) -> RowsProposal | None:
    """The rows that we propose, if they speak of updates and batch as they are on chain."""
    found = public_rows.proposal(session, current.project, current.number)
    if found is None or found.admitted_hash + found.validation != rows_basis(session, current):
        return None
    return found


def rows_basis(session: Session, current: Round) -> bytes:
    """What public rows of the round follow from, as indexed: hash of the admitted updates, digest of the batch."""
    admitted = admitted_hash(rounds.admissions(session, current.project, current.number))
    return admitted + (current.validation or ZERO32)


def _reads_batches(session: Session, project: Project) -> bool:
    """Whether there are batches and the policy reads them; taken to be so while the spec is not here."""
    if not any(project.validation_root):
        return False
    content = projects.spec_document(session, project.spec_digest)
    if content is None:
        return True
    policy = parsed_spec(content).policy
    try:
        return reads_batch(policy_by_name(policy.name, policy.params).needs)
    except CohortError:
        return False  # no outcome either, which the evaluation says in words
