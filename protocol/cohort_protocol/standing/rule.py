"""How a settled round changes a trainer's record in its project. Every division rounds down.

Credit (at most 2^24 - 1): an accepted row with an average share or more earns 1,000, less in proportion; noise, which
no filter flags, earns next to nothing. It counts as far as the project's protocol fee does: a fee in a token that the
deployment does not list costs its owner nothing, and earns nobody anything.
Usefulness (basis points, 0 .. 40,000) is a moving average of share x n with weight 1/8.
"""

from __future__ import annotations

from cohort_protocol.chain.types import Record
from cohort_protocol.errors import InvalidInput

BASIS = 10_000
FULL_CREDIT = 1_000
"""Of one round with an average share or more."""
FULL_WEIGHT = 65_536
"""Standing weight of a project whose fee is F0 or more."""
MOST_CREDIT = 2**24 - 1
MOST_USEFULNESS = 40_000
MOST_ROUNDS = 2**16 - 1
MOST_REJECTIONS = 2**7 - 1


def standing_weight(protocol_fee: int, full_fee: int) -> int:
    """The part of the full gain that a project's protocol fee per round earns, in 1/65536.

    full_fee: F0 of the project's token in the deployment's list, base units; 0 if the token is not listed.
    """
    if full_fee <= 0:
        return 0
    return min(FULL_WEIGHT, FULL_WEIGHT * protocol_fee // full_fee)


def next_record(record: Record, *, pay: int, rejected: bool, rows: int, distributable: int, weight: int) -> Record:
    """The record after one row of a settled round.

    `pay` and `distributable` (D > 0) in base units, `rows` = n, `weight` of the project (`standing_weight`). Credit
    rises by floor(floor(1000 min(pay n, D) w / D) / 65536) unless rejected; usefulness becomes floor((7 u + x) / 8)
    with x = min(40,000, floor(10,000 pay n / D)), 0 if rejected. Raises `InvalidInput`.
    """
    if rows < 1 or distributable < 1 or not 0 <= pay <= distributable or not 0 <= weight <= FULL_WEIGHT:
        raise InvalidInput(
            f"pay {pay} of {distributable} among {rows} rows with weight {weight}: expected 0 <= pay <= D, D >= 1, at "
            f"least one row and a weight of 0 .. {FULL_WEIGHT}"
        )
    earned = 0 if rejected else min(MOST_USEFULNESS, BASIS * pay * rows // distributable)
    share = 0 if rejected else min(pay * rows, distributable)
    return Record(
        credit=min(MOST_CREDIT, record.credit + FULL_CREDIT * share * weight // distributable // FULL_WEIGHT),
        usefulness=(7 * record.usefulness + earned) // 8,
        rounds=min(MOST_ROUNDS, record.rounds + 1),
        rejections=min(MOST_REJECTIONS, record.rejections + rejected),
    )
