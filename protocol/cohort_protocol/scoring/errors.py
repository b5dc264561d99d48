"""The errors of scoring."""

from __future__ import annotations

from cohort_protocol.errors import InvalidInput, NotFound, Unavailable


class ScoringInputInvalid(InvalidInput):
    """Rows, weights or a Gram matrix of a shape, type or range that no round can have."""

    code = "scoring-input-invalid"


class NeedsFullUpdates(ScoringInputInvalid):
    """A policy that works coordinate by coordinate was asked to judge by a Gram matrix alone."""

    code = "needs-full-updates"


class UnknownPolicy(NotFound):
    """No policy of this name. The message lists those that exist: nothing falls back to a default."""

    code = "unknown-policy"


class PolicyParametersInvalid(InvalidInput):
    """A policy was given a parameter it does not have, or a value out of its range."""

    code = "policy-parameters-invalid"


class RowUnreadable(Unavailable):
    """A row could not be read from this machine's disk. Nobody's update is at fault."""

    code = "row-unreadable"


class KernelUnavailable(Unavailable):
    """A kernel that was asked for cannot run here. Another gives the same result."""

    code = "kernel-unavailable"


class PolicyNeedsUnmet(InvalidInput):
    """A policy needs what the project does not give it, or cannot settle a round at all."""

    code = "policy-needs-unmet"
