"""Errors of the chain's record in the database."""

from __future__ import annotations

from cohort_protocol.errors import CohortError, Conflict, NotFound


class OtherMarket(Conflict):
    """This database serves another chain or another market contract."""

    code = "other-market"


class OutOfOrder(CohortError):
    """An event comes before one that is stored already. Rewind first."""

    code = "event-out-of-order"


class NotIndexed(NotFound):
    """Nothing has been read from the chain yet."""

    code = "not-indexed"


class ForkTooDeep(CohortError):
    """The block to rewind to is not among those remembered."""

    code = "fork-too-deep"


class EventUnknown(CohortError):
    """A stored event cannot be read by this version: rebuild the database from the chain."""

    code = "event-unknown"
