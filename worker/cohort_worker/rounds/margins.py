"""How long before a deadline we stop waiting for the rest. Pure functions of the window's length.

Everything is done early when everybody has acted; these times matter only when somebody is missing. A transaction
needs a few seconds to be mined, hence the lower bounds; a long window should not be cut short by much, hence the
upper ones. Trainers who post a commitment themselves do so after `batch_due`, witnesses sign for an incomplete set of
reveals from `partial_receipts_due`, so that their receipts are here by `reveals_due`.

Times and windows in unix seconds.
"""

from __future__ import annotations


def batch_due(opened_at: int, commit_end: int) -> int:
    """When the batch is posted with whatever commitments there are: a quarter of the window before tC, 2 s to 2 min."""
    return commit_end - _part(commit_end - opened_at, 4, 2, 120)


def partial_receipts_due(reveal_start: int, reveal_end: int) -> int:
    """When witnesses sign for an incomplete set of reveals: half the window before tR, 4 s to 10 min."""
    return reveal_end - _part(reveal_end - reveal_start, 2, 4, 600)


def reveals_due(reveal_start: int, reveal_end: int) -> int:
    """When reveals with a quorum are posted although others lack one: a quarter of the window before tR, 2 to 120 s."""
    return reveal_end - _part(reveal_end - reveal_start, 4, 2, 120)


def batch_awaited_until(reveal_start: int, reveal_end: int) -> int:
    """Until when reveals that would end the phase are held back for the owner's validation batch: half the window
    before tR, 4 s to 10 min."""
    return partial_receipts_due(reveal_start, reveal_end)


def rows_due(reveal_end: int, acceptor_end: int) -> int:
    """Until when public rows of a revealed batch may come; then the round is judged without: half of the time from tR
    to tS before tS, 5 s to 15 min."""
    return acceptor_end - _part(acceptor_end - reveal_end, 2, 5, 900)


def receipts_awaited_until(ready_at: int, deadline: int, wait: int) -> int:
    """Until when a finished proof waits for receipts for the next model: `wait` seconds, and never more than half of
    the time that is left to settle."""
    return ready_at + min(wait, max(0, deadline - ready_at) // 2)


def _part(window: int, fraction: int, shortest: int, longest: int) -> int:
    """1/fraction of the window within the bounds, and never more than the window."""
    return min(window, max(shortest, min(longest, window // fraction)))
