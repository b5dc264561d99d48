"""The phase of a round: twin of `contracts/src/rounds/RoundState.sol` (a test compares both on the same rounds)."""

from __future__ import annotations

from cohort_protocol.phases import Phase

from cohort_backend.rounds.models import Round


def phase_of(round: Round, now: int, min_trainers: int) -> Phase:
    """The phase at `now` (unix seconds). Half-open intervals."""
    if round.outcome is not None:
        return Phase(round.outcome)
    if now < round.commit_end:
        return Phase.COMMIT
    if round.committed < min_trainers:
        return Phase.VOID
    if now < round.reveal_start:
        return Phase.GUARD
    if now < round.reveal_end:
        return Phase.REVEAL
    if round.admitted < min_trainers:
        return Phase.VOID
    if now < round.settle_end:
        return Phase.SETTLE
    return Phase.DEFAULTED


def next_deadline(round: Round, now: int, min_trainers: int) -> int | None:
    """The next time (unix seconds) at which the phase changes by itself; None if it will not any more."""
    if phase_of(round, now, min_trainers).terminal:
        return None
    times = (round.commit_end, round.reveal_start, round.reveal_end, round.settle_end)
    return min((time for time in times if time > now), default=None)
