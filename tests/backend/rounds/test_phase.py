"""The phase of an indexed round is the phase of the same round as the chain's binding sees it (which is compared with
the contract itself in `tests/protocol/chain`)."""

from __future__ import annotations

from cohort_backend.rounds.models import Round
from cohort_backend.rounds.phase import next_deadline, phase_of
from cohort_protocol.chain.types import RoundView
from cohort_protocol.phases import Phase
from hypothesis import event, given
from hypothesis import strategies as st


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Round, RoundView]:
    opened = 1_000
    commit_end = opened + draw(st.integers(0, 4))
    reveal_start = commit_end + draw(st.integers(0, 3))
    reveal_end = reveal_start + draw(st.integers(0, 4))
    settle_end = reveal_end + draw(st.integers(1, 4))
    committed, admitted = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    outcome = draw(st.sampled_from([None, None, None, Phase.FINAL, Phase.VOID, Phase.DEFAULTED]))
    batch = draw(st.integers(0, committed))
    round = Round(
        opened_at=opened,
        commit_end=commit_end,
        reveal_start=reveal_start,
        reveal_end=reveal_end,
        settle_end=settle_end,
        committed=committed,
        admitted=admitted,
        outcome=outcome,
    )
    view = RoundView(
        phase=outcome or Phase.COMMIT,
        opened_at=opened,
        commit_end=commit_end,
        reveal_start=reveal_start,
        reveal_end=reveal_end,
        settle_end=settle_end,
        budget=1,
        eligible=4,
        batch_count=batch,
        self_count=committed - batch,
        admitted=admitted,
        refused=0,
        closed=outcome is not None,
        claimed_bits=0,
        batch_hash=bytes(32),
        admitted_hash=bytes(32),
        model=bytes(32),
        payout_root=bytes(32),
    )
    return round, view


@given(rounds(), st.integers(990, 1_020), st.integers(1, 4))
def test_phases_agree(pair: tuple[Round, RoundView], now: int, min_trainers: int) -> None:
    round, view = pair
    phase = phase_of(round, now, min_trainers)
    event(phase.name)
    assert phase == view.phase_at(now, min_trainers)


@given(rounds(), st.integers(990, 1_020), st.integers(1, 4))
def test_nothing_changes_before_the_next_deadline(pair: tuple[Round, RoundView], now: int, min_trainers: int) -> None:
    round, _ = pair
    phase, deadline = phase_of(round, now, min_trainers), next_deadline(round, now, min_trainers)
    until = deadline if deadline is not None else 2_000
    assert until > now
    assert {phase_of(round, moment, min_trainers) for moment in range(now, min(until, 1_030))} == {phase}
    assert (deadline is None) == phase.terminal


def test_the_guard_lies_between_commit_and_reveal() -> None:
    round = Round(commit_end=10, reveal_start=12, reveal_end=20, settle_end=30, committed=2, admitted=2)
    found = [phase_of(round, now, 2) for now in (9, 10, 11, 12, 19, 20, 29, 30)]
    assert found == [
        Phase.COMMIT, Phase.GUARD, Phase.GUARD, Phase.REVEAL, Phase.REVEAL, Phase.SETTLE, Phase.SETTLE, Phase.DEFAULTED,
    ]  # fmt: skip
