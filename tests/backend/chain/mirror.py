"""Every view of the contract, once as the chain answers at a block and once as the projection has it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from cohort_backend.projects import repository as projects
from cohort_backend.projects.models import Project
from cohort_backend.rounds import repository as rounds
from cohort_backend.rounds.models import Resolution, Round
from cohort_backend.rounds.phase import phase_of
from cohort_backend.trainers import repository as trainers
from cohort_backend.trainers.models import TrainerLoss
from cohort_protocol.chain.market import Market
from cohort_protocol.chain.types import ZERO_ADDRESS, Bond, Ledger, Member, Progress, Record, RoundView
from cohort_protocol.commitments import ZERO32, admitted_hash
from cohort_protocol.phases import Phase
from cohort_protocol.standing import standing_order
from sqlalchemy.orm import Session

State = dict[str, Any]
RESOLVED = (1).to_bytes(32, "big")
KEPT = ("phase", "closed", "payout_root")
"""What the market keeps of a round that is neither the newest nor has unresolved commitments."""


def on_chain(market: Market, project: int, people: list[str], block: int) -> State:
    """As the contract answers at the end of a block."""
    progress = replace(market.progress_of(project, ref=block), rules=ZERO_ADDRESS)  # where the terms' code is: nobody's
    numbers = range(1, progress.member_numbers + 1)
    all_projects = standing_order(
        (market.progress_of(one, ref=block).owner, one) for one in range(1, market.project_count(ref=block) + 1)
    )
    return {
        "ledger": market.ledger_of(project, ref=block),
        "progress": progress,
        "aggregators": list(market.aggregators_of(project, ref=block)),
        "bonds": {one: market.bond_of(project, one, ref=block) for one in market.aggregators_of(project, ref=block)},
        "members": {one: market.member_of(project, one, ref=block) for one in people},
        "numbered": {number: market.member_at(project, number, ref=block).trainer for number in numbers},
        "records": {number: market.record_of(project, number, ref=block) for number in numbers},
        "claimed": {number: market.claimed_rounds(project, number, 0, ref=block) for number in numbers},
        "losses": {one: market.losses_of(one, ref=block) for one in people},
        "through": {one: market.losses_through(one, progress.owner, ref=block) for one in people},
        "reliability": {one: market.reliability_of(one, all_projects, ref=block) for one in people},
        "rounds": {number: market.round_of(project, number, ref=block) for number in range(1, progress.round + 1)},
        "self": {
            (number, member): market.self_commit_of(project, number, member, ref=block)
            for number in range(1, progress.round + 1)
            for member in numbers
        },
    }


def in_database(session: Session, project: int, people: list[str], now: int) -> State:
    """As the projection has it; `now`: the block's time."""
    found = projects.get(session, project)
    assert found is not None
    members = trainers.members(session, project)
    bonds = {one: projects.bond(session, project, one) for one in found.aggregators}
    return {
        "ledger": Ledger(**{field.name: getattr(found, field.name) for field in fields(Ledger)}),
        "progress": _progress(found),
        "aggregators": found.aggregators,
        "bonds": {one: Bond(bond.free, bond.locked) if bond else Bond(0, 0) for one, bond in bonds.items()},
        "members": {one: _member(session, project, one) for one in people},
        "numbered": {member.number: member.trainer for member in members},
        "records": {member.number: member.record for member in members},
        "claimed": {member.number: _claimed(session, found, member.number) for member in members},
        "losses": {one: trainers.standing(session, one).losses for one in people},
        "through": {one: _through(session, one, found.owner) for one in people},
        "reliability": {one: trainers.standing(session, one).reliability_bps for one in people},
        "rounds": {
            number: _round(session, found, rounds.get(session, project, number), now)
            for number in range(1, found.round + 1)
        },
        "self": {
            (number, member.number): _self_commit(session, project, number, member.number)
            for number in range(1, found.round + 1)
            for member in members
        },
    }


