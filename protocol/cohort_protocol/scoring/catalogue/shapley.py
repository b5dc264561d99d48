"""Contribution scores that run models: exact Shapley values, leave-one-out, GTG-Shapley. For reports and spot checks.

They see a game of n trainers through a `UtilityFunction` and nothing else. Its values are integers (right answers, or
loss in a fixed unit), so that sums are exact and the axioms hold exactly.

Shapley, "A value for n-person games", 1953. Liu, Chen, Yu, Liu, Cui, "GTG-Shapley: efficient and accurate participant
contribution evaluation in federated learning", ACM TIST 13, 2022. Cook, "Detection of influential observation in linear
regression", Technometrics 1977 (leave-one-out).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from random import Random

from cohort_protocol.scoring.errors import ScoringInputInvalid

UtilityFunction = Callable[[frozenset[int]], int]
"""Value of a coalition of rows 0 .. n - 1, larger is better, in any fixed unit; of the empty one too."""

MAX_EXACT = 12
"""Exact values take 2^n evaluations."""


def exact_shapley(utility: UtilityFunction, n: int) -> list[Fraction]:
    """phi_a = sum over S without a of |S|! (n - |S| - 1)! / n! (V(S + a) - V(S)); evaluates each coalition once.

    1 <= n <= 12. Raises `ScoringInputInvalid`."""
    _check_count(n, MAX_EXACT, "exact Shapley values evaluate 2^n coalitions; use gtg_shapley for more")
    values = [utility(frozenset(row for row in range(n) if coalition >> row & 1)) for coalition in range(1 << n)]
    factors = [factorial(size) * factorial(n - size - 1) for size in range(n)]
    totals = [0] * n
    for coalition, value in enumerate(values):
        size = coalition.bit_count()
        for row in range(n):
            if coalition >> row & 1:
                totals[row] += factors[size - 1] * value
            else:
                totals[row] -= factors[size] * value
    return [Fraction(total, factorial(n)) for total in totals]


def leave_one_out(utility: UtilityFunction, n: int) -> list[int]:
    """V(all) - V(all but a): n + 1 evaluations. Two equal rows that matter together both get nothing."""
    _check_count(n, None, "")
    everybody = frozenset(range(n))
    whole = utility(everybody)
    return [whole - utility(everybody - {row}) for row in range(n)]


@dataclass(frozen=True)
class GtgSettings:
    """Truncation and convergence, in the utility's unit where not said otherwise."""

    between_rounds: int = 0
    """A round that changes the utility by no more than this is worth nothing to anybody."""
    within_round: int = 0
    """A permutation stops where the utility is closer than this to that of all; 0: never."""
    most_permutations: int = 1_000
    patience: int = 10
    """Converged when the estimates of this many sweeps ago differ from now's..."""
    tolerance_bps: int = 500
    """... by no more than this part of the sum of their sizes, in basis points."""


@dataclass(frozen=True)
class GtgResult:
    """An estimate and what it took."""

    values: list[Fraction]
    permutations: int
    evaluations: int
    """Coalitions evaluated, the empty one and that of all among them; each at most once."""
    converged: bool


def gtg_shapley(utility: UtilityFunction, n: int, seed: int, settings: GtgSettings | None = None) -> GtgResult:
    """Guided truncation: sweeps of n random permutations in which everybody leads once; coalitions are evaluated when
    a permutation reaches them, and a permutation stops early where little is left to gain.

    With truncation off it is unbiased and converges to `exact_shapley`. The same seed gives the same estimate.
    Raises `ScoringInputInvalid`."""
    _check_count(n, None, "")
    settings = settings or GtgSettings()
    known: dict[frozenset[int], int] = {}

    def value(coalition: frozenset[int]) -> int:
        if coalition not in known:
            known[coalition] = utility(coalition)
        return known[coalition]

    nobody, everybody = value(frozenset()), value(frozenset(range(n)))
    totals, count = [0] * n, 0
    if abs(everybody - nobody) <= settings.between_rounds:
        return GtgResult([Fraction(0)] * n, 0, len(known), True)
    random = Random(seed)
    history: list[list[Fraction]] = []
    while count < settings.most_permutations:
        for leader in range(n):
            order = [row for row in range(n) if row != leader]
            random.shuffle(order)
            _walk([leader, *order], value, (nobody, everybody), settings.within_round, totals)
        count += n
        history.append([Fraction(total, count) for total in totals])
        if _converged(history, settings):
            return GtgResult(history[-1], count, len(known), True)
    return GtgResult(history[-1], count, len(known), False)


def _walk(
    order: Sequence[int],
    value: UtilityFunction,
    ends: tuple[int, int],
    truncation: int,
    totals: list[int],
) -> None:
    """Adds the marginal values along one permutation to `totals`. ends: V(nobody), V(all)."""
    before, coalition = ends[0], frozenset[int]()
    for row in order:
        coalition |= {row}
        after = before if abs(ends[1] - before) < truncation else value(coalition)
        totals[row] += after - before
        before = after


def _converged(history: Sequence[Sequence[Fraction]], settings: GtgSettings) -> bool:
    if len(history) <= settings.patience:
        return False
    now, then = history[-1], history[-1 - settings.patience]
    change = sum(abs(a - b) for a, b in zip(now, then, strict=True))
    return change * 10_000 <= settings.tolerance_bps * sum(abs(value) for value in now)


def _check_count(n: int, most: int | None, why: str) -> None:
    if n < 1 or (most is not None and n > most):
        raise ScoringInputInvalid(f"{n} rows: at least 1 is needed" + (f", at most {most}: {why}" if most else ""))
