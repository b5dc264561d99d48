"""What is due in a project now: one pure function from what is known to the next steps.

Follow a round here from top to bottom; each step is carried out by the function of its name in `steps.py`.
Deadlines are those of the contract: upper bounds, which a round reaches only if somebody is missing.

Commitments that nobody admitted outlive their round: until tG their openings save the stakes, from then on they are
slashed. That is planned beside the newest round: what saves stakes comes first, what takes them last.
"""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.phases import Phase

from cohort_worker.rounds.known import Acceptor as Acceptor
from cohort_worker.rounds.known import ProjectSituation as ProjectSituation
from cohort_worker.rounds.known import ProofSituation as ProofSituation
from cohort_worker.rounds.known import ProposalSituation as ProposalSituation
from cohort_worker.rounds.known import RoundSituation as RoundSituation
from cohort_worker.rounds.known import RowsSituation as RowsSituation
from cohort_worker.rounds.known import SetSituation as SetSituation
from cohort_worker.rounds.known import UnresolvedSituation as UnresolvedSituation
from cohort_worker.rounds.margins import (
    batch_awaited_until,
    batch_due,
    partial_receipts_due,
    receipts_awaited_until,
    reveals_due,
    rows_due,
)

# --- what to do -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """What an operator may choose."""

    open_delay: int = 15
    """Seconds after the newest join until the first round opens with free slots."""
    bond_limit: int | None = None
    """Most base units that we put into the bond of one project, all deposits less withdrawals; None: no limit."""
    slash: bool = True
    """Whether to slash trainers who opened nothing."""
    receipt_wait: int = 15
    """Seconds that a finished proof waits for receipts for the next model."""


@dataclass(frozen=True)
class DepositBond:
    project: int
    round: int
    """That the bond is needed for."""
    amount: int
    """Base units that are missing."""
    deposited: int
    """All that we had deposited before: tells this deposit from an earlier one for the same round."""


@dataclass(frozen=True)
class OpenRound:
    project: int
    round: int
    accept: bool
    """Whether it has to be accepted first, in the same transaction."""


@dataclass(frozen=True)
class PostCommits:
    project: int
    round: int


@dataclass(frozen=True)
class PostReveals:
    project: int
    round: int
    openings_hash: bytes


@dataclass(frozen=True)
class Rescue:
    """Open commitments after tR, for the sake of their stakes. `members` in increasing order."""

    project: int
    round: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class SlashNoReveal:
    """Take the stakes of trainers who opened nothing. `members` in increasing order."""

    project: int
    round: int
    members: tuple[int, ...]


@dataclass(frozen=True)
class ComputeRows:
    project: int
    round: int


@dataclass(frozen=True)
class PostRows:
    """Post public rows that a quorum has signed."""

    project: int
    round: int
    rows: bytes


@dataclass(frozen=True)
class Evaluate:
    project: int
    round: int


@dataclass(frozen=True)
class Prove:
    project: int
    round: int


@dataclass(frozen=True)
class ReceiptModel:
    """Post the receipts that the pending model waits for."""

    project: int
    round: int
    """That left it."""


@dataclass(frozen=True)
class Settle:
    project: int
    round: int


@dataclass(frozen=True)
class CloseRound:
    project: int
    round: int


Step = (
    DepositBond
    | OpenRound
    | PostCommits
    | PostReveals
    | Rescue
    | SlashNoReveal
    | ComputeRows
    | PostRows
    | Evaluate
    | Prove
    | Settle
    | ReceiptModel
    | CloseRound
)


@dataclass(frozen=True)
class Plan:
    """What is due now, and when to look again if nothing happens before."""

    steps: tuple[Step, ...]
    """Most urgent first. They do not wait for each other."""
    wake_at: int | None
    """Unix seconds; None: only an event can make something due."""
    waiting_for: str
    """In words, for logs; empty if something is due."""
    trouble: bool = False
    """Whether it waits for the operator."""


def plan(project: ProjectSituation, now: int, rules: Rules) -> Plan:
    """The steps due at `now` (unix seconds, the time that the next block will carry)."""
    if not project.ours:
        return Plan((), None, "another aggregator: our key is not on this project's list")
    aside = [_unresolved(project.project, one, now, rules) for one in project.unresolved]
    main = _newest(project, now, rules)
    rescues = [step for one in aside for step in one.steps if isinstance(step, Rescue)]
    slashes = [step for one in aside for step in one.steps if isinstance(step, SlashNoReveal)]
    steps = (*rescues, *main.steps, *slashes)
    wakes = [one.wake_at for one in (*aside, main) if one.wake_at is not None]
    return Plan(steps, min(wakes, default=None), "" if steps else main.waiting_for, main.trouble)


