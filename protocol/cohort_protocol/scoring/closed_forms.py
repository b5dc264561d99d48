"""Shapley values in closed form, for the utility of a coalition that is quadratic in the mean of its updates.

With v(S) = s(S) - Q(S)/2, s(S) the mean of s_a over S and Q(S) the mean of K_ab over S x S, v(nobody) = 0, the Shapley
value of player a (Shapley, 1953; the sums were checked by enumeration, tests/protocol/scoring) is LS(s)_a - QS(K)_a/2:

    LS(s)_a = (1/n) [s_a + (H_n - 1) (s_a - mean of the others)]
    QS(K)_a = (1/n) [A K_aa + B p_a - C1 D_a - C2 P_a]

    A = sum_{j=1..n} 1/j^2, and for k = 1 .. n-1:
    B = sum 2k/(k+1)^2, C1 = sum (2k+1)/(k(k+1)^2), C2 = sum (2k+1)(k-1)/(k(k+1)^2)

p_a is the mean of K_ab over b != a, D_a and P_a the mean diagonal and the mean off-diagonal entry of K without a.

Fixed point. The coefficients are floors in units of 2^-40 (below 2^43 for n <= 2^5; summed exactly as fractions first).
Values are integers of any unit with |s| < 2^100 and |K| < 2^200: a product with a coefficient is below 2^243 and the
sum of four below 2^245. Every mean is rounded towards zero once, every result once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from cohort_protocol.scoring.units import towards_zero

COEFFICIENT_BITS = 40
MAX_PLAYERS = 32
FLAT = 1000
"""Curvature below 1/FLAT of the slope does not count."""


@lru_cache(maxsize=MAX_PLAYERS)
def coefficients(n: int) -> tuple[int, int, int, int, int]:
    """(H_n - 1, A, B, C1, C2) in units of 2^-40, rounded down. n >= 1."""
    steps = range(1, n)
    exact = (
        sum((Fraction(1, j) for j in range(2, n + 1)), Fraction(0)),
        sum((Fraction(1, j * j) for j in range(1, n + 1)), Fraction(0)),
        sum((Fraction(2 * k, (k + 1) ** 2) for k in steps), Fraction(0)),
        sum((Fraction(2 * k + 1, k * (k + 1) ** 2) for k in steps), Fraction(0)),
        sum((Fraction((2 * k + 1) * (k - 1), k * (k + 1) ** 2) for k in steps), Fraction(0)),
    )
    h, a, b, c1, c2 = (int(value * 2**COEFFICIENT_BITS) for value in exact)
    return h, a, b, c1, c2


def linear_values(slopes: Sequence[int]) -> list[int]:
    """LS(s) in the unit of s. slopes: s_a, |s_a| < 2^100."""
    n = len(slopes)
    h = coefficients(n)[0]
    total = sum(slopes)
    result = []
    for own in slopes:
        others = towards_zero(total - own, n - 1) if n > 1 else 0
        result.append(towards_zero((own << COEFFICIENT_BITS) + h * (own - others), n << COEFFICIENT_BITS))
    return result


def quadratic_values(matrix: Sequence[Sequence[int]]) -> list[int]:
    """QS(K) in the unit of K. matrix: K, symmetric, |K_ab| < 2^200."""
    n = len(matrix)
    _, a, b, c1, c2 = coefficients(n)
    diagonal = [matrix[i][i] for i in range(n)]
    off = [sum(row) - row[i] for i, row in enumerate(matrix)]
    traces, pairs = sum(diagonal), sum(off)
    result = []
    for i in range(n):
        value = a * diagonal[i]
        if n > 1:
            value += b * towards_zero(off[i], n - 1) - c1 * towards_zero(traces - diagonal[i], n - 1)
        if n > 2:
            value -= c2 * towards_zero(pairs - 2 * off[i], (n - 1) * (n - 2))
        result.append(towards_zero(value, n << COEFFICIENT_BITS))
    return result


def curved_values(slopes: Sequence[int], bends: Sequence[int]) -> list[int]:
    """x = LS(s) - min(1, mean s / mean h) QS(h h^T / mean h)/2 in the unit of s; LS(s) alone if mean s <= 0, mean h <=
    |mean s|/1000, or with fewer than three players.

    slopes: s_a = -<g0, u_a>; bends: h_a = <u_a, g1 - g0>, in one unit, |s|, |h| < 2^90 (the curvature of the loss along
    the round's mean step, as in a secant method)."""
    n = len(slopes)
    linear = linear_values(slopes)
    slope, bend = sum(slopes), sum(bends)
    if n < 3 or slope <= 0 or bend * FLAT <= slope:
        return linear
    products = [[first * second for second in bends] for first in bends]
    # QS(h h^T) is below 2^190; mean h is bend/n, and min(1, mean s / mean h) is slope/bend where that is below 1.
    bent = quadratic_values(products)
    return [
        straight - towards_zero(_shrunk(towards_zero(value * n, bend), slope, bend), 2)
        for straight, value in zip(linear, bent, strict=True)
    ]


def class_values(slopes: Sequence[int], bends: Sequence[Sequence[int]]) -> list[int]:
    """The same with the curvature of each class of examples on its own, K = sum over classes of h_c h_c^T / mean h_c,
    which tells apart trainers of different classes. bends: one list per class; those whose mean is not positive, or at
    most 1/1000 of mean s, are left out."""
    n = len(slopes)
    slope, bend = sum(slopes), sum(sum(part) for part in bends)
    linear = linear_values(slopes)
    if n < 3 or slope <= 0 or bend * FLAT <= slope:
        return linear
    result = list(linear)
    for part in bends:
        own = sum(part)
        if own * FLAT <= slope:
            continue
        bent = quadratic_values([[first * second for second in part] for first in part])
        for i, value in enumerate(bent):
            result[i] -= towards_zero(_shrunk(towards_zero(value * n, own), slope, bend), 2)
    return result


def _shrunk(value: int, slope: int, bend: int) -> int:
    """value times min(1, slope / bend)."""
    return value if slope >= bend else towards_zero(value * slope, bend)
