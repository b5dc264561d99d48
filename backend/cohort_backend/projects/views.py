"""Projects as the API shows them."""

from __future__ import annotations

from cohort_protocol.chain.types import Ledger
from cohort_protocol.identifiers import to_hex
from cohort_protocol.service.messages import LedgerView, ProjectView, TermsRequest, WindowSeconds
from cohort_protocol.spec import ProjectSpec

from cohort_backend.projects.models import Project
from cohort_backend.projects.service import spec_cid

_PLAIN_TERMS = (
    "token",
    "round_budget",
    "aggregator_fee",
    "stake",
    "score_floor",
    "rounds",
    "slots",
    "min_trainers",
    "quorum",
    "share_cap",
    "witnesses",
    "aggregators",
)


def project_view(project: Project, spec: ProjectSpec | None) -> ProjectView:
    return ProjectView(
        id=project.id,
        owner=project.owner,
        spec_cid=str(spec_cid(project)),
        spec=spec,
        terms=_terms(project),
        policy_hash=to_hex(project.policy_hash),
        ended=project.ended,
        round=project.round,
        members=project.members,
        ledger=LedgerView(**{name: getattr(project, name) for name in Ledger.__dataclass_fields__}),
    )


def _terms(project: Project) -> TermsRequest:
    # Not validated again: the chain may hold what we would refuse to draft (a window of a year, for example).
    windows = WindowSeconds.model_construct(
        commit=project.commit_seconds,
        guard=project.guard_seconds,
        reveal=project.reveal_seconds,
        settle=project.settle_seconds,
    )
    return TermsRequest.model_construct(windows=windows, **{name: getattr(project, name) for name in _PLAIN_TERMS})
