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
    """The next time (unix seconds) at which somebody's turn begins or ends: the phase changes by itself, or within
    SETTLE commitments can be slashed (tG) or other aggregators may settle (tS). None if nothing will any more."""
    if phase_of(round, now, min_trainers).terminal:
        return None
    times = (
        round.commit_end,
        round.reveal_start,
        round.reveal_end,
        round.rescue_end,
        round.acceptor_end,
        round.settle_end,
    )
    return min((time for time in times if time > now), default=None)


def batch_end(round: Round, self_commit_seconds: int) -> int:
    """Unix seconds before which the batch has to be on chain: the last part of the commit phase is for trainers."""
    return round.commit_end - self_commit_seconds


def takes_openings(round: Round, now: int, min_trainers: int) -> bool:
    """Whether a commitment can still be opened: for a row before tR, to save the stake before tG."""
    return round.committed >= min_trainers and round.reveal_start <= now < round.rescue_end
