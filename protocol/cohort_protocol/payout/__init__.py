"""Pay of a round and the payout tree: exact twins of the market contract (`contracts/src/payouts/`).

The contract computes both on chain; these let anyone check it, and let a trainer build the proof of a claim.
"""

from cohort_protocol.payout.shares import default_pay, distributable, pays, protocol_fee, undistributed, void_pay
from cohort_protocol.payout.tree import PayoutTree, payout_leaf, verify_proof

__all__ = [
    "PayoutTree",
    "default_pay",
    "distributable",
    "payout_leaf",
    "pays",
    "protocol_fee",
    "undistributed",
    "verify_proof",
    "void_pay",
]
