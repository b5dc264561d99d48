"""Updates that are nearly the same: groups that count as one player, and kinship that lowers pay by degrees.

Groups are those of complete linkage: two groups become one while every pair across them has a cosine above a limit,
the most similar first. Ties are joined together, so that the result never depends on the order of the rows.

Kinship catches what masks its likeness with noise. Honest updates have the direction of the round in common and little
else; what two of one origin have in common is more. k_ab is the cosine of a and b without their projections on the sum
of all others, and a player with relatives earns 1 / (1 + sum of ramp(k_ab)): k of a kind about as much as one.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.scoring.fixed_point import BASIS, ONE
from cohort_protocol.scoring.units import NOTHING, UNIT, cosine_of, towards_zero

Groups = tuple[tuple[int, ...], ...]


def clone_groups(units: Sequence[Sequence[int]], limit_bps: int) -> Groups:
    """Groups of rows, each in increasing order, ordered by their first row.

    units: inner products of rows at unit length, in units of 2^-60. limit_bps: the cosine that every pair of a group
    exceeds, in basis points. Rows that tie exactly for the next join are joined together."""
    limit = limit_bps * UNIT // BASIS
    groups: list[frozenset[int]] = [frozenset([row]) for row in range(len(units))]
    while len(groups) > 1:
        links = {
            (i, j): min(units[a][b] for a in groups[i] for b in groups[j]) for j in range(len(groups)) for i in range(j)
        }
        closest = max(links.values())
        if closest <= limit:
            break
        groups = _joined(groups, [pair for pair, link in links.items() if link == closest])
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


def kinship(units: Sequence[Sequence[int]]) -> list[list[int]]:
    """k_ab of every pair in units of 2^-30; 0 on the diagonal, and everywhere among fewer than four.

    units: as above, at most 2^5 rows: sums of a row stay below 2^65, of all below 2^70."""
    n = len(units)
    result = [[0] * n for _ in range(n)]
    if n < 4:
        return result
    sums = [sum(row) for row in units]
    everything = sum(sums)
    for a in range(n):
        for b in range(a):
            with_a, with_b = sums[a] - units[a][a] - units[a][b], sums[b] - units[b][b] - units[a][b]
            others = everything - 2 * sums[a] - 2 * sums[b] + units[a][a] + units[b][b] + 2 * units[a][b]
            product, first, second = units[a][b], units[a][a], units[b][b]
            if others >= NOTHING:
                product -= towards_zero(with_a * with_b, others)
                first -= with_a * with_a // others
                second -= with_b * with_b // others
            if first >= NOTHING and second >= NOTHING:
                result[a][b] = result[b][a] = cosine_of(product, first, second)
    return result


def kin_factors(kin: Sequence[Sequence[int]], from_bps: int, full_bps: int) -> list[int]:
    """1 / (1 + sum over the others of min(1, (k - from) / (full - from))) per row, in units of 1/ONE."""
    low, span = from_bps * ONE // BASIS, (full_bps - from_bps) * ONE // BASIS
    factors = []
    for a, row in enumerate(kin):
        relatives = sum(min(ONE, (value - low) * ONE // span) for b, value in enumerate(row) if b != a and value > low)
        factors.append(ONE * ONE // (ONE + relatives))
    return factors
