"""Every model, imported once: Alembic and the tests need the whole schema. Look for a model in its domain's folder."""

from cohort_backend.chain.models import ChainBlock, ChainCursor, ChainEvent, ChainReceipt, ChainTransaction
from cohort_backend.database import Base
from cohort_backend.jobs.models import Job
from cohort_backend.projects.models import Bond, Project, ProjectModel, ProjectVersion, SpecDocument
from cohort_backend.proofs.models import ModelReceipt, RoundProof
from cohort_backend.public_rows.models import RowsProposal, RowsWord
from cohort_backend.rewards.models import Claim
from cohort_backend.rounds.models import Commit, Round, RoundTransaction, Row
from cohort_backend.settlements.models import Proposal, ProposalRefusal, ProposalSignature
from cohort_backend.trainers.models import Member, Trainer, TrainerLoss
from cohort_backend.updates.models import (
    CommitIntent,
    RecordedSet,
    RevealIntent,
    RoundIntake,
    UpdateRefusal,
    WitnessReceipt,
)

PROJECTION = (Project, ProjectModel, Bond, Round, Commit, Row, RoundTransaction, Claim, Trainer, TrainerLoss, Member)
"""Functions of the chain's events: emptied and replayed by a rebuild."""

CHAIN_RECORD = (ChainCursor, ChainBlock, ChainEvent, ChainReceipt)
"""What the chain said: cut off above the fork by a rewind."""

WORK_STATE = (
    ChainTransaction,
    CommitIntent,
    Job,
    ModelReceipt,
    ProjectVersion,
    Proposal,
    ProposalRefusal,
    ProposalSignature,
    RecordedSet,
    RevealIntent,
    RoundIntake,
    RoundProof,
    RowsProposal,
    RowsWord,
    SpecDocument,
    UpdateRefusal,
    WitnessReceipt,
)
"""What only we know: never touched by a rewind or a rebuild."""

__all__ = ["CHAIN_RECORD", "PROJECTION", "WORK_STATE", "Base"]
__all__ += [model.__name__ for model in PROJECTION + CHAIN_RECORD + WORK_STATE]
