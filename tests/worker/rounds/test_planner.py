"""What is due, over every state that a project can be in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cohort_protocol.phases import Phase
from cohort_worker.rounds.planner import (
    Acceptor,
    CloseRound,
    ComputeRows,
    DepositBond,
    Evaluate,
    OpenRound,
    Plan,
    PostCommits,
    PostReveals,
    PostRows,
    ProjectSituation,
    ProofSituation,
    ProposalSituation,
    Prove,
    ReceiptModel,
    Rescue,
    RoundSituation,
    RowsSituation,
    Rules,
    SetSituation,
    Settle,
    SlashNoReveal,
    Step,
    UnresolvedSituation,
    plan,
)
from hypothesis import given
from hypothesis import strategies as st

T0 = 1_000_000
TC, TREV, TR = T0 + 40, T0 + 44, T0 + 84
TG, TS, TF, T_SLASH = TR + 20, TR + 60, TR + 100, TR + 200
BATCH_END = TC - 8
BATCH_DUE, RECEIPTS_DUE, REVEALS_DUE = BATCH_END - 8, TR - 20, TR - 10
RULES = Rules(open_delay=15)

PROJECT = ProjectSituation(
    project=7,
    ours=True,
    ended=False,
    free=1000,
    round_budget=100,
    bond=50,
    bond_free=50,
    bond_deposited=50,
    bond_withdrawn=0,
    next_acceptor=Acceptor.NOBODY,
    pending_model=False,
    pending_until=0,
    rounds=10,
    slots=8,
    min_trainers=3,
    quorum=2,
    witnesses=3,
    members=8,
    last_join_at=T0 - 100,
    round=None,
    unresolved=(),
)
ROUND = RoundSituation(
    number=1,
    phase=Phase.COMMIT,
    closed=False,
    ours=True,
    opened_at=T0,
    batch_end=BATCH_END,
    commit_end=TC,
    reveal_start=TREV,
    reveal_end=TR,
    acceptor_end=TS,
    settle_end=TF,
    expected=8,
    batch_posted=False,
    signed=0,
    committed=0,
    unresolved=0,
    handed_in=0,
    sets=(),
    evaluating=False,
    unevaluable="",
    proposal=None,
)
OF_PROJECT = ("unresolved_rounds", "not_ours")


def _plan(now: int = T0 + 1, rules: Rules = RULES, **changes: object) -> Plan:
    """The plan for PROJECT with `changes`; those that a round has go to its round. `not_ours`: the project names other
    aggregators; `unresolved_rounds`: of the project."""
    of_round = {
        name: value
        for name, value in changes.items()
        if name in RoundSituation.__dataclass_fields__ and name not in OF_PROJECT
    }
    of_project = {name: value for name, value in changes.items() if name not in of_round}
    unresolved = of_project.pop("unresolved_rounds", ())
    ours = not of_project.pop("not_ours", False)
    current = replace(ROUND, **of_round) if of_round else None
    return plan(replace(PROJECT, round=current, unresolved=unresolved, ours=ours, **of_project), now, rules)


# --- between rounds ---------------------------------------------------------------------------------------------------

NOTHING: tuple[Step, ...] = ()
OPEN_1, OPEN_2 = (OpenRound(7, 1, accept=True),), (OpenRound(7, 2, accept=True),)


@pytest.mark.parametrize(
    ("changes", "now", "steps", "wake_at"),
    [
        ({}, T0, OPEN_1, None),
        ({"members": 3}, T0, OPEN_1, None),  # the last join was long ago
        ({"members": 3, "last_join_at": T0}, T0 + 14, NOTHING, T0 + 15),
        ({"members": 3, "last_join_at": T0}, T0 + 15, OPEN_1, None),
        ({"members": 8, "last_join_at": T0}, T0, OPEN_1, None),  # all slots taken: at once
        ({"members": 12, "last_join_at": T0}, T0, OPEN_1, None),  # more members than slots
        ({"members": 2}, T0, NOTHING, None),
        ({"members": 0, "min_trainers": 0}, T0, NOTHING, None),
        ({"free": 99}, T0, NOTHING, None),
        ({"free": 100}, T0, OPEN_1, None),
        ({"ended": True}, T0, NOTHING, None),
        ({"not_ours": True}, T0, NOTHING, None),
        # after a round
        ({"closed": True, "phase": Phase.FINAL}, T0, OPEN_2, None),
        ({"closed": True, "phase": Phase.VOID}, T0, OPEN_2, None),
        ({"closed": True, "phase": Phase.DEFAULTED}, T0, OPEN_2, None),
        # it does not matter whose the round before was
        ({"closed": True, "phase": Phase.FINAL, "ours": False}, T0, OPEN_2, None),
        # a later round does not wait for free slots
        ({"closed": True, "phase": Phase.FINAL, "members": 3, "last_join_at": T0}, T0, OPEN_2, None),
        ({"closed": True, "phase": Phase.FINAL, "members": 2}, T0, NOTHING, None),
        ({"closed": True, "phase": Phase.FINAL, "number": 10}, T0, NOTHING, None),
        ({"closed": True, "phase": Phase.FINAL, "number": 9}, T0, (OpenRound(7, 10, accept=True),), None),
        ({"closed": True, "phase": Phase.FINAL, "free": 0}, T0, NOTHING, None),
        ({"closed": True, "phase": Phase.FINAL, "ended": True}, T0, NOTHING, None),
        # who accepted it
        ({"next_acceptor": Acceptor.US}, T0, (OpenRound(7, 1, accept=False),), None),
        ({"next_acceptor": Acceptor.US, "bond_free": 0}, T0, (OpenRound(7, 1, accept=False),), None),
        ({"next_acceptor": Acceptor.OTHER}, T0, NOTHING, None),
        ({"next_acceptor": Acceptor.OTHER, "bond_free": 0}, T0, NOTHING, None),
        # the bond
        ({"bond_free": 49}, T0, (DepositBond(7, 1, 1, 50),), None),
        ({"bond_free": 0, "bond_deposited": 0}, T0, (DepositBond(7, 1, 50, 0),), None),
        (
            {"bond_free": 0, "bond_deposited": 0, "members": 3, "last_join_at": T0},
            T0,
            (DepositBond(7, 1, 50, 0),),
            None,
        ),
        ({"bond_free": 0, "free": 99}, T0, NOTHING, None),  # not before the project could run
        ({"bond_free": 0, "members": 2}, T0, NOTHING, None),
        ({"bond_free": 0, "closed": True, "phase": Phase.DEFAULTED}, T0, (DepositBond(7, 2, 50, 50),), None),
        ({"bond_free": 70}, T0, OPEN_1, None),
        # a model that waits for receipts
        ({"closed": True, "phase": Phase.FINAL, "pending_model": True, "pending_until": T0 + 5}, T0, NOTHING, T0 + 5),
        ({"closed": True, "phase": Phase.FINAL, "pending_model": True, "pending_until": T0 + 5}, T0 + 5, OPEN_2, None),
        (
            {"closed": True, "phase": Phase.FINAL, "pending_model": True, "pending_until": T0 + 5, "model_receipts": 1},
            T0,
            NOTHING,
            T0 + 5,
        ),
        (
            {"closed": True, "phase": Phase.FINAL, "pending_model": True, "pending_until": T0 + 5, "model_receipts": 2},
            T0,
            (ReceiptModel(7, 1),),
            None,
        ),
        (  # the last round's model, too
            {"closed": True, "phase": Phase.FINAL, "number": 10, "pending_model": True, "model_receipts": 2},
            T0,
            (ReceiptModel(7, 10),),
            None,
        ),
    ],
)
def test_between_rounds(changes: dict, now: int, steps: tuple, wake_at: int | None) -> None:
    found = _plan(now, **changes)
    assert (found.steps, found.wake_at) == (steps, wake_at)
    assert bool(found.steps) != bool(found.waiting_for), "either something is due or it says what it waits for"


@pytest.mark.parametrize(
    ("limit", "deposited", "withdrawn", "free", "steps"),
    [
        (None, 10**30, 0, 0, (DepositBond(7, 1, 50, 10**30),)),
        (50, 0, 0, 0, (DepositBond(7, 1, 50, 0),)),
        (49, 0, 0, 0, ()),
        (99, 50, 0, 0, ()),  # a bond was lost: a second one is more than allowed
        (100, 50, 0, 0, (DepositBond(7, 1, 50, 50),)),
        (50, 50, 50, 0, (DepositBond(7, 1, 50, 50),)),  # taken out by hand
        (49, 0, 0, 1, (DepositBond(7, 1, 49, 0),)),
        (50, 10, 60, 0, (DepositBond(7, 1, 50, 10),)),  # more was withdrawn than put in: fees
        (0, 0, 0, 50, OPEN_1),  # nothing is missing
    ],
)
def test_the_operator_says_how_much_may_be_at_stake(
    limit: int | None, deposited: int, withdrawn: int, free: int, steps: tuple[Step, ...]
) -> None:
    changes = {"bond_deposited": deposited, "bond_withdrawn": withdrawn, "bond_free": free}
    found = _plan(T0, replace(RULES, bond_limit=limit), **changes)
    assert found.steps == steps
    assert found.trouble == (not steps)
    if found.trouble:
        assert "COHORT_BOND_LIMIT" in found.waiting_for


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
        ({}, BATCH_DUE, NOTHING, BATCH_END),
        ({"signed": 6, "committed": 2}, T0, COMMITS, None),  # two posted themselves
        ({"signed": 5, "committed": 2}, T0, NOTHING, BATCH_DUE),
        ({"signed": 2, "expected": 2}, T0, COMMITS, None),
        ({"signed": 0, "committed": 8}, T0, NOTHING, BATCH_DUE),
        ({"signed": 1, "committed": 8}, BATCH_DUE, NOTHING, BATCH_END),  # no slot left
        ({"batch_posted": True, "committed": 6, "signed": 1}, BATCH_DUE, NOTHING, TC),  # one batch per round
        # the last part of the phase is for trainers alone
        ({"signed": 8}, BATCH_END - 1, COMMITS, None),
        ({"signed": 8}, BATCH_END, NOTHING, TC),
        ({"signed": 8}, TC - 1, NOTHING, TC),
        # only the aggregator that accepted the round may post a batch
        ({"signed": 8, "ours": False}, T0, NOTHING, TC),
        ({"signed": 8, "ours": False}, BATCH_DUE, NOTHING, TC),
    ],
)
def test_commit_phase(changes: dict, now: int, steps: tuple, wake_at: int | None) -> None:
    found = _plan(now, phase=Phase.COMMIT, **changes)
    assert (found.steps, found.wake_at) == (steps, wake_at)


def test_the_guard_time_is_waited_for() -> None:
    found = _plan(TC, phase=Phase.GUARD, committed=8)
    assert (found.steps, found.wake_at) == ((), TREV)


# --- reveal -----------------------------------------------------------------------------------------------------------

H1, H2 = b"\x01" * 32, b"\x02" * 32


def _set(undecided: int, ready: int, current: bool = True, openings_hash: bytes = H1) -> SetSituation:
    return SetSituation(openings_hash, current, undecided, ready)


FIRST, SECOND = (PostReveals(7, 1, H1),), (PostReveals(7, 1, H2),)


@pytest.mark.parametrize(
    ("changes", "now", "steps", "wake_at"),
    [
        ({}, TREV, NOTHING, RECEIPTS_DUE),
        ({"handed_in": 8}, TREV, NOTHING, RECEIPTS_DUE),
        ({"handed_in": 8, "sets": (_set(8, 7),)}, TREV, NOTHING, RECEIPTS_DUE),  # one cannot be fetched: wait
        ({"handed_in": 8, "sets": (_set(8, 7),)}, RECEIPTS_DUE, NOTHING, REVEALS_DUE),
        ({"handed_in": 8, "sets": (_set(8, 7),)}, REVEALS_DUE, FIRST, None),
        ({"handed_in": 8, "sets": (_set(8, 8),)}, TREV, FIRST, None),
        ({"handed_in": 7, "sets": (_set(7, 7),)}, TREV, NOTHING, RECEIPTS_DUE),  # one has not revealed
        ({"handed_in": 7, "sets": (_set(7, 7),)}, REVEALS_DUE - 1, NOTHING, REVEALS_DUE),
        ({"handed_in": 7, "sets": (_set(7, 7),)}, REVEALS_DUE, FIRST, None),
        ({"handed_in": 7, "sets": (_set(7, 0),)}, REVEALS_DUE, NOTHING, TR),
        ({}, REVEALS_DUE, NOTHING, TR),
        # a last-second reveal made a larger set that nobody has signed yet: the old one is posted
        (
            {"handed_in": 8, "sets": (_set(7, 7, current=False), _set(8, 0, openings_hash=H2))},
            REVEALS_DUE,
            FIRST,
            None,
        ),
        ({"handed_in": 8, "sets": (_set(7, 7, current=False), _set(8, 8, openings_hash=H2))}, TREV, SECOND, None),
        ({"handed_in": 8, "sets": (_set(7, 7, current=False), _set(8, 6, openings_hash=H2))}, TR - 1, FIRST, None),
        ({"handed_in": 8, "sets": (_set(7, 7, current=False),)}, TREV, NOTHING, RECEIPTS_DUE),
        # seven are decided, the last comes late
        ({"unresolved": 1, "handed_in": 1, "sets": (_set(0, 0, current=False), _set(1, 1, openings_hash=H2))},
         TR - 3, SECOND, None),
        # everything of the set was decided by another transaction
        ({"unresolved": 0, "sets": (_set(0, 0),)}, TR - 1, NOTHING, TR),
        # another aggregator's round: only what would be lost otherwise
        ({"ours": False, "handed_in": 8, "sets": (_set(8, 8),)}, TREV, NOTHING, RECEIPTS_DUE),
        ({"ours": False, "handed_in": 8, "sets": (_set(8, 8),)}, REVEALS_DUE, FIRST, None),
    ],
)  # fmt: skip
def test_reveal_phase(changes: dict, now: int, steps: tuple, wake_at: int | None) -> None:
    found = _plan(now, **{"phase": Phase.REVEAL, "batch_posted": True, "committed": 8, "unresolved": 8, **changes})
    assert (found.steps, found.wake_at) == (steps, wake_at)


# --- settle -----------------------------------------------------------------------------------------------------------

EVALUATE, SETTLE = (Evaluate(7, 1),), (Settle(7, 1),)


@pytest.mark.parametrize(
    ("changes", "steps", "wake_at"),
    [
        ({}, EVALUATE, TS),
        ({"evaluating": True}, NOTHING, TS),
        ({"unevaluable": "commitment-mismatch: ..."}, NOTHING, TS),
        ({"unevaluable": "x", "proposal": ProposalSituation(2, 0)}, SETTLE, None),
        ({"proposal": ProposalSituation(0, 0)}, NOTHING, TS),
        ({"proposal": ProposalSituation(1, 0)}, NOTHING, TS),
        ({"proposal": ProposalSituation(1, 1)}, NOTHING, TS),
        ({"proposal": ProposalSituation(2, 0)}, SETTLE, None),
        ({"proposal": ProposalSituation(2, 1)}, SETTLE, None),
        ({"proposal": ProposalSituation(3, 0)}, SETTLE, None),
        ({"proposal": ProposalSituation(0, 2)}, NOTHING, TS),
        ({"proposal": ProposalSituation(2, 0), "evaluating": True}, SETTLE, None),
        ({"proposal": ProposalSituation(2, 0), "bond_free": 0}, SETTLE, None),  # the bond is behind this very round
        ({"ours": False}, NOTHING, TS),
        ({"ours": False, "proposal": ProposalSituation(3, 0)}, NOTHING, TS),
    ],
)
def test_settle_phase(changes: dict, steps: tuple, wake_at: int | None) -> None:
    found = _plan(TR + 1, phase=Phase.SETTLE, batch_posted=True, committed=8, **changes)
    assert (found.steps, found.wake_at) == (steps, wake_at)


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize(
    ("changes", "steps", "wake_at"),
    [
        ({}, EVALUATE, TF),
        ({"evaluating": True}, NOTHING, TF),
        ({"proposal": ProposalSituation(1, 0)}, NOTHING, TF),
        ({"proposal": ProposalSituation(2, 0)}, SETTLE, None),
        ({"proposal": ProposalSituation(2, 0), "bond_free": 20}, (DepositBond(7, 1, 30, 50),), None),
        ({"proposal": ProposalSituation(1, 0), "bond_free": 20}, NOTHING, TF),  # no bond before it can be settled
    ],
)
def test_after_ts_whoever_has_a_bond_settles(ours: bool, changes: dict, steps: tuple, wake_at: int | None) -> None:
    """Also the aggregator that accepted the round: its bond is lost either way."""
    for now in (TS, TF - 1):
        found = _plan(now, phase=Phase.SETTLE, batch_posted=True, committed=8, ours=ours, **changes)
        assert (found.steps, found.wake_at) == (steps, wake_at)


def test_a_round_that_the_witnesses_refuse_says_so() -> None:
    found = _plan(TR + 1, phase=Phase.SETTLE, proposal=ProposalSituation(0, 2))
    assert "refuse" in found.waiting_for


PROVE = (Prove(7, 1),)
WAITING = ProofSituation(ready_at=None, proving=False, impossible="")
READY = ProofSituation(ready_at=TR + 2, proving=False, impossible="")
RECEIPTS_UNTIL = TR + 2 + 15


@pytest.mark.parametrize(
    ("proposal", "now", "steps", "wake_at"),
    [
        (ProposalSituation(0, 0, WAITING), TR + 1, PROVE, TS),
        (ProposalSituation(3, 0, WAITING), TR + 1, PROVE, TS),  # words of witnesses do not settle a proven round
        (ProposalSituation(3, 0, replace(WAITING, proving=True)), TR + 1, NOTHING, TS),
        (ProposalSituation(3, 0, replace(WAITING, impossible="refused")), TR + 1, NOTHING, TS),
        (ProposalSituation(2, 0, READY), TR + 2, SETTLE, None),
        (ProposalSituation(1, 0, READY), TR + 2, NOTHING, RECEIPTS_UNTIL),
        (ProposalSituation(1, 0, READY), RECEIPTS_UNTIL - 1, NOTHING, RECEIPTS_UNTIL),
        (ProposalSituation(1, 0, READY), RECEIPTS_UNTIL, SETTLE, None),
        (ProposalSituation(0, 0, READY), RECEIPTS_UNTIL, SETTLE, None),
        (ProposalSituation(0, 2, READY), TR + 2, SETTLE, None),  # no quorum will vouch for the bytes: their words
        (ProposalSituation(0, 3, READY), TR + 2, SETTLE, None),  # stop the model, and not the pay
        (ProposalSituation(0, 0, replace(READY, ready_at=TS - 4)), TS - 3, NOTHING, TS - 2),
        (ProposalSituation(0, 0, replace(READY, ready_at=TS - 4)), TS - 2, SETTLE, None),
        (ProposalSituation(0, 0, READY), TS, SETTLE, None),
    ],
)
def test_a_proven_round_is_settled_by_its_proof_and_waits_a_moment_for_receipts(
    proposal: ProposalSituation, now: int, steps: tuple, wake_at: int | None
) -> None:
    found = _plan(now, phase=Phase.SETTLE, batch_posted=True, committed=8, proposal=proposal)
    assert (found.steps, found.wake_at) == (steps, wake_at)


def test_an_outcome_that_cannot_be_proven_is_the_operators_trouble() -> None:
    found = _plan(TR + 1, phase=Phase.SETTLE, proposal=ProposalSituation(3, 0, replace(WAITING, impossible="why")))
    assert found.trouble
    assert "why" in found.waiting_for


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("phase", [Phase.VOID, Phase.DEFAULTED])
def test_a_round_that_cannot_be_settled_is_closed(phase: Phase, ours: bool) -> None:
    assert _plan(TF, phase=phase, ours=ours).steps == (CloseRound(7, 1),)


# --- commitments that nobody admitted ---------------------------------------------------------------------------------


def _left(round: int = 3, openable: tuple[int, ...] = (), silent: tuple[int, ...] = ()) -> UnresolvedSituation:
    return UnresolvedSituation(round, TR, TG, T_SLASH, openable, silent)


RESCUE, SLASH = (Rescue(7, 3, (2, 5)),), (SlashNoReveal(7, 3, (4,)),)


@pytest.mark.parametrize(
    ("now", "steps", "wake_at"),
    [
        (TR - 1, NOTHING, TR),
        (TR, RESCUE, TG),
        (TG - 1, RESCUE, TG),
        (TG, SLASH, None),
        (T_SLASH - 1, SLASH, None),
        (T_SLASH, NOTHING, None),
    ],
)
def test_stakes_are_saved_until_tg_and_taken_from_then_on(now: int, steps: tuple, wake_at: int | None) -> None:
    """Member 4 gave nobody an opening that we know of; 2 and 5 did, and are never slashed by us."""
    left = _left(openable=(2, 5), silent=(4,))
    found = _plan(now, ended=True, unresolved_rounds=(left,))
    assert (found.steps, found.wake_at) == (steps, wake_at)


@pytest.mark.parametrize("now", range(TR - 1, T_SLASH + 2))
def test_what_was_handed_in_is_never_slashed(now: int) -> None:
    found = _plan(now, ended=True, unresolved_rounds=(_left(openable=(2, 5)),))
    assert not any(isinstance(step, SlashNoReveal) for step in found.steps)


def test_slashing_can_be_left_to_others() -> None:
    left = (_left(silent=(4,)),)
    assert _plan(TG, replace(RULES, slash=False), ended=True, unresolved_rounds=left).steps == ()
    assert _plan(TG, ended=True, unresolved_rounds=left).steps == SLASH


def test_stakes_are_saved_first_and_taken_last() -> None:
    """Rounds 2 and 3 are over and have unresolved commitments while round 4 is settled."""
    left = (replace(_left(2, silent=(1,)), rescue_end=TR, reveal_end=TR - 20), _left(3, openable=(2,)))
    found = _plan(TR, number=4, phase=Phase.SETTLE, proposal=ProposalSituation(2, 0), unresolved_rounds=left)
    assert found.steps == (Rescue(7, 3, (2,)), Settle(7, 4), SlashNoReveal(7, 2, (1,)))


def test_whoever_accepted_the_round_its_trainers_are_rescued() -> None:
    left = (_left(1, openable=(2,)),)
    assert _plan(TR, phase=Phase.SETTLE, ours=False, unresolved_rounds=left).steps == (Rescue(7, 1, (2,)),)


# --- everything -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", list(Phase))
def test_nothing_is_done_for_a_project_that_does_not_name_us(phase: Phase) -> None:
    left = (_left(openable=(1,), silent=(2,)),)
    for now in (TR, TG, TF):
        found = _plan(
            now, phase=phase, not_ours=True, signed=8, proposal=ProposalSituation(3, 0), unresolved_rounds=left
        )
        assert found.steps == ()


MEMBERS = st.lists(st.integers(1, 9), unique=True, max_size=3).map(sorted).map(tuple)
SITUATIONS = st.fixed_dictionaries(
    {
        "phase": st.sampled_from(list(Phase)),
        "closed": st.booleans(),
        "ours": st.booleans(),
        "number": st.integers(1, 10),
        "batch_posted": st.booleans(),
        "signed": st.integers(0, 9),
        "committed": st.integers(0, 8),
        "unresolved": st.integers(0, 8),
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
        "bond_free": st.integers(0, 60),
        "next_acceptor": st.sampled_from(list(Acceptor)),
        "pending_model": st.booleans(),
        "pending_until": st.integers(T0, TF),
        "unresolved_rounds": st.lists(st.builds(_left, st.integers(1, 9), MEMBERS, MEMBERS), max_size=2).map(tuple),
    }
)


@given(changes=SITUATIONS, now=st.integers(T0, T_SLASH + 10))
def test_every_situation_leads_somewhere(changes: dict, now: int) -> None:
    """At most one step for the newest round, and if none, either a later time to look again or words that say what is
    missing. A round of another aggregator is only watched until tS."""
    found = _plan(now, **changes)
    newest = [step for step in found.steps if not isinstance(step, Rescue | SlashNoReveal)]
    assert len(newest) <= 1
    if not found.steps:
        assert found.waiting_for
    in_time = now < {Phase.COMMIT: TC, Phase.GUARD: TREV, Phase.REVEAL: TR, Phase.SETTLE: TF}.get(changes["phase"], 0)
    if found.wake_at is not None and in_time:
        assert found.wake_at > now
    running = not changes["closed"]
    if running and changes["phase"] in (Phase.COMMIT, Phase.GUARD, Phase.REVEAL, Phase.SETTLE) and in_time:
        assert found.steps or found.wake_at is not None, "a running round must never be forgotten"
        if not changes["ours"] and changes["phase"] in (Phase.COMMIT, Phase.SETTLE) and now < TS:
            assert newest == []


# --- public rows ------------------------------------------------------------------------------------------------------

WANTED = RowsSituation(rows=None, computing=False, impossible="", signatures=0, refusals=0)
PROPOSED = replace(WANTED, rows=b"\1" * 32)
ROWS_DUE = TS - (TS - TR) // 2
EVALUATE = (Evaluate(7, 1),)


@pytest.mark.parametrize(
    ("rows", "now", "steps"),
    [
        (WANTED, TR + 1, (ComputeRows(7, 1),)),
        (replace(WANTED, computing=True), TR + 1, NOTHING),
        (PROPOSED, TR + 1, NOTHING),
        (replace(PROPOSED, signatures=2), TR + 1, (PostRows(7, 1, b"\1" * 32),)),
        (replace(WANTED, impossible="no batch"), TR + 1, EVALUATE),
        (replace(PROPOSED, refusals=2), TR + 1, EVALUATE),
        (WANTED, ROWS_DUE, EVALUATE),
        (replace(PROPOSED, signatures=2), ROWS_DUE, EVALUATE),
        (None, TR + 1, EVALUATE),
    ],
)
def test_public_rows_come_before_the_outcome_while_there_is_time(
    rows: RowsSituation | None, now: int, steps: tuple[Step, ...]
) -> None:
    found = _plan(now, phase=Phase.SETTLE, rows=rows)
    assert found.steps == steps
    assert found.wake_at == (TS if steps == EVALUATE else ROWS_DUE)


@pytest.mark.parametrize(
    ("rows", "now", "steps"),
    [
        (WANTED, TR + 1, (ComputeRows(7, 1),)),
        (WANTED, ROWS_DUE, (ComputeRows(7, 1),)),  # without them there is no settlement: as long as it takes
        (replace(PROPOSED, signatures=2), ROWS_DUE, (PostRows(7, 1, b"\1" * 32),)),
        (replace(WANTED, impossible="no model"), TR + 1, NOTHING),
        (replace(PROPOSED, refusals=2), TR + 1, NOTHING),
    ],
)
def test_a_proven_round_after_the_first_is_never_judged_without_rows(
    rows: RowsSituation, now: int, steps: tuple[Step, ...]
) -> None:
    found = _plan(now, phase=Phase.SETTLE, rows=replace(rows, required=True))
    assert (found.steps, found.wake_at) == (steps, TF)
    assert found.trouble == (not steps)


def test_the_last_reveals_wait_for_the_batch_until_half_of_the_window() -> None:
    complete = SetSituation(b"\2" * 32, current=True, undecided=3, ready=3)
    given = {"phase": Phase.REVEAL, "committed": 3, "unresolved": 3, "handed_in": 3, "sets": (complete,)}
    waiting = _plan(TREV + 1, awaits_batch=True, **given)
    assert (waiting.steps, waiting.wake_at) == (NOTHING, RECEIPTS_DUE)
    assert _plan(RECEIPTS_DUE, awaits_batch=True, **given).steps == (PostReveals(7, 1, b"\2" * 32),)
    assert _plan(TREV + 1, awaits_batch=False, **given).steps == (PostReveals(7, 1, b"\2" * 32),)
