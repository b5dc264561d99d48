"""Moves a project as far as it can be moved now: look, do what is due, read the chain, look again."""

from __future__ import annotations

import threading
import time

import structlog
from cohort_backend.chain.repository import chain_now
from cohort_backend.projects import repository as projects
from cohort_backend.projects.service import load_spec
from cohort_protocol.chain import TransactionReverted
from cohort_protocol.errors import InvalidInput, Unavailable
from cohort_protocol.ipfs.errors import ContentNotFound

from cohort_worker.parts import WorkerParts
from cohort_worker.rounds.bond import BondUnfunded
from cohort_worker.rounds.planner import Plan, Step, plan
from cohort_worker.rounds.situation import read_situation
from cohort_worker.rounds.steps import perform

log = structlog.get_logger(__name__)

MOST_STEPS = 50
"""Steps in a row for one project before others get the thread."""


def look(parts: WorkerParts, project: int) -> Plan:
    """What is due in a project now, as far as it is indexed."""
    with parts.database.read() as session:
        now = chain_now(session)
        situation = read_situation(session, project, now, parts.viewer)
    if situation is None:
        return Plan((), None, "the indexer: there is no such project yet")
    return plan(situation, now, parts.rules)


def advance_project(parts: WorkerParts, project: int, stopping: threading.Event) -> bool:
    """Does everything that is due in the project. Returns True if it is to be looked at again soon: a step was refused
    or its effect is not indexed yet, or the process is about to end.

    Raises what the sender, the chain and the database raise.
    """
    _fetch_spec(parts, project)
    tried: set[Step] = set()
    for _ in range(MOST_STEPS):
        found = look(parts, project)
        if found.trouble:
            parts.troubles.tell("operator_needed", project, found.waiting_for)
        step = next((step for step in found.steps if step not in tried), None)
        if step is None:
            log.debug("nothing_due", project=project, waiting_for=found.waiting_for, wake_at=found.wake_at)
            return bool(found.steps)
        if stopping.is_set():
            return True
        _perform(parts, project, step)
        parts.indexer.catch_up()
        tried.add(step)
    return True


def _fetch_spec(parts: WorkerParts, project: int) -> None:
    """What is due depends on whether the policy reads validation batches, which the spec says. Of a project that was
    created elsewhere it may not be here; without it the round is taken to have a batch."""
    with parts.database.read() as session:
        found = projects.get(session, project)
        if found is None or not any(found.validation_root) or parts.sender.address not in found.aggregators:
            return
        if projects.spec_document(session, found.spec_digest) is not None:
            return
        session.expunge(found)
    try:
        load_spec(parts.database, parts.store, found)
    except (ContentNotFound, Unavailable, InvalidInput) as error:
        log.info("spec_missing", project=project, code=error.code, detail=str(error))


def _perform(parts: WorkerParts, project: int, step: Step) -> None:
    started = time.monotonic()
    try:
        perform(parts, step)
    except TransactionReverted as error:
        # Somebody else did it, or it is not due on chain. The contract decides; our picture is what is wrong.
        log.info(
            "step_refused",
            step=type(step).__name__,
            project=project,
            reason=error.name,
            detail=str(error),
            seconds=round(time.monotonic() - started, 3),
        )
    except BondUnfunded as error:
        parts.troubles.tell(error.code, project, str(error))
