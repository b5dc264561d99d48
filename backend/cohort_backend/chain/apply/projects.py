"""Events of projects and of aggregators' bonds. Mirrors `contracts/src/projects/Projects.sol` and
`staking/Bonds.sol`."""

from __future__ import annotations

from cohort_protocol.chain.events import (
    AcceptanceWithdrawn,
    AggregatorAdded,
    BondDeposited,
    BondReleased,
    BondSlashed,
    BondWithdrawn,
    ProjectCreated,
    ProjectEnded,
    ProjectFunded,
    ProjectRefunded,
    ProtocolFeesCollected,
    RoundAccepted,
)
from cohort_protocol.chain.types import ProjectTerms
from sqlalchemy.orm import Session

from cohort_backend.projects.models import Bond, Project, ProjectModel
from cohort_backend.rounds.models import Round

_SAME_NAME = tuple(
    name for name in ProjectTerms.__dataclass_fields__ if name not in ("windows", "witnesses", "aggregators")
)


def project_created(session: Session, event: ProjectCreated) -> None:
    terms = event.terms
    session.add(
        Project(
            id=event.project,
            owner=event.owner,
            created_block=event.at.block_number,
            created_tx=event.at.transaction_hash,
            **{name: getattr(terms, name) for name in _SAME_NAME},
            **{f"{name}_seconds": seconds for name, seconds in vars(terms.windows).items()},
            witnesses=list(terms.witnesses),
            aggregators=list(terms.aggregators),
            protocol_fee=event.protocol_fee,
            standing_weight=event.standing_weight,
            model=terms.initial_model,
        )
    )
    session.flush()
    session.add(ProjectModel(project=event.project, round=0, commitment=terms.initial_model, cid=None))


def project_funded(session: Session, event: ProjectFunded) -> None:
    project = session.get_one(Project, event.project)
    project.deposited += event.amount
    project.free += event.amount


def aggregator_added(session: Session, event: AggregatorAdded) -> None:
    project = session.get_one(Project, event.project)
    project.aggregators = [*project.aggregators, event.aggregator]


def project_ended(session: Session, event: ProjectEnded) -> None:
    session.get_one(Project, event.project).ended = True


def project_refunded(session: Session, event: ProjectRefunded) -> None:
    project = session.get_one(Project, event.project)
    project.free -= event.amount
    project.refunded += event.amount


def protocol_fees_collected(session: Session, event: ProtocolFeesCollected) -> None:
    session.get_one(Project, event.project).protocol_fees -= event.amount


def bond_deposited(session: Session, event: BondDeposited) -> None:
    credit_bond(session, event.project, event.aggregator, event.amount)


def bond_withdrawn(session: Session, event: BondWithdrawn) -> None:
    session.get_one(Bond, (event.project, event.aggregator)).free -= event.amount
    session.get_one(Project, event.project).bonds -= event.amount


def round_accepted(session: Session, event: RoundAccepted) -> None:
    bond = session.get_one(Bond, (event.project, event.aggregator))
    bond.free -= event.bond
    bond.locked += event.bond
    session.get_one(Project, event.project).acceptor = event.aggregator


def acceptance_withdrawn(session: Session, event: AcceptanceWithdrawn) -> None:
    """Its bond comes back with BondReleased."""
    session.get_one(Project, event.project).acceptor = None


def bond_released(session: Session, event: BondReleased) -> None:
    unlock_bond(session, event.project, event.aggregator, event.bond)


def bond_slashed(session: Session, event: BondSlashed) -> None:
    """Who settled instead is said by the RoundSettled that follows: its part is kept with the round until then."""
    slashed = event.to_settler + event.burned
    session.get_one(Bond, (event.project, event.aggregator)).locked -= slashed
    project = session.get_one(Project, event.project)
    project.bonds -= slashed
    project.bonds_burned += event.burned
    session.get_one(Round, (event.project, event.round)).bond_to_settler = event.to_settler


def unlock_bond(session: Session, project: int, aggregator: str, amount: int) -> None:
    """From an aggregator's locked balance to its free one."""
    bond = session.get_one(Bond, (project, aggregator))
    bond.locked -= amount
    bond.free += amount


def credit_bond(session: Session, project: int, aggregator: str, amount: int) -> None:
    """Adds to an aggregator's free balance."""
    bond = session.get(Bond, (project, aggregator))
    if bond is None:
        bond = Bond(project=project, aggregator=aggregator, free=0, locked=0)
        session.add(bond)
    bond.free += amount
    session.get_one(Project, project).bonds += amount
