"""Reliability of a trainer across projects: how much its credit outweighs its losses.

r = G / (G + B + 20,000), in basis points, rounded down: the mean of a beta distribution with a prior that a newcomer
starts below (A. Josang, R. Ismail, "The Beta Reputation System", 2002). G is the credit of the projects asked for, per
owner at most what alone gives a tenth; B are the losses in all projects, capped per owner too, so that no single owner
can make or break a trainer. Sums, so the order of events does not matter and nobody can hide credit from a loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cohort_protocol.errors import InvalidInput
from cohort_protocol.identifiers import parse_address
from cohort_protocol.standing.rule import FULL_WEIGHT

BASIS = 10_000
PRIOR = 20_000
MOST_CREDIT_PER_OWNER = 2_222
"""floor(2222 * 10,000 / (2222 + 20,000)) = 999 basis points: a tenth."""
MOST_LOSS_PER_OWNER = 30_000
REJECTION_LOSS = 10_000
NO_REVEAL_LOSS = 20_000


def rejection_loss(weight: int) -> int:
    """What a row rejected as hostile costs, in units of credit; `weight` of the project in 1/65536."""
    return REJECTION_LOSS * weight // FULL_WEIGHT


def no_reveal_loss(weight: int) -> int:
    """What a commitment that was never opened costs, in units of credit; `weight` of the project in 1/65536."""
    return NO_REVEAL_LOSS * weight // FULL_WEIGHT


def loss_after(of_owner: int, loss: int) -> int:
    """Losses through one owner after another one: at most 30,000 in all."""
    if of_owner < 0 or loss < 0:
        raise InvalidInput(f"losses of {of_owner} and {loss}: neither is negative")
    return max(of_owner, min(MOST_LOSS_PER_OWNER, of_owner + loss))


def reliability(credits: Iterable[tuple[str, int]], losses: int) -> int:
    """Basis points. `credits`: (owner, credit) of each project asked for; `losses`: B, in all projects."""
    by_owner: dict[str, int] = defaultdict(int)
    for owner, credit in credits:
        by_owner[parse_address(owner)] += credit
    gained = sum(min(MOST_CREDIT_PER_OWNER, credit) for credit in by_owner.values())
    return BASIS * gained // (gained + losses + PRIOR)


def standing_order(projects: Iterable[tuple[str, int]]) -> list[int]:
    """Project numbers in the order that `join` and `reliabilityOf` want. `projects`: (owner, number), any order."""
    return [number for _, number in sorted({(int(parse_address(owner), 16), number) for owner, number in projects})]
