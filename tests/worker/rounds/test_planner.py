"""What is due, over every state that a project can be in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol.phases import Phase
from cohort_worker.rounds.planner import (
    CloseRound,
    Evaluate,
    OpenRound,
    Plan,
    PostCommits,
    PostReveals,
    ProjectSituation,
    ProposalSituation,
    RoundSituation,
    Rules,
    SetSituation,
    Settle,
    Step,
    plan,
)
from hypothesis import given
from hypothesis import strategies as st

T0 = 1_000_000
TC, TG, TR, TF = T0 + 40, T0 + 44, T0 + 84, T0 + 124
BATCH_DUE, RECEIPTS_DUE, REVEALS_DUE = TC - 10, TR - 20, TR - 10
RULES = Rules(open_delay=15)

PROJECT = ProjectSituation(
    project=7,
    ours=True,
    ended=False,
    free=1000,
    round_budget=100,
    rounds=10,
    slots=8,
    min_trainers=3,
    quorum=2,
    witnesses=3,
    members=8,
    last_join_at=T0 - 100,
    round=None,
)
ROUND = RoundSituation(
    number=1,
    phase=Phase.COMMIT,
    closed=False,
    opened_at=T0,
    commit_end=TC,
    reveal_start=TG,
    reveal_end=TR,
    settle_end=TF,
    eligible=8,
    batch_posted=False,
    signed=0,
    committed=0,
    decided=0,
    handed_in=0,
    sets=(),
    evaluating=False,
    unevaluable="",
    proposal=None,
)


def _plan(now: int = T0 + 1, **changes: object) -> Plan:
    """The plan for PROJECT with `changes`; those that a round has go to its round."""
    of_round = {name: value for name, value in changes.items() if name in RoundSituation.__dataclass_fields__}
    of_project = {name: value for name, value in changes.items() if name not in of_round}
    current = replace(ROUND, **of_round) if of_round else None
    return plan(replace(PROJECT, round=current, **of_project), now, RULES)


# --- between rounds ---------------------------------------------------------------------------------------------------

NOTHING: tuple[Step, ...] = ()


@pytest.mark.parametrize(
    ("changes", "now", "steps", "wake_at"),
    [
        ({}, T0, (OpenRound(7, 1),), None),
        ({"members": 3}, T0, (OpenRound(7, 1),), None),  # the last join was long ago
        ({"members": 3, "last_join_at": T0}, T0 + 14, NOTHING, T0 + 15),
        ({"members": 3, "last_join_at": T0}, T0 + 15, (OpenRound(7, 1),), None),
        ({"members": 8, "last_join_at": T0}, T0, (OpenRound(7, 1),), None),  # all slots taken: at once
        ({"members": 12, "last_join_at": T0}, T0, (OpenRound(7, 1),), None),  # more members than slots
        ({"members": 2}, T0, NOTHING, None),
        ({"members": 0, "min_trainers": 0}, T0, NOTHING, None),
        ({"free": 99}, T0, NOTHING, None),
        ({"free": 100}, T0, (OpenRound(7, 1),), None),
        ({"ended": True}, T0, NOTHING, None),
        ({"ours": False}, T0, NOTHING, None),
        # after a round
        ({"closed": True, "phase": Phase.FINAL}, T0, (OpenRound(7, 2),), None),
        ({"closed": True, "phase": Phase.VOID}, T0, (OpenRound(7, 2),), None),
        ({"closed": True, "phase": Phase.DEFAULTED}, T0, (OpenRound(7, 2),), None),
        # a later round does not wait for free slots
        ({"closed": True, "phase": Phase.FINAL, "members": 3, "last_join_at": T0}, T0, (OpenRound(7, 2),), None),
        ({"closed": True, "phase": Phase.FINAL, "members": 2}, T0, NOTHING, None),
        ({"closed": True, "phase": Phase.FINAL, "number": 10}, T0, NOTHING, None),
        ({"closed": True, "phase": Phase.FINAL, "number": 9}, T0, (OpenRound(7, 10),), None),
        ({"closed": True, "phase": Phase.FINAL, "free": 0}, T0, NOTHING, None),
        ({"closed": True, "phase": Phase.FINAL, "ended": True}, T0, NOTHING, None),
    ],
)
def test_between_rounds(changes: dict, now: int, steps: tuple, wake_at: int | None) -> None:
    found = _plan(now, **changes)
    assert (found.steps, found.wake_at) == (steps, wake_at)
    assert bool(found.steps) != bool(found.waiting_for), "either something is due or it says what it waits for"


# --- commit -----------------------------------------------------------------------------------------------------------

COMMITS = (PostCommits(7, 1),)


@pytest.mark.parametrize(
    ("changes", "now", "steps", "wake_at"),
    [
        ({}, T0, NOTHING, BATCH_DUE),
        ({"signed": 7}, T0, NOTHING, BATCH_DUE),
        ({"signed": 8}, T0, COMMITS, None),
        ({"signed": 7}, BATCH_DUE - 1, NOTHING, BATCH_DUE),
        ({"signed": 1}, BATCH_DUE, COMMITS, None),  # less than min_trainers may still be joined by self-posts
        ({}, BATCH_DUE, NOTHING, TC),
        ({"signed": 6, "committed": 2}, T0, COMMITS, None),  # two posted themselves
        ({"signed": 5, "committed": 2}, T0, NOTHING, BATCH_DUE),
        ({"signed": 8, "eligible": 12, "slots": 8}, T0, COMMITS, None),  # more members than slots
        ({"signed": 2, "eligible": 2}, T0, COMMITS, None),
        ({"signed": 0, "committed": 8}, T0, NOTHING, BATCH_DUE),
        ({"signed": 1, "committed": 8, "eligible": 12}, BATCH_DUE, NOTHING, TC),  # no slot left
        ({"batch_posted": True, "committed": 6, "signed": 1}, BATCH_DUE, NOTHING, TC),  # one batch per round
    ],
)
def test_commit_phase(changes: dict, now: int, steps: tuple, wake_at: int | None) -> None:
    found = _plan(now, phase=Phase.COMMIT, **changes)
    assert (found.steps, found.wake_at) == (steps, wake_at)


def test_the_guard_time_is_waited_for() -> None:
    found = _plan(TC, phase=Phase.GUARD, committed=8)
    assert (found.steps, found.wake_at) == ((), TG)


# --- reveal -----------------------------------------------------------------------------------------------------------

H1, H2 = b"\x01" * 32, b"\x02" * 32


def _set(undecided: int, ready: int, current: bool = True, reveals_hash: bytes = H1) -> SetSituation:
    return SetSituation(reveals_hash, current, undecided, ready)


FIRST, SECOND = (PostReveals(7, 1, H1),), (PostReveals(7, 1, H2),)


@pytest.mark.parametrize(
    ("changes", "now", "steps", "wake_at"),
    [
        ({}, TG, NOTHING, RECEIPTS_DUE),
        ({"handed_in": 8}, TG, NOTHING, RECEIPTS_DUE),
        ({"handed_in": 8, "sets": (_set(8, 7),)}, TG, NOTHING, RECEIPTS_DUE),  # one cannot be fetched: wait
        ({"handed_in": 8, "sets": (_set(8, 7),)}, RECEIPTS_DUE, NOTHING, REVEALS_DUE),
        ({"handed_in": 8, "sets": (_set(8, 7),)}, REVEALS_DUE, FIRST, None),
        ({"handed_in": 8, "sets": (_set(8, 8),)}, TG, FIRST, None),
        ({"handed_in": 7, "sets": (_set(7, 7),)}, TG, NOTHING, RECEIPTS_DUE),  # one has not revealed
        ({"handed_in": 7, "sets": (_set(7, 7),)}, REVEALS_DUE - 1, NOTHING, REVEALS_DUE),
        ({"handed_in": 7, "sets": (_set(7, 7),)}, REVEALS_DUE, FIRST, None),
        ({"handed_in": 7, "sets": (_set(7, 0),)}, REVEALS_DUE, NOTHING, TR),
        ({}, REVEALS_DUE, NOTHING, TR),
        # a last-second reveal made a larger set that nobody has signed yet: the old one is posted
        (
            {"handed_in": 8, "sets": (_set(7, 7, current=False), _set(8, 0, reveals_hash=H2))},
            REVEALS_DUE,
            FIRST,
            None,
        ),
        ({"handed_in": 8, "sets": (_set(7, 7, current=False), _set(8, 8, reveals_hash=H2))}, TG, SECOND, None),
        ({"handed_in": 8, "sets": (_set(7, 7, current=False), _set(8, 6, reveals_hash=H2))}, TR - 1, FIRST, None),
        ({"handed_in": 8, "sets": (_set(7, 7, current=False),)}, TG, NOTHING, RECEIPTS_DUE),
        # seven are decided, the last comes late
        ({"decided": 7, "handed_in": 1, "sets": (_set(0, 0, current=False), _set(1, 1, reveals_hash=H2))},
         TR - 3, SECOND, None),
        # everything of the set was decided by another transaction
        ({"decided": 8, "sets": (_set(0, 0),)}, TR - 1, NOTHING, TR),
    ],
)  # fmt: skip
def test_reveal_phase(changes: dict, now: int, steps: tuple, wake_at: int | None) -> None:
    found = _plan(now, phase=Phase.REVEAL, batch_posted=True, committed=8, **changes)
    assert (found.steps, found.wake_at) == (steps, wake_at)


# --- settle -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "steps", "wake_at"),
    [
        ({}, (Evaluate(7, 1),), TF),
        ({"evaluating": True}, NOTHING, TF),
        ({"unevaluable": "commitment-mismatch: ..."}, NOTHING, TF),
        ({"unevaluable": "x", "proposal": ProposalSituation(2, 0)}, (Settle(7, 1),), None),
        ({"proposal": ProposalSituation(0, 0)}, NOTHING, TF),
        ({"proposal": ProposalSituation(1, 0)}, NOTHING, TF),
        ({"proposal": ProposalSituation(1, 1)}, NOTHING, TF),
        ({"proposal": ProposalSituation(2, 0)}, (Settle(7, 1),), None),
        ({"proposal": ProposalSituation(2, 1)}, (Settle(7, 1),), None),
        ({"proposal": ProposalSituation(3, 0)}, (Settle(7, 1),), None),
        ({"proposal": ProposalSituation(0, 2)}, NOTHING, TF),
        ({"proposal": ProposalSituation(2, 0), "evaluating": True}, (Settle(7, 1),), None),
    ],
)
def test_settle_phase(changes: dict, steps: tuple, wake_at: int | None) -> None:
    found = _plan(TR + 1, phase=Phase.SETTLE, batch_posted=True, committed=8, decided=8, **changes)
    assert (found.steps, found.wake_at) == (steps, wake_at)


def test_a_round_that_the_witnesses_refuse_says_so() -> None:
    found = _plan(TR + 1, phase=Phase.SETTLE, proposal=ProposalSituation(0, 2))
    assert "refuse" in found.waiting_for


@pytest.mark.parametrize("phase", [Phase.VOID, Phase.DEFAULTED])
def test_a_round_that_cannot_be_settled_is_closed(phase: Phase) -> None:
    assert _plan(TF, phase=phase).steps == (CloseRound(7, 1),)


@pytest.mark.parametrize("phase", list(Phase))
def test_nothing_is_done_for_a_project_of_another_aggregator(phase: Phase) -> None:
    assert _plan(TF, phase=phase, ours=False, signed=8, proposal=ProposalSituation(3, 0)).steps == ()


SITUATIONS = st.fixed_dictionaries(
    {
        "phase": st.sampled_from(list(Phase)),
        "closed": st.booleans(),
        "number": st.integers(1, 10),
        "batch_posted": st.booleans(),
        "signed": st.integers(0, 9),
        "committed": st.integers(0, 8),
        "decided": st.integers(0, 8),
        "handed_in": st.integers(0, 8),
        "sets": st.lists(
            st.builds(_set, st.integers(0, 8), st.integers(0, 8), st.booleans(), st.sampled_from([H1, H2])), max_size=3
        ).map(tuple),
        "evaluating": st.booleans(),
        "unevaluable": st.sampled_from(["", "no outcome"]),
        "proposal": st.none() | st.builds(ProposalSituation, st.integers(0, 3), st.integers(0, 3)),
        "free": st.sampled_from([0, 100]),
        "members": st.integers(0, 9),
        "ended": st.booleans(),
    }
)


@given(changes=SITUATIONS, now=st.integers(T0, TF + 10))
def test_every_situation_leads_somewhere(changes: dict, now: int) -> None:
    """At most one step at a time, and if none, either a later time to look again or words that say what is missing."""
    found = _plan(now, **changes)
    assert len(found.steps) <= 1
    if not found.steps:
        assert found.waiting_for
    in_time = now < {Phase.COMMIT: TC, Phase.GUARD: TG, Phase.REVEAL: TR, Phase.SETTLE: TF}.get(changes["phase"], 0)
    if found.wake_at is not None and in_time:
        assert found.wake_at > now
    open_round = not changes["closed"]
    if open_round and changes["phase"] in (Phase.COMMIT, Phase.GUARD, Phase.REVEAL, Phase.SETTLE) and in_time:
        assert found.steps or found.wake_at is not None, "a running round must never be forgotten"
