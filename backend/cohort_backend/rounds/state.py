"""The state of a project as trainers and witnesses follow it, and the cache in front of it: all who wait for the same
news get the same bytes, built once."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from cohort_protocol.commitments import ZERO32, admitted_hash
from cohort_protocol.identifiers import to_hex
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import (
    ModelRef,
    ProjectState,
    PublicRowsProposal,
    RevealSet,
    SettlementProposal,
)
from sqlalchemy.orm import Session

from cohort_backend.chain.repository import chain_now
from cohort_backend.database import Database
from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.proofs import repository as proofs
from cohort_backend.proofs.views import pending_model_view
from cohort_backend.public_rows import repository as public_rows
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.lookup import RoundInProject, find_project
from cohort_backend.rounds.phase import next_deadline
from cohort_backend.rounds.views import round_view
from cohort_backend.settlements import repository as settlements
from cohort_backend.updates import repository as updates
from cohort_backend.updates.receipts import reveal_items

LOCKS = 64
"""Projects share this many locks: a fixed number, since anybody may ask about any number."""


@dataclass(frozen=True)
class Snapshot:
    """A project's state at one version, as it goes over the wire."""

    version: int
    body: bytes
    """JSON of `ProjectState`."""
    changes_at: int | None
    """When the phase changes by itself, unix seconds as the chain counts; None if it will not."""
    built_at: int
    """The chain's time when it was built."""


class StateCache:
    """The newest snapshot per project. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshots: dict[int, Snapshot] = {}
        self._building = tuple(threading.Lock() for _ in range(LOCKS))

    def get(self, project: int) -> Snapshot:
        """The state now. Raises `UnknownProject`, `SpecNotHere`, `DatabaseUnavailable`."""
        with self._building[project % LOCKS]:  # who comes together waits for one, and takes what it built
            with self._database.read() as session:
                known = self._snapshots.get(project)
                now = chain_now(session)
                if known is not None and _fresh(known, projects.version(session, project), now):
                    return known
                snapshot = _snapshot(session, project, now)
            self._snapshots[project] = snapshot
            return snapshot


def project_state(session: Session, project: int, now: int) -> ProjectState:
    """Raises `UnknownProject`, `SpecNotHere`."""
    # The version first: what is read after it can only be newer, which costs a needless wake-up and hides nothing.
    version = projects.version(session, project)
    found = find_project(session, project)
    newest = rounds.newest(session, project)
    here = RoundInProject(found, newest, now) if newest is not None else None
    return ProjectState(
        version=version,
        project=project,
        ended=found.ended,
        finished=_finished(found, here),
        round=round_view(session, here) if here is not None else None,
        reveal_set=_reveal_set(session, here),
        public_rows=_public_rows(session, here),
        settlement=_settlement(session, here),
        pending_model=pending_model_view(session, found),
    )


def _fresh(known: Snapshot, version: int, now: int) -> bool:
    return known.version == version and (known.changes_at is None or now < known.changes_at)


def _snapshot(session: Session, project: int, now: int) -> Snapshot:
    state = project_state(session, project, now)
    found, newest = find_project(session, project), rounds.newest(session, project)
    changes_at = next_deadline(newest, now, found.min_trainers) if newest is not None else None
    return Snapshot(state.version, state.model_dump_json().encode(), changes_at, now)


def _finished(project: Project, here: RoundInProject | None) -> bool:
    all_run = here is not None and here.round.number >= project.rounds and here.phase.terminal
    return project.ended or all_run


def _reveal_set(session: Session, here: RoundInProject | None) -> RevealSet | None:
    if here is None or here.phase is not Phase.REVEAL:
        return None
    key = (here.project.id, here.round.number)
    waiting = updates.current_set(session, *key)
    if not waiting:
        return None
    digest = updates.set_hash(waiting)
    posted = {commit.member: commit.commitment for commit in rounds.commits(session, *key)}
    return RevealSet(
        openings_hash=to_hex(digest),
        reveals=reveal_items(waiting, posted),
        receipts_from=[receipt.witness for receipt in updates.receipts(session, *key, digest)],
    )


def _public_rows(session: Session, here: RoundInProject | None) -> PublicRowsProposal | None:
    """The rows that our worker proposes, while none are posted and they speak of what is on chain."""
    if here is None or here.phase is not Phase.SETTLE or here.round.public_rows is not None:
        return None
    key = (here.project.id, here.round.number)
    proposal = public_rows.proposal(session, *key)
    if proposal is None or (proposal.admitted_hash, proposal.validation) != _facts(session, here)[:2]:
        return None
    return PublicRowsProposal(
        rows=to_hex(proposal.rows),
        admitted_hash=to_hex(proposal.admitted_hash),
        validation=to_hex(proposal.validation),
        signed_by=[word.witness for word in public_rows.words(session, *key, proposal.rows) if word.agrees],
    )


def _settlement(session: Session, here: RoundInProject | None) -> SettlementProposal | None:
    """The proposal, while it can be signed and speaks of what is on chain."""
    if here is None or here.phase is not Phase.SETTLE:
        return None
    key = (here.project.id, here.round.number)
    proposal = settlements.proposal(session, *key)
    if proposal is None or (proposal.admitted_hash, proposal.validation, proposal.public_rows) != _facts(session, here):
        return None
    return SettlementProposal(
        admitted_hash=to_hex(proposal.admitted_hash),
        validation=to_hex(proposal.validation),
        public_rows=to_hex(proposal.public_rows),
        policy_hash=to_hex(proposal.policy_hash),
        outcomes=proposal.outcome_pairs(),
        previous_model=to_hex(proposal.previous_model),
        next_model=ModelRef(commitment=to_hex(proposal.next_model), cid=proposal.next_model_cid),
        bundle_cid=proposal.bundle_cid,
        mode="proven" if proofs.proof(session, *key, proposal.bundle_cid) is not None else "attested",
        signed_by=[one.witness for one in settlements.signatures(session, *key, proposal.bundle_cid)],
    )


def _facts(session: Session, here: RoundInProject) -> tuple[bytes, bytes, bytes]:
    """What the chain holds of the round: rows, validation batch, public rows."""
    admitted = admitted_hash(rounds.admissions(session, here.project.id, here.round.number))
    return admitted, here.round.validation or ZERO32, here.round.public_rows or ZERO32
