"""Updates that are nearly the same: groups that count as one player, and kinship that lowers pay by degrees.

Groups are those of complete linkage: two groups become one while every pair across them has a cosine above a limit and
neither has a closer group. Without ties that is the same as joining the most similar pair first (complete linkage is
reducible: Murtagh, The Computer Journal 26, 1983), and a set of rows that are all alike and like no others is one
group, which is how a contract sees most rounds at once. Ties are joined together, so that the result never depends on
the order of the rows.

Kinship catches what masks its likeness with noise. Honest updates have the direction of the round in common and little
else; what two of one origin have in common is more. k_ab is the cosine of a and b without their projections on the sum
of all others, and a player with relatives earns 1 / (1 + sum of ramp(k_ab)): k of a kind about as much as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

from cohort_protocol.scoring.fixed_point import BASIS, ONE, ONE_BITS
from cohort_protocol.scoring.units import NOTHING, UNIT, UNIT_BITS

Groups = tuple[tuple[int, ...], ...]


def clone_groups(units: Sequence[Sequence[int]], limit_bps: int) -> Groups:
    """Groups of rows, each in increasing order, ordered by their first row.

    units: inner products of rows at unit length, in units of 2^-40. limit_bps: the cosine that every pair of a group
    exceeds, in basis points."""
    limit = limit_bps * UNIT // BASIS
    groups: list[frozenset[int]] = [frozenset([row]) for row in range(len(units))]
    while len(groups) > 1:
        links = {
            (i, j): min(units[a][b] for a in groups[i] for b in groups[j]) for j in range(len(groups)) for i in range(j)
        }
        closest = [max(link for pair, link in links.items() if place in pair) for place in range(len(groups))]
        mutual = [(i, j) for (i, j), link in links.items() if limit < link == closest[i] == closest[j]]
        if not mutual:
            break
        groups = _joined(groups, mutual)
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def _joined(groups: list[frozenset[int]], pairs: Sequence[tuple[int, int]]) -> list[frozenset[int]]:
    """Groups with those of every pair in one."""
    where = list(range(len(groups)))
    for i, j in pairs:
        low, high = sorted((where[i], where[j]))
        where = [low if place == high else place for place in where]
    return [
        frozenset().union(*(group for group, place in zip(groups, where, strict=True) if place == label))
        for label in sorted(set(where))
    ]


def kinship(units: Sequence[Sequence[int]], agreements: Sequence[int]) -> list[list[int]]:
    """k_ab of every pair if positive, in units of 2^-30 and at most 1; 0 for others, on the diagonal, and everywhere
    among fewer than four.

    With O the square of the sum of the others and w their inner products with it, everything times O:
    k^2 = (W_ab O - w_a w_b)^2 / ((O - w_a^2) (O - w_b^2)). Looked at only where W_ab - w_a w_b / O exceeds 3/10 of the
    least that anybody has beyond the direction of all others, 1 - agreement^2: below, k is below 0.45 or next to it,
    and most pairs cost a contract little. Nothing is in common beyond others that cancel out, nor with rows of which
    less than 2^-20 is left. units: as above, at most 2^5 rows: sums of a row stay below 2^45, of all below 2^50,
    products of three below 2^91, k^2 before its division below 2^(182 + 60). agreements: in units of 2^-30."""
    n = len(units)
    result = [[0] * n for _ in range(n)]
    if n < 4:
        return result
    least = (ONE * ONE - max(value * value for value in agreements)) * 3 // 10 >> 2 * ONE_BITS - UNIT_BITS
    sums = [sum(row) - row[a] for a, row in enumerate(units)]
    everything = sum(sums) + n * UNIT
    for a in range(n):
        for b in range(a):
            with_a, with_b = sums[a] - units[a][b], sums[b] - units[a][b]
            others = everything - 2 * (sums[a] + sums[b] + UNIT - units[a][b])
            product = units[a][b] * others - with_a * with_b
            first, second = UNIT * others - with_a * with_a, UNIT * others - with_b * with_b
            there = others >= NOTHING and min(first, second) >= others * NOTHING
            if there and product > least * others:
                squared = (product * product << 2 * ONE_BITS) // (first * second)
                result[a][b] = result[b][a] = min(ONE, isqrt(squared))
    return result


def twins(kin: Sequence[Sequence[int]], limit_bps: int) -> list[bool]:
    """Whether a row has a relative of this kinship or more: rows of one origin that are kept just too far apart to be a
    group. limit_bps: in basis points of 1."""
    limit = limit_bps * ONE // BASIS
    return [max(row, default=0) >= limit for row in kin]


def kin_factors(kin: Sequence[Sequence[int]], from_bps: int, full_bps: int) -> list[int]:
    """1 / (1 + sum over the others of min(1, (k - from) / (full - from))) per row, in units of 1/ONE."""
    low, span = from_bps * ONE // BASIS, (full_bps - from_bps) * ONE // BASIS
    factors = []
    for a, row in enumerate(kin):
        relatives = sum(min(ONE, (value - low) * ONE // span) for b, value in enumerate(row) if b != a and value > low)
        factors.append(ONE * ONE // (ONE + relatives))
    return factors
