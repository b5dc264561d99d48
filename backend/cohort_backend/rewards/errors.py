"""What can be wrong with rewards."""

from __future__ import annotations

from cohort_protocol.errors import CohortError, NotFound


class UnknownMember(NotFound):
    """The trainer never had a number in the project."""

    code = "unknown-member"


class PayoutRootDiffers(CohortError):
    """Our rows do not give the payout root on chain: our fault, never the trainer's."""

    code = "payout-root-differs"
