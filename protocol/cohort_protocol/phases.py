"""The phases of a round, mirrored from `contracts/src/types/Types.sol` (a test compares the two)."""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """A round's phase: a pure function of contract storage and time (half-open intervals)."""

    NONE = 0
    """No such round."""
    COMMIT = 1
    """[opened, tC): trainers commit."""
    GUARD = 2
    """[tC, tC + g): nobody may commit or reveal; lets the commit phase become final on chain."""
    REVEAL = 3
    """[tC + g, tR): trainers reveal, witnesses sign receipts."""
    SETTLE = 4
    """[tR, tF): an aggregator settles."""
    FINAL = 5
    """Settled. Pay is claimable."""
    VOID = 6
    """Too few commits or reveals: whoever revealed gets a full slot's pay, the rest returns to the project."""
    DEFAULTED = 7
    """Nobody settled before tF: the admitted share the whole budget equally."""

    @property
    def terminal(self) -> bool:
        return self >= Phase.FINAL
