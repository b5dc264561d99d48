"""Who earns what in a round. Integers, every division rounds down, so that the sum never exceeds what is there."""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import MAX_SLOTS

MAX_SCORE = 2**64 - 1

BASIS_POINTS = 10_000


def protocol_fee(round_budget: int, basis_points: int) -> int:
    """The protocol's part of a settled round's budget R, base units; `basis_points` fixed by the deployment."""
    if round_budget < 0 or not 0 <= basis_points <= BASIS_POINTS:
        raise InvalidInput(f"R {round_budget} >= 0 and 0 to 10,000 basis points, got {basis_points}")
    return round_budget * basis_points // BASIS_POINTS


def distributable(round_budget: int, aggregator_fee: int, protocol_fee: int) -> int:
    """D: what is left of R for the trainers after both fees, base units."""
    left = round_budget - aggregator_fee - protocol_fee
    if left < 0 or aggregator_fee < 0 or protocol_fee < 0:
        raise InvalidInput(f"fees of {aggregator_fee} and {protocol_fee} base units do not fit into R {round_budget}")
    return left


def pays(
    scores: Sequence[int],
    reasons: Sequence[int],
    distributable: int,
    score_floor: int,
    share_cap: int,
) -> list[int]:
    """Pay of each row of a settled round, in base units, in row order.

    With c the scores (fixed point, 2^30 = an average contribution), D = `distributable` (base units), S =
    `score_floor` and n the number of rows: floor(D * c_a / max(sum c, S)), at most floor(D * share_cap / n).

    Raises `InvalidInput` for lists of different length, for scores out of range, and for a rejected row (reason other
    than 0) with a score.
    """
    rows = len(scores)
    if rows != len(reasons) or not 0 < rows <= MAX_SLOTS:
        raise InvalidInput(f"{rows} scores and {len(reasons)} reasons: one of each per row, 1 to {MAX_SLOTS} rows")
    if distributable < 0 or score_floor < 1 or share_cap < 1:
        raise InvalidInput(f"D {distributable} >= 0, floor {score_floor} >= 1 and cap {share_cap} >= 1 must hold")
    for row, (score, reason) in enumerate(zip(scores, reasons, strict=True)):
        if not 0 <= score <= MAX_SCORE:
            raise InvalidInput(f"row {row} has score {score}, allowed is 0 .. 2^64 - 1")
        if reason and score:
            raise InvalidInput(f"row {row} is rejected (reason {reason}) and has score {score}, must be 0")
    total = max(sum(scores), score_floor)
    most = distributable * share_cap // rows
    return [min(distributable * score // total, most) for score in scores]


def undistributed(pay: Sequence[int], distributable: int) -> tuple[int, int]:
    """(back to free, burned) of what a settled round leaves of D: less than one base unit per row is rounding dust and
    goes back to the project, more is burned, so that an owner gains nothing by low scores."""
    left = distributable - sum(pay)
    if left < 0:
        raise InvalidInput(f"the pay adds up to {sum(pay)}, more than the {distributable} that the round distributes")
    return (left, 0) if left < len(pay) else (0, left)


def void_pay(distributable: int, slots: int) -> int:
    """Pay of each admitted row of a void round: a full slot's part of D. The rest returns to the project."""
    if distributable < 0 or not 0 < slots <= MAX_SLOTS:
        raise InvalidInput(f"D {distributable} >= 0 and 1 to {MAX_SLOTS} slots, got {slots}")
    return distributable // slots


def default_pay(distributable: int, admitted: int) -> int:
    """Pay of each admitted row of a round that nobody settled: an equal part of D. What the division leaves returns to
    the project; both fees are burned."""
    if distributable < 0 or not 0 < admitted <= MAX_SLOTS:
        raise InvalidInput(f"D {distributable} >= 0 and 1 to {MAX_SLOTS} admitted rows, got {admitted}")
    return distributable // admitted
