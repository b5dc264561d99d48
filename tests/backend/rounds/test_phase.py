"""The phase of an indexed round is the phase of the same round as the chain's binding sees it (which is compared with
the contract itself in `tests/protocol/chain`)."""

from __future__ import annotations

from dataclasses import fields

from cohort_backend.rounds.models import Round
from cohort_backend.rounds.phase import batch_end, next_deadline, phase_of, takes_openings
from cohort_protocol.chain.types import ZERO_ADDRESS, RoundView, Windows, deadlines
from cohort_protocol.phases import Phase
from hypothesis import event, given
from hypothesis import strategies as st

WINDOWS = st.builds(
    Windows,
    commit=st.integers(1, 4),
    guard=st.integers(0, 3),
    reveal=st.integers(1, 4),
    rescue=st.integers(1, 4),
    settle=st.integers(1, 4),
    takeover=st.integers(1, 4),
    self_commit=st.just(0),
)
EMPTY = {
    field.name: {"bytes": bytes(32), "str": ZERO_ADDRESS, "bool": False}.get(str(field.type), 0)
    for field in fields(RoundView)
}


@st.composite
def rounds(draw: st.DrawFn) -> tuple[Round, RoundView]:
    opened, windows = 1_000, draw(WINDOWS)
    commit_end = opened + draw(st.integers(0, windows.commit))
    reveal_end = commit_end + windows.guard + draw(st.integers(0, windows.reveal))
    times = deadlines(windows, 60, commit_end, reveal_end)._asdict()
    committed, admitted = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    outcome = draw(st.sampled_from([None, None, None, Phase.FINAL, Phase.VOID, Phase.DEFAULTED]))
    batch = draw(st.integers(0, committed))
    counts = {"batch_count": batch, "self_count": committed - batch, "admitted": admitted}
    round = Round(opened_at=opened, outcome=outcome, **times, **counts)
    view = RoundView(
        **(
            EMPTY
            | times
            | counts
            | {"opened_at": opened, "closed": outcome is not None}
            | {"phase": outcome or Phase.COMMIT}
        ),
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


@given(rounds(), st.integers(990, 1_040), st.integers(1, 4))
def test_openings_are_taken_from_the_first_reveal_until_the_stakes_can_be_slashed(
    pair: tuple[Round, RoundView], now: int, min_trainers: int
) -> None:
    """Exactly in REVEAL, and after it before tG: unless the round was void for want of commitments."""
    round, _ = pair
    open_round = Round(**{name: getattr(round, name) for name in (*SAME, "reveal_start", "rescue_end")})
    taken = takes_openings(round, now, min_trainers)
    assert taken == takes_openings(open_round, now, min_trainers), "whatever has been settled meanwhile"
    if phase_of(open_round, now, min_trainers) is Phase.REVEAL:
        assert taken
    if now < round.reveal_start or now >= round.rescue_end or round.committed < min_trainers:
        assert not taken


SAME = ("batch_count", "self_count", "admitted", "commit_end", "reveal_end", "settle_end")


def test_the_guard_lies_between_commit_and_reveal() -> None:
    round = Round(
        commit_end=10,
        reveal_start=12,
        reveal_end=20,
        rescue_end=22,
        acceptor_end=25,
        settle_end=30,
        batch_count=1,
        self_count=1,
        admitted=2,
    )
    found = [phase_of(round, now, 2) for now in (9, 10, 11, 12, 19, 20, 29, 30)]
    assert found == [
        Phase.COMMIT, Phase.GUARD, Phase.GUARD, Phase.REVEAL, Phase.REVEAL, Phase.SETTLE, Phase.SETTLE, Phase.DEFAULTED,
    ]  # fmt: skip
    turns = [next_deadline(round, now, 2) for now in (9, 10, 12, 20, 22, 25, 30)]
    assert turns == [10, 12, 20, 22, 25, 30, None]
    assert batch_end(round, 4) == 6
