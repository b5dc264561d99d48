"""Standing of a trainer, in a project and across them: exact twin of `contracts/src/standing/`."""

from cohort_protocol.standing.reliability import (
    loss_after,
    no_reveal_loss,
    rejection_loss,
    reliability,
    standing_order,
)
from cohort_protocol.standing.rule import next_record, standing_weight

__all__ = [
    "loss_after",
    "next_record",
    "no_reveal_loss",
    "rejection_loss",
    "reliability",
    "standing_order",
    "standing_weight",
]
