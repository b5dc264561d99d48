"""Checks that the events are all there."""

from __future__ import annotations

from cohort_protocol.audit.cases import ProjectCase
from cohort_protocol.audit.findings import Check, Result, agreed, true, unknown
from cohort_protocol.chain.events import (
    AggregatorAdded,
    MemberJoined,
    MemberLeft,
    ProjectCreated,
    ProjectEnded,
    Staked,
    StakeSlashed,
    StakeWithdrawn,
)
from cohort_protocol.identifiers import to_hex


def history(case: ProjectCase) -> Result:
    """The events are all that happened: as many rounds, members and aggregators as the market counts, and no gap."""
    record, problems = case.record, []
    progress = case.sources.market.progress_of(case.number, case.head.number)
    numbers = sorted(record.rounds)
    opened = [entry.number for entry in record.ordered()]
    if opened != list(range(1, progress.round + 1)):
        problems.append(f"the events open rounds {opened}, the market counts {progress.round}")
    if beyond := [number for number in numbers if number > progress.round + 1]:
        problems.append(f"events speak of round {beyond[0]}, the market counts {progress.round}")
    if sorted(record.trainers) != list(range(1, progress.member_numbers + 1)):
        problems.append(
            f"the events name members {sorted(record.trainers)[:40]}, the market gave {progress.member_numbers} numbers"
        )
    for entry in record.ordered()[:-1]:
        if entry.end is None and entry.rows:
            problems.append(f"round {entry.number} has rows, a round followed it, and no event ended it")
    if (
        not isinstance(record.events[0], ProjectCreated)
        or sum(isinstance(event, ProjectCreated) for event in record.events) != 1
    ):
        problems.append("the project's first event is not the one that created it")
    if progress.ended != any(isinstance(event, ProjectEnded) for event in record.events):
        problems.append("events and market do not agree on whether the project has ended")
    added = [event.aggregator for event in record.events if isinstance(event, AggregatorAdded)]
    named = {*case.created.terms.aggregators, *added}
    if named != (kept := set(case.sources.market.aggregators_of(case.number, case.head.number))):
        problems.append(f"aggregators are {sorted(named)} by events, {sorted(kept)} in the market")
    if case.created.owner != progress.owner:
        problems.append(f"the owner is {case.created.owner} by events, {progress.owner} in the market")
    text = f"{len(record.events)} events, {len(opened)} rounds, {len(record.trainers)} members"
    return agreed(problems, text, events=len(record.events), rounds=len(opened), members=len(record.trainers))


def members(case: ProjectCase) -> Result:
    """Who has which number, who has joined and whose stake is in, by events and in the market."""
    joined: dict[int, bool] = {}
    staked: dict[int, bool] = {}
    for event in case.record.events:
        match event:
            case MemberJoined():
                joined[event.member] = True
            case MemberLeft():
                joined[event.member] = False
            case Staked():
                staked[event.member] = True
            case StakeWithdrawn() | StakeSlashed():
                staked[event.member] = False
    problems = []
    for number, trainer in sorted(case.record.trainers.items()):
        found = case.sources.market.member_at(case.number, number, case.head.number)
        known = case.sources.market.member_of(case.number, trainer, case.head.number).number
        if known != number:
            problems.append(f"{trainer} is member {number} by events, {known} when the market is asked by address")
        by_events = (trainer, joined.get(number, False), staked.get(number, False))
        if (found.trainer, found.joined, found.staked) != by_events:
            there = _words(found.trainer, found.joined, found.staked)
            problems.append(f"member {number} is {_words(*by_events)} by events, {there} in the market")
    text = f"{len(case.record.trainers)} members, {sum(joined.values())} in, {sum(staked.values())} with a stake"
    return agreed(problems, text, members=len(case.record.trainers), joined=sum(joined.values()))


def _words(trainer: str, joined: bool, staked: bool) -> str:
    return f"{trainer} ({'in' if joined else 'not in'}, {'staked' if staked else 'without a stake'})"


def same_chain(case: ProjectCase) -> Result:
    """The block that everything was read as of is still there: what was read belongs together."""
    found = case.sources.client.block(case.head.number)
    if found.hash != case.head.hash:
        return unknown(
            f"the chain was reorganised during the audit: block {case.head.number} was {to_hex(case.head.hash)} and is "
            f"{to_hex(found.hash)} now; audit again"
        )
    return true(f"block {case.head.number} is what it was", block=case.head.number, hash=to_hex(found.hash))


LAST: Check[ProjectCase] = Check("same-chain", "the block of the audit at its beginning and at its end", same_chain)
"""Made when everything else has been read."""
CHECKS: tuple[Check[ProjectCase], ...] = (
    Check("history", "rounds, members, aggregators and ending by events against the market", history),
    Check("members", "members by events against the market's", members),
)
