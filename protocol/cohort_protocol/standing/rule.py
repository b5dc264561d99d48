"""How a settled round changes a trainer's standing. Basis points; every division rounds down.

Reliability r (0 .. 10,000) of a newcomer is 0, so that a new identity never outranks an old one. An accepted row moves
it towards 10,000 by 5% of what is missing, in proportion to share x n up to 1: noise, which no filter flags, earns
next to nothing and so gains next to nothing. A rejected row takes 20% of it away.
Usefulness u (0 .. 40,000) is a moving average of share x n with weight 1/8.
"""

from __future__ import annotations

from cohort_protocol.chain.types import Standing
from cohort_protocol.errors import InvalidInput

BASIS = 10_000
GAIN = 500
"""alpha: part of the missing reliability that an average row earns, in basis points."""
LOSS = 2_000
"""Part of the reliability that a rejected row costs, in basis points."""
MOST_USEFULNESS = 40_000


def reliability_after(reliability: int, *, pay: int, rejected: bool, rows: int, distributable: int) -> int:
    """r after one row: r + floor(500 (10,000 - r) min(pay n, D) / (10,000 D)), or r - floor(r 2,000 / 10,000).

    `pay` and `distributable` (D) in base units, `rows` = n. Raises `InvalidInput`.
    """
    _check(pay, rows, distributable)
    if rejected:
        return reliability - reliability * LOSS // BASIS
    return reliability + GAIN * (BASIS - reliability) * min(pay * rows, distributable) // distributable // BASIS


def usefulness_after(usefulness: int, *, pay: int, rejected: bool, rows: int, distributable: int) -> int:
    """u after one row: floor((7 u + x) / 8) with x = min(40,000, floor(10,000 pay n / D)), 0 for a rejected row."""
    _check(pay, rows, distributable)
    earned = 0 if rejected else min(MOST_USEFULNESS, BASIS * pay * rows // distributable)
    return (7 * usefulness + earned) // 8


def next_standing(standing: Standing, *, pay: int, rejected: bool, rows: int, distributable: int) -> Standing:
    """The standing after one row of a settled round."""
    row = {"pay": pay, "rejected": rejected, "rows": rows, "distributable": distributable}
    return Standing(
        reliability=reliability_after(standing.reliability, **row),
        usefulness=usefulness_after(standing.usefulness, **row),
        rounds=standing.rounds + 1,
        rejections=standing.rejections + rejected,
    )


def _check(pay: int, rows: int, distributable: int) -> None:
    if rows < 1 or distributable < 1 or not 0 <= pay <= distributable:
        raise InvalidInput(
            f"pay {pay} of {distributable} among {rows} rows: expected 0 <= pay <= D, D >= 1 and at least one row"
        )
