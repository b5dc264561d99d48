"""What the planner goes by: what is known of a project and its rounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cohort_protocol.phases import Phase


class Acceptor(Enum):
    """Whose the next round is."""

    NOBODY = "nobody"
    US = "us"
    OTHER = "other"


@dataclass(frozen=True)
class SetSituation:
    """A set of openings that witnesses have signed receipts for."""

    openings_hash: bytes
    current: bool
    """Holds every opening that was handed in and is not decided on chain."""
    undecided: int
    """Openings of the set that the chain has not decided."""
    ready: int
    """Of those, with a quorum of endorsements or of refusals."""


@dataclass(frozen=True)
class ProposalSituation:
    """The outcome that we propose to the witnesses."""

    signatures: int
    """Of the outcome; in a proven project receipts for the next model."""
    refusals: int
    proof: ProofSituation | None = None
    """None: the project is attested."""


@dataclass(frozen=True)
class ProofSituation:
    """The proof of the outcome that we propose."""

    ready_at: int | None
    """Unix seconds since when it is ready; None: it is not."""
    proving: bool
    """A job that proves is queued or runs."""
    impossible: str
    """Why there will be none; empty unless a job found so."""


@dataclass(frozen=True)
class RowsSituation:
    """Public rows that are wanted, and none are posted: the policy reads some and the batch is revealed; or the project
    is proven, and the round not its first."""

    rows: bytes | None
    """Those that we propose, if they speak of the round as it is on chain."""
    computing: bool
    """A job that computes them is queued or runs."""
    impossible: str
    """Why they cannot be computed from this batch; empty unless a job found so."""
    signatures: int
    refusals: int
    required: bool = False
    """Without them there can be no settlement."""


@dataclass(frozen=True)
class RoundSituation:
    """The newest round of a project. Times are unix seconds."""

    number: int
    phase: Phase
    """As of the time that the plan is made for."""
    closed: bool
    """The chain has recorded how it ended."""
    ours: bool
    """We accepted it: nobody else may post its batch, and nobody else may settle it before tS."""
    opened_at: int
    batch_end: int
    """tC less the part of the phase that is for trainers alone: from then on no batch."""
    commit_end: int
    reveal_start: int
    reveal_end: int
    acceptor_end: int
    settle_end: int
    expected: int
    """Commitments that end the commit phase."""
    batch_posted: bool
    signed: int
    """Trainers with a valid signed commitment here, and none on chain."""
    committed: int
    """Commitments on chain that count."""
    unresolved: int
    """Of those, opened in no way so far."""
    handed_in: int
    """Openings here of unresolved commitments."""
    sets: tuple[SetSituation, ...]
    evaluating: bool
    """A job that computes the outcome is queued or runs."""
    unevaluable: str
    """Why no outcome can ever follow from the rows as admitted; empty unless an evaluation found so."""
    proposal: ProposalSituation | None
    """Ours, if it speaks of the rows as admitted on chain."""
    awaits_batch: bool = False
    """The policy reads a validation batch that the owner can reveal and has not."""
    rows: RowsSituation | None = None
    """None: no public rows are wanted."""


@dataclass(frozen=True)
class UnresolvedSituation:
    """A round, the newest or an older one, with commitments that were opened in no way. Times are unix seconds, members
    in increasing order."""

    round: int
    reveal_end: int
    rescue_end: int
    slash_end: int
    openable: tuple[int, ...]
    """Members whose opening was handed in to us."""
    silent: tuple[int, ...]
    """The other members."""


@dataclass(frozen=True)
class ProjectSituation:
    """A project as indexed, and the work state that goes with it. Amounts in base units."""

    project: int
    ours: bool
    """Our key is one of its aggregators."""
    ended: bool
    free: int
    round_budget: int
    bond: int
    """What accepting a round locks."""
    bond_free: int
    """Of our own."""
    bond_deposited: int
    """All that we have ever deposited as a bond; looked up only while less than a bond is free."""
    bond_withdrawn: int
    """And all that we have taken out again, fees included."""
    next_acceptor: Acceptor
    """Of the round that has not opened."""
    pending_model: bool
    """The newest model waits for receipts."""
    pending_until: int
    """From then on a round opens without it, unix seconds."""
    rounds: int
    """Most rounds that it runs."""
    slots: int
    min_trainers: int
    quorum: int
    witnesses: int
    members: int
    last_join_at: int
    """Time of the newest join; 0 before the first."""
    round: RoundSituation | None
    """None before the first."""
    unresolved: tuple[UnresolvedSituation, ...]
    """Oldest first."""
    model_receipts: int = 0
    """Witnesses who vouch for the bytes of the pending model."""
