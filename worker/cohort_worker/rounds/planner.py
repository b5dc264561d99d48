"""What is due in a project now: one pure function from what is known to the next steps.

Follow a round here from top to bottom; each step is carried out by the function of its name in `steps.py`.
Deadlines are those of the contract: upper bounds, which a round reaches only if somebody is missing.
"""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.phases import Phase

from cohort_worker.rounds.margins import batch_due, partial_receipts_due, reveals_due

# --- what is known ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetSituation:
    """A set of reveals that witnesses have signed receipts for."""

    reveals_hash: bytes
    current: bool
    """Holds every reveal that was handed in and is not decided on chain."""
    undecided: int
    """Reveals of the set that the chain has not decided."""
    ready: int
    """Of those, with a quorum of endorsements or of refusals."""


@dataclass(frozen=True)
class ProposalSituation:
    """The outcome that we propose to the witnesses."""

    signatures: int
    refusals: int


@dataclass(frozen=True)
class RoundSituation:
    """The newest round of a project. Times are unix seconds."""

    number: int
    phase: Phase
    """As of the time that the plan is made for."""
    closed: bool
    """The chain has recorded how it ended."""
    opened_at: int
    commit_end: int
    reveal_start: int
    reveal_end: int
    settle_end: int
    eligible: int
    """Members when it opened."""
    batch_posted: bool
    signed: int
    """Trainers with a valid signed commitment here, and none on chain."""
    committed: int
    """Commitments on chain that count."""
    decided: int
    """Reveals that the chain has admitted or refused."""
    handed_in: int
    """Reveals here that the chain has not decided."""
    sets: tuple[SetSituation, ...]
    evaluating: bool
    """A job that computes the outcome is queued or runs."""
    unevaluable: str
    """Why no outcome can ever follow from the rows as admitted; empty unless an evaluation found so."""
    proposal: ProposalSituation | None
    """Ours, if it speaks of the rows as admitted on chain."""


@dataclass(frozen=True)
class ProjectSituation:
    """A project as indexed, and the work state that goes with it. Amounts in base units."""

    project: int
    ours: bool
    """Our key is one of its aggregators."""
    ended: bool
    free: int
    round_budget: int
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


@dataclass(frozen=True)
class Rules:
    """What an operator may choose."""

    open_delay: int = 15
    """Seconds after the newest join until the first round opens with free slots."""


# --- what to do -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenRound:
    project: int
    round: int


@dataclass(frozen=True)
class PostCommits:
    project: int
    round: int


@dataclass(frozen=True)
class PostReveals:
    project: int
    round: int
    reveals_hash: bytes


@dataclass(frozen=True)
class Evaluate:
    project: int
    round: int


@dataclass(frozen=True)
class Settle:
    project: int
    round: int


@dataclass(frozen=True)
class CloseRound:
    project: int
    round: int


Step = OpenRound | PostCommits | PostReveals | Evaluate | Settle | CloseRound


@dataclass(frozen=True)
class Plan:
    """What is due now, and when to look again if nothing happens before."""

    steps: tuple[Step, ...]
    wake_at: int | None
    """Unix seconds; None: only an event can make something due."""
    waiting_for: str
    """In words, for logs; empty if something is due."""


def plan(project: ProjectSituation, now: int, rules: Rules) -> Plan:
    """The steps due at `now` (unix seconds, the time that the next block will carry)."""
    if not project.ours:
        return Plan((), None, "another aggregator: our key is not on this project's list")
    current = project.round
    if current is None or current.closed:
        return _between_rounds(project, now, rules)
    match current.phase:
        case Phase.COMMIT:
            return _commit(project, current, now)
        case Phase.GUARD:
            return Plan((), current.reveal_start, "the guard time after the commit phase")
        case Phase.REVEAL:
            return _reveal(project, current, now)
        case Phase.SETTLE:
            return _settle(project, current)
        case Phase.VOID | Phase.DEFAULTED:
            return _due(CloseRound(project.project, current.number))
        case _:
            return Plan((), None, f"the indexer: the round is {current.phase.name} on chain")


def _due(step: Step) -> Plan:
    return Plan((step,), None, "")


def _between_rounds(project: ProjectSituation, now: int, rules: Rules) -> Plan:
    done = project.round.number if project.round is not None else 0
    if project.ended or done >= project.rounds:
        return Plan((), None, "nothing: no further round will open")
    if project.free < project.round_budget:
        return Plan((), None, f"funds: a round takes {project.round_budget}, free are {project.free}")
    if project.members < max(1, project.min_trainers):
        return Plan((), None, f"trainers: {project.min_trainers} are needed, {project.members} have joined")
    opens_at = project.last_join_at + rules.open_delay
    if done == 0 and project.members < project.slots and now < opens_at:
        return Plan((), opens_at, f"more trainers: {project.members} of {project.slots} slots are taken")
    return _due(OpenRound(project.project, done + 1))


def _commit(project: ProjectSituation, current: RoundSituation, now: int) -> Plan:
    if current.batch_posted:
        return Plan((), current.commit_end, f"trainers: {current.committed} of {current.eligible} have committed")
    due_at = batch_due(current.opened_at, current.commit_end)
    room = project.slots - current.committed
    if current.signed and room > 0:
        everybody = min(project.slots, current.eligible)
        if current.signed + current.committed >= everybody or now >= due_at:
            return _due(PostCommits(project.project, current.number))
    wake_at = due_at if now < due_at else current.commit_end
    return Plan((), wake_at, f"commitments: {current.signed + current.committed} of {current.eligible} are here")


def _reveal(project: ProjectSituation, current: RoundSituation, now: int) -> Plan:
    everybody_in = current.decided + current.handed_in >= current.committed
    for reveals in current.sets:
        if reveals.current and everybody_in and 0 < reveals.undecided == reveals.ready:
            return _due(PostReveals(project.project, current.number, reveals.reveals_hash))
    due_at = reveals_due(current.reveal_start, current.reveal_end)
    best = max(current.sets, key=lambda reveals: reveals.ready, default=None)
    if now >= due_at and best is not None and best.ready > 0:
        return _due(PostReveals(project.project, current.number, best.reveals_hash))
    marks = (partial_receipts_due(current.reveal_start, current.reveal_end), due_at, current.reveal_end)
    wake_at = next((mark for mark in marks if mark > now), None)
    here = current.decided + current.handed_in
    what = "witnesses' receipts" if everybody_in else f"reveals: {here} of {current.committed} are here"
    return Plan((), wake_at, what)


def _settle(project: ProjectSituation, current: RoundSituation) -> Plan:
    if current.proposal is None:
        if current.evaluating:
            return Plan((), current.settle_end, "the evaluation")
        if current.unevaluable:
            return Plan((), current.settle_end, f"the end of the round: it has no outcome ({current.unevaluable})")
        return Plan((Evaluate(project.project, current.number),), current.settle_end, "")
    if current.proposal.signatures >= project.quorum:
        return _due(Settle(project.project, current.number))
    if project.witnesses - current.proposal.refusals < project.quorum:
        return Plan((), current.settle_end, "the end of the round: too many witnesses refuse the outcome")
    return Plan(
        (), current.settle_end, f"signatures: {current.proposal.signatures} of {project.quorum} witnesses have signed"
    )
