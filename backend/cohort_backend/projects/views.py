"""Projects as the API shows them."""

from __future__ import annotations

from cohort_protocol.chain.types import Ledger
from cohort_protocol.identifiers import to_hex
from cohort_protocol.service.messages import LedgerView, ProjectView, TermsView, WindowSeconds
from cohort_protocol.spec import ProjectSpec

from cohort_backend.projects.models import Project
from cohort_backend.projects.service import spec_cid

_PLAIN_TERMS = (
    "token",
    "round_budget",
    "aggregator_fee",
    "stake",
    "bond",
    "score_floor",
    "rounds",
    "slots",
    "min_trainers",
    "quorum",
    "share_cap",
    "min_reliability",
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
        protocol_fee=project.protocol_fee,
        distributable=project.distributable,
        standing_weight=project.standing_weight,
        acceptor=project.acceptor,
        pending_model=to_hex(project.pending_model) if project.pending_model is not None else None,
        pending_until=project.pending_until if project.pending_model is not None else None,
        ledger=LedgerView(**{name: getattr(project, name) for name in Ledger.__dataclass_fields__}),
    )


def _terms(project: Project) -> TermsView:
    return TermsView(
        windows=WindowSeconds(**vars(project.windows)),
        validation_root=to_hex(project.validation_root),
        access_root=to_hex(project.access_root),
        **{name: getattr(project, name) for name in _PLAIN_TERMS},
    )
