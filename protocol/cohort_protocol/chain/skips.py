"""Why the market passed over an entry of a call, mirrored from `contracts/src/types/Types.sol`."""

from __future__ import annotations

from enum import IntEnum


class LeafSkip(IntEnum):
    """Why one leaf of a batch was passed over when it was posted."""

    NONE = 0
    NOT_ELIGIBLE = 1
    """No such member, joined later, left, or without stake."""
    ALREADY_COMMITTED = 2
    """Has posted a commitment itself."""
    NO_COMMITMENT = 3
    """Zero."""
    NOT_SIGNED = 4
    """Neither by the trainer nor by its delegate."""
    NO_SLOT = 5


class SkipReason(IntEnum):
    """Why one opening of a call was passed over. The others are not affected."""

    NONE = 0
    ALREADY_RESOLVED = 1
    """Admitted, refused, rescued or slashed."""
    NOT_COMMITTED = 2
    WRONG_OPENING = 3
    NO_QUORUM = 4
    BAD_CID = 5
