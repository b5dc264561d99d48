"""The players of a round: rows that are long enough, clipped, with clones joined into one.

A player is the sum of its rows, each times its clip (at most 1). Its Gram matrix is exact: a player counts in units of
2^-30, as clips do, a public row in units of 2^-15, so that even a short one has a long norm. Entries are below 2^54 *
2^60 * 2^10 = 2^124 for two players of up to 32 rows, 2^70 * 2^30 * 2^5 * 2^15 = 2^120 for a player and a wide row,
2^86 * 2^30 = 2^116 for two wide rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohort_protocol.scoring.clones import Groups, clone_groups
from cohort_protocol.scoring.fixed_point import BASIS, ONE, median, norm
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.units import towards_zero, unit_gram

PUBLIC_BITS = 15
FRACTION = 20
"""Bits of norms of players and public rows, for `unit_gram`."""


@dataclass(frozen=True)
class Players:
    """Who plays, and the inner products of players and public rows."""

    groups: Groups
    """Rows of each player, by their place in the round; rows that are too short are in none."""
    clips: tuple[int, ...]
    """Of every row of the round: factor that clips its length, in units of 1/ONE; 0 for a zero row."""
    norms: tuple[int, ...]
    """Of every row, in units of 2^-16."""
    median_norm: int
    """Of the rows that are not zero; 0 if all are."""
    gram: tuple[tuple[int, ...], ...]
    """The players, in units of 2^-30 of an update, then the public rows, in units of 2^-15 of their own."""

    @property
    def count(self) -> int:
        return len(self.groups)


def form_players(gram: Gram, n: int, clip_bps: int, min_norm_bps: int, clone_bps: int) -> Players:
    """Applies the norm rules and joins clones. gram: (n + p) square, the updates first; thresholds in basis points of
    the median norm and of 1. Witnesses call it as well: the value row speaks of players."""
    norms = tuple(norm(gram[row][row]) for row in range(n))
    nonzero = [value for value in norms if value]
    # Zero rows have no say in the median: otherwise half the round could mute the rest by sending nothing.
    middle = median(nonzero) if nonzero else 0
    clips = tuple(min(ONE, clip_bps * middle * ONE // (BASIS * value)) if value else 0 for value in norms)
    rows = [row for row in range(n) if norms[row] and norms[row] * BASIS >= min_norm_bps * middle]
    places = clone_groups(unit_gram(gram, rows), clone_bps)
    groups = tuple(tuple(rows[place] for place in places_of_one) for places_of_one in places)
    return Players(groups, clips, norms, middle, _players_gram(gram, n, groups, clips))


def _players_gram(gram: Gram, n: int, groups: Groups, clips: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    public = range(n, len(gram))
    between = [
        [sum(clips[a] * clips[b] * gram[a][b] for a in first for b in second) for second in groups] for first in groups
    ]
    across = [[sum(clips[a] * gram[a][p] for a in group) << PUBLIC_BITS for p in public] for group in groups]
    top = [tuple(row + wide) for row, wide in zip(between, across, strict=True)]
    bottom = [
        tuple([row[k] for row in across] + [gram[p][q] << 2 * PUBLIC_BITS for q in public])
        for k, p in enumerate(public)
    ]
    return tuple(top + bottom)


def mean_products(players: Players, row: int, bits: int = 0) -> list[int]:
    """<r, mean of the player's clipped rows> per player, in units of 2^(bits - 45), below 2^(120 - bits), towards zero.
    row: index of r in `players.gram`."""
    return [towards_zero(players.gram[index][row], len(group) << bits) for index, group in enumerate(players.groups)]
