"""The players of a round: rows that are long enough, clipped, with clones joined into one.

What a player sends is the mean of its rows, each times its clip (at most 1): that is what enters the model, and what
value rows speak of. Its direction, for everything that compares players, is the sum of its rows at unit length.

Inner products of players are exact: a player counts in units of 2^-30, as clips do. Entries are below 2^54 * 2^60 *
2^10 = 2^124 for two players of up to 32 rows, 2^70 * 2^30 * 2^5 = 2^105 for a player and a wide row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from cohort_protocol.scoring.clones import Groups, clone_groups
from cohort_protocol.scoring.fixed_point import BASIS, ONE, median
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.units import UNIT, UNIT_BITS, coordinates, length, towards_zero, unit_gram


@dataclass(frozen=True)
class Players:
    """Who plays, and the inner products of players and public rows."""

    groups: Groups
    """Rows of each player, by their place in the round; rows that are too short are in none."""
    clips: tuple[int, ...]
    """Of every row of the round: factor that clips its length, in units of 1/ONE; 0 for a zero row."""
    norms: tuple[int, ...]
    """Of every row, in units of 2^-32."""
    median_norm: int
    """Of the rows that are not zero; 0 if all are."""
    gram: tuple[tuple[int, ...], ...]
    """Of the sums of clipped rows: the players, in units of 2^-60, then the public rows, in units of 2^-30. One row per
    player."""
    units: tuple[tuple[int, ...], ...]
    """Cosines of the players, in units of 2^-40."""
    sizes: tuple[int, ...]
    """Length of the sum of each player's rows at unit length, in units of 2^-40; exactly 2^40 for a single row."""

    @property
    def count(self) -> int:
        return len(self.groups)


def form_players(gram: Gram, n: int, clip_bps: int, min_norm_bps: int, clone_bps: int) -> Players:
    """Applies the norm rules and joins clones. gram: (n + p) square, the updates first; thresholds in basis points of
    the median norm and of 1. Witnesses call it as well: the value row speaks of players."""
    norms = tuple(length(gram[row][row]) for row in range(n))
    nonzero = [value for value in norms if value]
    # Zero rows have no say in the median: otherwise half the round could mute the rest by sending nothing.
    middle = median(nonzero) if nonzero else 0
    clips = tuple(min(ONE, clip_bps * middle * ONE // (BASIS * value)) if value else 0 for value in norms)
    rows = [row for row in range(n) if norms[row] and norms[row] * BASIS >= min_norm_bps * middle]
    units = unit_gram(gram, rows)
    places = clone_groups(units, clone_bps)
    groups = tuple(tuple(rows[place] for place in places_of_one) for places_of_one in places)
    together, sizes = _joined_units(units, places)
    return Players(groups, clips, norms, middle, _players_gram(gram, n, groups, clips), together, sizes)


def _joined_units(
    units: Sequence[Sequence[int]], places: Groups
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """(units, sizes) of the players. Sums of 2^10 cosines stay below 2^50, times the square of a unit below 2^130."""
    sizes = tuple(isqrt(sum(units[a][b] for a in one for b in one) << UNIT_BITS) for one in places)
    rows = []
    for i, first in enumerate(places):
        sums = [sum(units[a][b] for a in first for b in second) for second in places]
        rows.append(
            tuple(
                UNIT if i == j else towards_zero(value << 2 * UNIT_BITS, sizes[i] * sizes[j])
                for j, value in enumerate(sums)
            )
        )
    return tuple(rows), sizes


def player_coordinates(players: Players, gram: Gram, basis: Sequence[int]) -> list[list[int]]:
    """Coordinates of every player in what the public rows `basis` span, in units of 2^-30: those of the sum of its
    rows, over its size. gram: as for `form_players`; basis: indices of rows of it, at most six."""
    rows = [row for group in players.groups for row in group]
    units = unit_gram(gram, [*basis, *rows])
    of_row = dict(zip(rows, coordinates(units, len(basis)), strict=True))
    found = []
    for group, size in zip(players.groups, players.sizes, strict=True):
        sums = [sum(column) for column in zip(*(of_row[row] for row in group), strict=True)]
        found.append([towards_zero(value << UNIT_BITS, size) for value in sums])
    return found


def _players_gram(gram: Gram, n: int, groups: Groups, clips: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    between = [
        [sum(clips[a] * clips[b] * gram[a][b] for a in first for b in second) for second in groups] for first in groups
    ]
    across = [[sum(clips[a] * gram[a][p] for a in group) for p in range(n, len(gram))] for group in groups]
    return tuple(tuple(row + wide) for row, wide in zip(between, across, strict=True))


def mean_products(players: Players, row: int, bits: int = 0) -> list[int]:
    """<r, mean of the player's clipped rows> per player, in units of 2^(bits - 30), below 2^(105 - bits), towards zero.
    row: index of r in `players.gram`."""
    return [
        towards_zero(products[row], len(group) << bits)
        for products, group in zip(players.gram, players.groups, strict=True)
    ]