def _newest(project: ProjectSituation, now: int, rules: Rules) -> Plan:
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
            return _settle(project, current, now, rules)
        case Phase.VOID | Phase.DEFAULTED:
            return _due(CloseRound(project.project, current.number))
        case _:
            return Plan((), None, f"the indexer: the round is {current.phase.name} on chain")


def _due(step: Step) -> Plan:
    return Plan((step,), None, "")


# --- between rounds ---------------------------------------------------------------------------------------------------


def _between_rounds(project: ProjectSituation, now: int, rules: Rules) -> Plan:
    done = project.round.number if project.round is not None else 0
    if project.pending_model and project.model_receipts >= project.quorum:
        return _due(ReceiptModel(project.project, done))
    if project.ended or done >= project.rounds:
        return Plan((), None, "nothing: no further round will open")
    if project.free < project.round_budget:
        return Plan((), None, f"funds: a round takes {project.round_budget}, free are {project.free}")
    if project.members < max(1, project.min_trainers):
        return Plan((), None, f"trainers: {project.min_trainers} are needed, {project.members} have joined")
    if project.next_acceptor is Acceptor.OTHER:
        return Plan((), None, f"another aggregator: it has accepted round {done + 1}")
    if project.next_acceptor is Acceptor.NOBODY and project.bond_free < project.bond:
        # Before the last trainers have joined: it takes two transactions.
        return _deposit(project, done + 1, rules)
    if project.pending_model and now < project.pending_until:
        return Plan((), project.pending_until, "witnesses: nobody has vouched for the bytes of the newest model")
    opens_at = project.last_join_at + rules.open_delay
    if done == 0 and project.members < project.slots and now < opens_at:
        return Plan((), opens_at, f"more trainers: {project.members} of {project.slots} slots are taken")
    return _due(OpenRound(project.project, done + 1, project.next_acceptor is Acceptor.NOBODY))


def _deposit(project: ProjectSituation, round: int, rules: Rules) -> Plan:
    """What is missing for a whole free bond, within what the operator allows."""
    missing = project.bond - project.bond_free
    put_in = max(0, project.bond_deposited - project.bond_withdrawn)
    if rules.bond_limit is not None and put_in + missing > rules.bond_limit:
        words = (
            f"the operator: the bond takes {missing} base units more, {put_in} were put in already, and "
            f"COHORT_BOND_LIMIT allows {rules.bond_limit}"
        )
        return Plan((), None, words, trouble=True)
    return _due(DepositBond(project.project, round, missing, project.bond_deposited))


# --- the newest round -------------------------------------------------------------------------------------------------


def _commit(project: ProjectSituation, current: RoundSituation, now: int) -> Plan:
    here = current.signed + current.committed
    if not current.ours:
        return Plan((), current.commit_end, "the aggregator that accepted the round")
    if current.batch_posted:
        return Plan((), current.commit_end, f"trainers: {current.committed} of {current.expected} have committed")
    if now >= current.batch_end:
        words = f"trainers, who post their own now: {current.committed} of {current.expected} have committed"
        return Plan((), current.commit_end, words)
    due_at = batch_due(current.opened_at, current.batch_end)
    room = project.slots - current.committed
    if current.signed and room > 0 and (here >= current.expected or now >= due_at):
        return _due(PostCommits(project.project, current.number))
    wake_at = due_at if now < due_at else current.batch_end
    return Plan((), wake_at, f"commitments: {here} of {current.expected} are here")


def _reveal(project: ProjectSituation, current: RoundSituation, now: int) -> Plan:
    everybody_in = current.handed_in >= current.unresolved
    until = batch_awaited_until(current.reveal_start, current.reveal_end)
    if current.awaits_batch and now < until:
        # The last reveal ends the phase, and with it the time in which a batch can be revealed.
        return Plan((), until, "the owner: the round's validation batch is not revealed")
    if current.ours:
        for reveals in current.sets:
            if reveals.current and everybody_in and 0 < reveals.undecided == reveals.ready:
                return _due(PostReveals(project.project, current.number, reveals.openings_hash))
    # What was handed in to us is admitted even if the aggregator that accepted the round is gone.
    due_at = reveals_due(current.reveal_start, current.reveal_end)
    best = max(current.sets, key=lambda reveals: reveals.ready, default=None)
    if now >= due_at and best is not None and best.ready > 0:
        return _due(PostReveals(project.project, current.number, best.openings_hash))
    marks = (partial_receipts_due(current.reveal_start, current.reveal_end), due_at, current.reveal_end)
    wake_at = next((mark for mark in marks if mark > now), None)
    missing = current.unresolved - current.handed_in
    what = "witnesses' receipts" if everybody_in else f"reveals: {missing} of {current.committed} are missing"
    return Plan((), wake_at, what)


