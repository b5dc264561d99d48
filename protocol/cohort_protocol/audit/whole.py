"""Checks that the events are all there."""

from __future__ import annotations

from cohort_protocol.audit.cases import ProjectCase
from cohort_protocol.audit.findings import Check, Result, agreed
from cohort_protocol.chain.events import ProjectCreated, ProjectEnded


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
    if case.created.owner != progress.owner:
        problems.append(f"the owner is {case.created.owner} by events, {progress.owner} in the market")
    text = f"{len(record.events)} events, {len(opened)} rounds, {len(record.trainers)} members"
    return agreed(problems, text, events=len(record.events), rounds=len(opened), members=len(record.trainers))


CHECKS: tuple[Check[ProjectCase], ...] = (
    Check("history", "rounds, members and ending by events against the market's counts", history),
)
