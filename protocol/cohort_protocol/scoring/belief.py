"""From evidence to a contribution: how far a measured value is believed, and what it earns.

A batch of 128 examples says a lot in the first rounds and little in the last, when the model errs on a handful of
them. Two halves of the batch show by how much: with D_a the difference between the value on the first half and on the
whole, belief is l = max(0, belief - doubt * sum D^2 / sum x^2). What the batch cannot say the other updates do:

    z_a = l clip(x_a / mean |x|, -cap, cap) + (1 - l) min(pi_cap, pi_a)
    f(z) = 0 for z <= -w, (z + w)^2 / 4w for |z| < w, else z

pi is the peer score. f pays a little around nothing, because the sign of a small value is noise (docs/decisions/0015);
less of it to suspects, whom the batch finds no value in and the model does better without.
Ranges: |x| < 2^120, |D| < 2^121; everything after the first division is clamped to 2^40 in units of 2^-30.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

from cohort_protocol.scoring.fixed_point import BASIS, ONE, median
from cohort_protocol.scoring.gates import Gate
from cohort_protocol.scoring.units import NOTHING, UNIT_BITS, cosine_of, towards_zero

LOWEST = -(1 << 40)
HIGHEST = 1 << 40

COMPANY_BITS = 75
"""UNIT_BITS, and the fraction bits of 1 / |u~|."""
COSINE_SHIFT = 2 * COMPANY_BITS - 2 * UNIT_BITS + UNIT_BITS - 15
MOST_COSINE = (1 << 15) - 1
"""A cosine in 15 bits: 32 of them are compared in two words on chain."""


@dataclass(frozen=True)
class Shape:
    """The constants above, in basis points."""

    belief_bps: int
    doubt_bps: int
    value_cap_bps: int
    peer_cap_bps: int
    width_bps: int
    suspect_width_bps: int


@dataclass(frozen=True)
class Standings:
    """What values say of each player, in units of 1/ONE."""

    values: tuple[int, ...]
    """x / mean |x|, not clipped but for +-2^40."""
    belief: int
    """l, the same for all."""
    blended: tuple[int, ...]
    """z."""
    earned: tuple[int, ...]
    """f(z)."""


def agreements(units: Sequence[Sequence[int]]) -> list[int]:
    """cos(u_a, sum of the others at equal length) per player, in units of 1/ONE; ONE for a lone one.

    units: inner products at unit length, in units of 2^-40, n <= 2^5."""
    if len(units) == 1:
        return [ONE]
    sums = [sum(row) for row in units]
    everything = sum(sums)
    return [cosine_of(sums[a] - row[a], row[a], everything - 2 * sums[a] + row[a]) for a, row in enumerate(units)]


def relative(values: Sequence[int], reference: Sequence[int]) -> list[int]:
    """values / mean |reference| in units of 1/ONE, towards zero, clamped to +-2^40; zeros if the reference is zero."""
    total = sum(abs(value) for value in reference)
    if total == 0:
        return [0] * len(values)
    scale = ONE * len(reference)
    return [max(LOWEST, min(HIGHEST, towards_zero(value * scale, total))) for value in values]


def standings(
    values: Sequence[int], doubts: Sequence[int], peers: Sequence[int], suspects: Sequence[bool], shape: Shape
) -> Standings:
    """values: x; doubts: D (zeros: none); both in one unit, below 2^121. peers: pi in units of 1/ONE. suspects: whose
    width is the smaller one."""
    own = relative(values, values)
    noise = relative(doubts, values)
    squares = sum(value * value for value in own)
    belief = 0
    if squares:
        believed = shape.belief_bps * squares - shape.doubt_bps * sum(value * value for value in noise)
        belief = max(0, believed) * ONE // (BASIS * squares)
    high, low = shape.value_cap_bps * ONE // BASIS, -3 * shape.value_cap_bps * ONE // BASIS
    most = shape.peer_cap_bps * ONE // BASIS
    blended = [
        towards_zero(belief * max(low, min(high, value)) + (ONE - belief) * min(most, peer), ONE)
        for value, peer in zip(own, peers, strict=True)
    ]
    widths = [(shape.suspect_width_bps if each else shape.width_bps) * ONE // BASIS for each in suspects]
    earned = tuple(soft_floor(value, width) for value, width in zip(blended, widths, strict=True))
    return Standings(tuple(own), belief, tuple(blended), earned)


def peer_standings(peers: Sequence[int]) -> Standings:
    """Of a round without a batch: what the others say is all there is. peers: pi in units of 1/ONE."""
    return Standings((0,) * len(peers), 0, tuple(peers), tuple(peers))


def soft_floor(value: int, width: int) -> int:
    """f(z) in units of 1/ONE. width: w > 0."""
    if value <= -width:
        return 0
    if value >= width:
        return value
    return (value + width) ** 2 // (4 * width)


def ramp_gate(values: Sequence[int], from_bps: int, full_bps: int) -> Gate:
    """min(1, max(0, (x - from m) / (full m - from m))) with m the median of x >= 0, per value. With a median of 0 the
    limit of that: 1 for x > 0, and 0 for x = 0, so that a majority of replays does not open the gate."""
    middle = median(values)
    if middle == 0:
        return Gate(tuple(values), 0, tuple(ONE if value else 0 for value in values))
    span = (full_bps - from_bps) * middle
    factors = tuple(min(ONE, max(0, BASIS * value - from_bps * middle) * ONE // span) for value in values)
    return Gate(tuple(values), full_bps * middle // BASIS, factors)


def company_cosines(left: Sequence[Sequence[int]]) -> list[list[int]]:
    """|cos(u~_a, u~_b)| of every player a with all others in their order, in units of 2^-15 and below 1.

    left: inner products of what is new, in units of 2^-40 and below 2^43; a row of zeros has nothing in common.
    1 / |u~| is at most 2^45 in units of 2^-35, so that a cosine before its shift stays below 2^133."""
    inverse = [
        (1 << COMPANY_BITS) // isqrt(row[a] << UNIT_BITS) if row[a] >= NOTHING else 0 for a, row in enumerate(left)
    ]
    return [
        [
            min(MOST_COSINE, abs(value) * inverse[a] * inverse[b] >> COSINE_SHIFT)
            for b, value in enumerate(row)
            if b != a
        ]
        for a, row in enumerate(left)
    ]


def company_rank(others: int) -> int:
    """r: company is the r-th largest of a player's cosines with so many others, at least one.

    (2 n + 1) // 5 among n players: up to two fifths of them see at most r - 1 of their own kind, so that they cannot be
    each other's company. The median would stand against a half; but late in training so few honest players are alike
    that it is close to what noise has."""
    return (2 * others + 3) // 5


def company_cosine(row: Sequence[int]) -> int:
    """The r-th largest of a player's cosines with all others, r = `company_rank`. row: at least one, in any unit."""
    return sorted(row)[-company_rank(len(row))]


def company(cosines: Sequence[Sequence[int]]) -> list[int]:
    """kappa_a = the r-th largest cos^2(u~_a, u~_b) over b != a, r = `company_rank`, in units of 1/ONE; ONE for a lone
    player. cosines: in units of 2^-15, of every player with all others."""
    return [company_cosine(row) ** 2 if row else ONE for row in cosines]


def capped(scores: Sequence[int], parts_bps: int, equal: int) -> list[int]:
    """Scores with none above parts / equal of their sum: the share cap of a player, who may be several clones.

    Once, from the sum as it was. What is cut off goes to all in proportion to their scores, so that whoever is capped
    gets somewhat more than that part of the pay. parts_bps: in basis points of an equal share; equal: number of equal
    shares."""
    most = sum(scores) * parts_bps // (BASIS * equal)
    return [min(value, most) for value in scores]