def _settle(project: ProjectSituation, current: RoundSituation, now: int, rules: Rules) -> Plan:
    """Ours before tS. From then on anybody's who has a bond, and whoever accepted has lost its own."""
    late = now >= current.acceptor_end
    if not current.ours and not late:
        return Plan((), current.acceptor_end, "the aggregator that accepted the round")
    wake_at = current.settle_end if late else current.acceptor_end
    if current.proposal is None:
        if (rows := _rows(project, current, now)) is not None:
            return rows
        if current.evaluating:
            return Plan((), wake_at, "the evaluation")
        if current.unevaluable:
            return Plan((), wake_at, f"the end of the round: it has no outcome ({current.unevaluable})")
        return Plan((Evaluate(project.project, current.number),), wake_at, "")
    if current.proposal.proof is not None:
        return _settle_proven(project, current, current.proposal.proof, now, rules)
    if current.proposal.signatures >= project.quorum:
        if late and project.bond_free < project.bond:
            return _deposit(project, current.number, rules)
        return _due(Settle(project.project, current.number))
    if project.witnesses - current.proposal.refusals < project.quorum:
        return Plan((), wake_at, "the end of the round: too many witnesses refuse the outcome")
    return Plan((), wake_at, f"signatures: {current.proposal.signatures} of {project.quorum} witnesses have signed")


def _settle_proven(
    project: ProjectSituation, current: RoundSituation, proof: ProofSituation, now: int, rules: Rules
) -> Plan:
    """With a proof, and with receipts for the next model if they come in time. Without them it waits for receipts."""
    late = now >= current.acceptor_end
    deadline = current.settle_end if late else current.acceptor_end
    if proof.ready_at is None:
        if proof.impossible:
            words = f"the end of the round: its outcome cannot be proven ({proof.impossible})"
            return Plan((), deadline, words, trouble=True)
        if proof.proving:
            return Plan((), deadline, "the proof")
        return Plan((Prove(project.project, current.number),), deadline, "")
    proposal = current.proposal
    assert proposal is not None
    until = receipts_awaited_until(proof.ready_at, deadline, rules.receipt_wait)
    may_come = project.witnesses - proposal.refusals >= project.quorum
    if proposal.signatures < project.quorum and may_come and now < until:
        words = f"receipts: {proposal.signatures} of {project.quorum} witnesses vouch for the next model"
        return Plan((), until, words)
    if late and project.bond_free < project.bond:
        return _deposit(project, current.number, rules)
    return _due(Settle(project.project, current.number))


def _rows(project: ProjectSituation, current: RoundSituation, now: int) -> Plan | None:
    """What is due for the public rows of the round; None if it has them, needs none, or has to do without."""
    due, rows = rows_due(current.reveal_end, current.acceptor_end), current.rows
    if rows is None:
        return None
    lost = rows.impossible or project.witnesses - rows.refusals < project.quorum
    if rows.required:
        due = current.settle_end
        if lost:
            words = rows.impossible or "too many witnesses refuse the public rows"
            return Plan((), due, f"the end of the round: without public rows nothing can be proven ({words})", True)
    elif lost or now >= due:
        return None
    if rows.rows is None:
        if rows.computing:
            return Plan((), due, "the public rows")
        return Plan((ComputeRows(project.project, current.number),), due, "")
    if rows.signatures >= project.quorum:
        return Plan((PostRows(project.project, current.number, rows.rows),), due, "")
    return Plan((), due, f"signatures: {rows.signatures} of {project.quorum} witnesses have signed the public rows")


# --- commitments that nobody admitted ---------------------------------------------------------------------------------


def _unresolved(project: int, one: UnresolvedSituation, now: int, rules: Rules) -> Plan:
    """In [tR, tG) save the stakes of those whose openings we have, in [tG, end of the slash window) take those of the
    trainers who gave nobody an opening that we know of. If we could not rescue in time, the trainer does not pay for
    it: what was handed in to us is never slashed by us."""
    if now < one.reveal_end:
        return Plan((), one.reveal_end, "")
    if now < one.rescue_end:
        steps = (Rescue(project, one.round, one.openable),) if one.openable else ()
        return Plan(steps, one.rescue_end, "")
    if now < one.slash_end and one.silent and rules.slash:
        return _due(SlashNoReveal(project, one.round, one.silent))
    return Plan((), None, "")