def comparable(chain: State, database: State) -> tuple[State, State]:
    """The chain forgets most of an old round, the projection nothing: both, without what was forgotten."""
    seen = dict(database["rounds"])
    for number, view in chain["rounds"].items():
        if number == chain["progress"].round:
            continue
        blank = {"opened_at": 0, "model": ZERO32, "admitted_hash": ZERO32, "acceptor": ZERO_ADDRESS, "budget": 0}
        blank |= {"validation": ZERO32, "public_rows": ZERO32}
        if view.opened_at == 0:
            assert seen[number].unresolved == 0 or seen[number].phase is Phase.VOID
            kept = {name: getattr(seen[number], name) for name in KEPT}
            seen[number] = replace(_EMPTY, **kept)
        else:
            seen[number] = replace(seen[number], **(blank | {"opened_at": view.opened_at}))
    own = dict(database["self"])
    for (number, member), posted in own.items():
        forgotten = number < chain["progress"].round and chain["self"][number, member] == ZERO32
        if forgotten and posted == RESOLVED:
            own[number, member] = ZERO32
    return chain, database | {"rounds": seen, "self": own}


_EMPTY = RoundView(
    **{
        field.name: {"bytes": ZERO32, "str": ZERO_ADDRESS, "bool": False}.get(str(field.type), 0)
        for field in fields(RoundView)
    }
)


def _progress(project: Project) -> Progress:
    return Progress(
        round=project.round,
        members=project.members,
        member_numbers=project.member_numbers,
        ended=project.ended,
        model=project.model,
        pending_model=project.pending_model or ZERO32,
        pending_until=project.pending_until,
        acceptor=project.acceptor or ZERO_ADDRESS,
        owner=project.owner,
        rules=ZERO_ADDRESS,
    )


def _member(session: Session, project: int, address: str) -> Member:
    found = trainers.member(session, project, address)
    if found is None:
        return Member(ZERO_ADDRESS, 0, 0, 0, False, False, ZERO_ADDRESS)
    assert trainers.member_at(session, project, found.number) is found
    return Member(
        trainer=found.trainer,
        number=found.number,
        joined_round=found.joined_round,
        unlock_at=found.unlock_at,
        staked=found.staked,
        joined=found.joined,
        delegate=found.delegate or ZERO_ADDRESS,
    )


def _through(session: Session, trainer: str, owner: str) -> int:
    found = session.get(TrainerLoss, (trainer, owner))
    return found.amount if found else 0


def _claimed(session: Session, project: Project, member: int) -> int:
    """Bit r: what the member earned in round r has been taken out."""
    everything = (row for number in range(1, project.round + 1) for row in rounds.rows(session, project.id, number))
    return sum(1 << row.round for row in everything if row.member == member and row.claimed)


def _self_commit(session: Session, project: int, number: int, member: int) -> bytes:
    found = rounds.commit(session, project, number, member)
    if found is None or found.self_commitment is None:
        return ZERO32
    return found.self_commitment[:27] + bytes(5) if found.resolution == Resolution.NONE else RESOLVED


def _round(session: Session, project: Project, found: Round | None, now: int) -> RoundView:
    assert found is not None
    batch = rounds.batch(session, project.id, found.number)
    assert batch.bits == found.batch_bits
    posted = batch.hash if batch.leaves else ZERO32
    assert posted == (found.batch_hash or ZERO32)
    counted = [commit for commit in rounds.commits(session, project.id, found.number) if commit.counts]
    assert len(counted) == found.committed
    assert len(rounds.unresolved(session, project.id, found.number)) == found.unresolved
    closed = found.outcome is not None
    times = ("commit_end", "reveal_start", "reveal_end", "rescue_end", "acceptor_end", "settle_end", "slash_end")
    same = ("opened_at", "acceptor", "expected", "batch_count", "self_count", "admitted", "refused", "unresolved")
    bits = ("batch_posted", "batch_bits", "resolved_bits")
    return RoundView(
        **{name: getattr(found, name) for name in (*times, *same, *bits)},
        phase=phase_of(found, now, project.min_trainers),
        budget=0 if closed else found.budget,
        closed=closed,
        batch_hash=posted,
        admitted_hash=admitted_hash(rounds.admissions(session, project.id, found.number)),
        model=project.model,
        validation=found.validation or ZERO32,
        public_rows=found.public_rows or ZERO32,
        payout_root=found.payout_root or bytes(27),
    )


__all__ = ["Record", "comparable", "in_database", "on_chain"]
