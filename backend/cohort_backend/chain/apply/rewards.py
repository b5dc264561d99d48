"""Events of settlement, pay and claims. Mirrors `contracts/src/settlement/` and `payouts/Payouts.sol`."""

from __future__ import annotations

from cohort_protocol.chain.events import (
    Claimed,
    ModelDropped,
    ModelPending,
    ModelReceipted,
    RoundDefaulted,
    RoundSettled,
    RoundVoided,
)
from cohort_protocol.ipfs.cid import Cid
from cohort_protocol.phases import Phase
from sqlalchemy import select
from sqlalchemy.orm import Session

from cohort_backend.chain.apply.projects import credit_bond, unlock_bond
from cohort_backend.chain.apply.rounds import note_transaction
from cohort_backend.projects.models import Project, ProjectModel
from cohort_backend.rewards.models import Claim
from cohort_backend.rounds.models import Round, Row
from cohort_backend.trainers.models import Member


def round_settled(session: Session, event: RoundSettled) -> None:
    round = session.get_one(Round, (event.project, event.round))
    project = session.get_one(Project, event.project)
    round.next_model, round.next_model_cid = event.next_model.commitment, str(Cid.from_bytes(event.next_model.cid))
    round.bundle_cid, round.settler = str(Cid.from_bytes(event.bundle_cid)), event.settler
    for settled in event.rows:
        row = session.get_one(Row, (event.project, event.round, settled.row))
        row.score, row.reason, row.pay = settled.score, settled.reason, settled.pay
        member = session.get_one(Member, (event.project, row.member))
        member.earned += settled.pay
        member.credit, member.usefulness = settled.record.credit, settled.record.usefulness
        member.rounds, member.rejections = settled.record.rounds, settled.record.rejections
    _keep_model(session, project, round)
    note_transaction(session, event, "settle")
    round.fee, round.protocol_fee = project.aggregator_fee, project.protocol_fee
    project.protocol_fees += round.protocol_fee
    if round.bond_to_settler is None:  # the acceptor settled in time, or BondSlashed would have come before
        unlock_bond(session, event.project, event.settler, project.bond)
    credit_bond(session, event.project, event.settler, round.fee + (round.bond_to_settler or 0))
    _close(session, round, Phase.FINAL, event.payout_root, paid=event.paid, burned=event.burned)


def round_voided(session: Session, event: RoundVoided) -> None:
    _pay_equally(session, event)
    round = session.get_one(Round, (event.project, event.round))
    note_transaction(session, event, "void")
    _close(session, round, Phase.VOID, event.payout_root, paid=event.share * len(event.members), burned=0)


def round_defaulted(session: Session, event: RoundDefaulted) -> None:
    _pay_equally(session, event)
    round = session.get_one(Round, (event.project, event.round))
    project = session.get_one(Project, event.project)
    note_transaction(session, event, "default")
    unearned = project.aggregator_fee + project.protocol_fee
    _close(session, round, Phase.DEFAULTED, event.payout_root, paid=event.share * len(event.members), burned=unearned)


def model_pending(session: Session, event: ModelPending) -> None:
    """The RoundSettled that follows has the model's CID."""
    project = session.get_one(Project, event.project)
    project.pending_model, project.pending_until = event.model, event.until


def model_receipted(session: Session, event: ModelReceipted) -> None:
    model = _pending(session, event.project)
    model.receipted = True
    project = session.get_one(Project, event.project)
    project.model, project.pending_model = event.model, None
    note_transaction(session, _OfRound(event, model.round), "model")


def model_dropped(session: Session, event: ModelDropped) -> None:
    session.delete(_pending(session, event.project))
    session.get_one(Project, event.project).pending_model = None


def claimed(session: Session, event: Claimed) -> None:
    member = session.get_one(Member, (event.project, event.member))
    for number in event.rounds:
        row = session.execute(
            select(Row).filter_by(project=event.project, round=number, member=event.member)
        ).scalar_one()
        row.claimed = True
        session.add(
            Claim(
                project=event.project,
                round=number,
                row=row.row,
                trainer=member.trainer,
                recipient=event.to,
                amount=row.pay,
                transaction_hash=event.at.transaction_hash,
                block_number=event.at.block_number,
            )
        )
    member.claimed += event.amount
    project = session.get_one(Project, event.project)
    project.claimable -= event.amount
    project.claimed += event.amount


class _OfRound:
    """An event that names its project only, with the round that it belongs to."""

    def __init__(self, event: ModelReceipted, round: int) -> None:
        self.project, self.round, self.at = event.project, round, event.at


def _keep_model(session: Session, project: Project, round: Round) -> None:
    """A model with receipts is the project's at once; another has had its ModelPending just before."""
    assert round.next_model is not None
    receipted = project.pending_model is None
    if receipted:
        project.model = round.next_model
    session.add(
        ProjectModel(
            project=round.project,
            round=round.number,
            commitment=round.next_model,
            cid=round.next_model_cid,
            receipted=receipted,
        )
    )


def _pending(session: Session, project: int) -> ProjectModel:
    query = select(ProjectModel).where(ProjectModel.project == project, ProjectModel.receipted.is_(False))
    return session.scalars(query).one()


def _pay_equally(session: Session, event: RoundVoided | RoundDefaulted) -> None:
    for position, number in enumerate(event.members):
        session.get_one(Row, (event.project, event.round, position)).pay = event.share
        session.get_one(Member, (event.project, number)).earned += event.share


def _close(session: Session, round: Round, outcome: Phase, payout_root: bytes, *, paid: int, burned: int) -> None:
    """held = paid + fees + burned + back to free, exactly."""
    round.outcome, round.payout_root = outcome, payout_root if any(payout_root) else None
    round.paid, round.burned = paid, burned
    fees = round.fee + round.protocol_fee
    project = session.get_one(Project, round.project)
    project.held -= round.budget
    project.free += round.budget - paid - fees - burned
    project.claimable += paid
    project.fees += fees
    project.burned += burned
