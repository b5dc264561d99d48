"""Rounds as the API shows them."""

from __future__ import annotations

from cohort_protocol.identifiers import to_hex
from cohort_protocol.phases import Phase
from cohort_protocol.service.messages import GasUsed, ModelRef, RefusalView, RoundView, RowView
from sqlalchemy.orm import Session

from cohort_backend.projects import repository as projects
from cohort_backend.projects.service import model_cid
from cohort_backend.proofs.views import proof_view
from cohort_backend.rounds import repository
from cohort_backend.rounds.lookup import RoundInProject
from cohort_backend.rounds.models import Commit, Resolution, Row
from cohort_backend.rounds.repository import address_order
from cohort_backend.updates import repository as updates

_OPENED = (Resolution.ADMITTED, Resolution.REFUSED, Resolution.RESCUED)


def round_view(session: Session, here: RoundInProject) -> RoundView:
    """Everything known of one round. Raises `SpecNotHere`."""
    key = (here.project.id, here.round.number)
    models = _models(session, here)
    posted = [commit for commit in repository.commits(session, *key) if commit.counts]
    committed = {commit.trainer for commit in posted}
    revealed = {commit.trainer for commit in posted if commit.resolution in _OPENED}
    if here.phase is Phase.COMMIT:  # what is handed in later, or too late, is no commitment
        committed |= {intent.trainer for intent in updates.commit_intents(session, *key)}
    elif here.phase is Phase.REVEAL:
        revealed |= {intent.trainer for intent in updates.current_set(session, *key)}
    round = here.round
    return RoundView(
        project=here.project.id,
        number=round.number,
        phase=here.phase,
        opened_at=round.opened_at,
        commit_end=round.commit_end,
        reveal_start=round.reveal_start,
        reveal_end=round.reveal_end,
        rescue_end=round.rescue_end,
        acceptor_end=round.acceptor_end,
        settle_end=round.settle_end,
        slash_end=round.slash_end,
        budget=round.budget,
        acceptor=round.acceptor,
        expected=round.expected,
        unresolved=round.unresolved,
        model=models[-1],
        past_models=models,
        committed=sorted(committed, key=address_order),
        revealed=sorted(revealed, key=address_order),
        rows=[_row(row) for row in repository.rows(session, *key)],
        refusals=_refusals(session, key, posted),
        rescued=_resolved(posted, Resolution.RESCUED),
        slashed=_resolved(posted, Resolution.SLASHED),
        validation=to_hex(round.validation) if round.validation is not None else None,
        public_rows=to_hex(round.public_rows) if round.public_rows is not None else None,
        next_model=_next_model(here),
        bundle_cid=round.bundle_cid,
        payout_root=to_hex(round.payout_root) if round.payout_root is not None else None,
        proof=proof_view(session, *key),
        gas=[GasUsed(step=step, tx=to_hex(tx), gas=gas) for step, tx, gas in repository.gas(session, *key)],
    )


def _models(session: Session, here: RoundInProject) -> list[ModelRef]:
    found = projects.models_before(session, here.project.id, here.round.number)
    return [
        ModelRef(commitment=to_hex(model.commitment), cid=model_cid(session, here.project, model)) for model in found
    ]


def _next_model(here: RoundInProject) -> ModelRef | None:
    if here.round.next_model is None or here.round.next_model_cid is None:
        return None
    return ModelRef(commitment=to_hex(here.round.next_model), cid=here.round.next_model_cid)


def _resolved(posted: list[Commit], resolution: Resolution) -> list[str]:
    found = [commit.trainer for commit in posted if commit.resolution == resolution and commit.trainer is not None]
    return sorted(found, key=address_order)


def _row(row: Row) -> RowView:
    return RowView(
        row=row.row,
        member=row.member,
        trainer=row.trainer,
        update=to_hex(row.update),
        cid=row.cid,
        score=row.score,
        reason=row.reason,
        pay=row.pay,
        claimed=row.claimed,
    )


def _refusals(session: Session, key: tuple[int, int], posted: list[Commit]) -> list[RefusalView]:
    """In the witnesses' words; for what the chain refused without any that we know, in ours."""
    words = [
        RefusalView(trainer=one.trainer, witness=one.witness, code=one.code, detail=one.detail)
        for one in updates.refusals(session, *key)
    ]
    explained = {one.trainer for one in words}
    silent = [one for one in posted if one.resolution == Resolution.REFUSED and one.trainer not in explained]
    return words + [
        RefusalView(trainer=one.trainer, code="refused-on-chain", detail="a quorum of witnesses refused the update")
        for one in silent
    ]
