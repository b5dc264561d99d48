"""Logit-average Shapley: a coalition's model stands for the mean of its members' logits.

Instead of building and running 2^n coalition models, every trainer's own model (M + u_a) runs once over the validation
batch, n + 1 forward passes with the model itself; the value of a coalition is that of the mean of its members' logits.
For a model that is linear in its parameters the two are the same, up to rounding to 2^-24: logits of the mean are the
mean of the logits. For others it is the first order of ensembles against weight averages (Wortsman et al., "Model
soups", ICML 2022, section 4). Measured in the protocol, section 6, against exact Shapley values.

Cross-entropy is computed in integers, so that an auditor gets the same digits from the same logits: exponentials from
a Taylor polynomial in units of 2^-30, logarithms bit by bit. Against float64 a loss differs by less than 2^-20 nats
per example (tested).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from math import factorial

import numpy as np

from cohort_protocol.scoring.catalogue.logarithm import LN2
from cohort_protocol.scoring.catalogue.shapley import exact_shapley
from cohort_protocol.scoring.errors import ScoringInputInvalid

LOGIT_BITS = 24
"""Logits are in units of 2^-24, and so is a loss, in nats."""
MAX_LOGIT = 1 << LOGIT_BITS + 10
FRACTION = 30
LOG2_E = 1549082004
"""floor(2^30 / ln 2)."""
_TAYLOR = [round(Fraction(-LN2, 1 << 40) ** k / factorial(k) * (1 << FRACTION)) for k in range(12)]
"""Of 2^-x = exp(-x ln 2) at 0, in units of 2^-30; the next term is below 2^-35."""


class Measure(StrEnum):
    """What a batch says of logits."""

    LOSS = "loss"
    """Minus the sum of cross-entropies, in units of 2^-24 nats."""
    ACCURACY = "accuracy"
    """Right answers; of equal logits the first class counts."""


@dataclass(frozen=True, eq=False)
class LogitAverage:
    """A utility function over trainers (`shapley.UtilityFunction`)."""

    base: np.ndarray
    """Logits of the round's model, int64[B, K] in units of 2^-24: the value of nobody."""
    members: np.ndarray
    """Logits of every trainer's own model, int64[n, B, K]."""
    labels: np.ndarray = field(repr=False)
    """int64[B] in 0 .. K - 1."""
    measure: Measure = Measure.LOSS

    def __post_init__(self) -> None:
        """Raises `ScoringInputInvalid` for shapes, types or ranges that do not fit."""
        shape = self.base.shape
        if len(shape) != 2 or 0 in shape or self.members.shape[1:] != shape or self.labels.shape != shape[:1]:
            raise ScoringInputInvalid(
                f"logits {list(self.members.shape)} of members, {list(shape)} of the model and "
                f"{list(self.labels.shape)} labels do not belong together: [n, B, K], [B, K] and [B] are needed"
            )
        for logits in (self.base, self.members):
            check_logits(logits, self.labels, shape[1])

    def __call__(self, coalition: frozenset[int]) -> int:
        """Value of a coalition."""
        logits = self.members[sorted(coalition)].sum(axis=0) // len(coalition) if coalition else self.base
        return _value(logits, self.labels, self.measure)


def logit_average_shapley(game: LogitAverage) -> list[Fraction]:
    """Exact Shapley values of the logit-average game; n <= 12 (`gtg_shapley(game, n, seed)` takes more)."""
    return exact_shapley(game, len(game.members))


def value_of_logits(logits: np.ndarray, labels: np.ndarray, measure: Measure) -> int:
    """What a batch says of one model. logits: int64[B, K] in units of 2^-24; labels: int64[B]. Raises
    `ScoringInputInvalid`."""
    check_logits(logits, labels, logits.shape[1])
    return _value(logits, labels, measure)


def check_logits(logits: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Raises `ScoringInputInvalid` for types and ranges that no model and batch have."""
    for array in (logits, labels):
        if array.dtype != np.int64:
            raise ScoringInputInvalid(f"logits and labels are int64, got {array.dtype}")
    if max(abs(int(logits.min())), abs(int(logits.max()))) > MAX_LOGIT:
        raise ScoringInputInvalid(f"a logit is larger than {MAX_LOGIT >> LOGIT_BITS}: this model has diverged")
    if labels.min() < 0 or labels.max() >= classes:
        raise ScoringInputInvalid(f"labels are 0 .. {classes - 1}, found {labels.min()} .. {labels.max()}")


def _value(logits: np.ndarray, labels: np.ndarray, measure: Measure) -> int:
    if measure is Measure.ACCURACY:
        return int((logits.argmax(axis=1) == labels).sum())
    return -total_cross_entropy(logits, labels)


def total_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> int:
    """Sum over the batch of ln(sum exp z) - z_label, in units of 2^-24 nats.

    logits: int64[B, K] in units of 2^-24, K <= 2^14; labels: int64[B]."""
    largest = logits.max(axis=1)
    sums = exponentials(largest[:, None] - logits).sum(axis=1)
    own = logits[np.arange(len(labels)), labels]
    return int((logarithms(sums) + largest - own).sum())


def exponentials(values: np.ndarray) -> np.ndarray:
    """exp(-x) in units of 2^-30, within 2^-24. values: x >= 0, int64 in units of 2^-24."""
    # Beyond 32 the exponential is below 2^-46; the clip keeps the product with log2(e) in int64.
    powers = np.minimum(values, 32 << LOGIT_BITS) * LOG2_E >> FRACTION
    whole = powers >> LOGIT_BITS
    part = (powers & (1 << LOGIT_BITS) - 1) << FRACTION - LOGIT_BITS
    result = np.full_like(part, _TAYLOR[-1])
    for coefficient in reversed(_TAYLOR[:-1]):
        result = (result * part >> FRACTION) + coefficient
    return result >> whole


def logarithms(values: np.ndarray) -> np.ndarray:
    """ln(x) in units of 2^-24. values: x in units of 2^-30, int64, 2^30 <= values < 2^45."""
    mantissa, exponent = values.copy(), np.zeros_like(values)
    for shift in (8, 4, 2, 1):
        large = mantissa >> FRACTION + shift > 0
        mantissa = np.where(large, mantissa >> shift, mantissa)
        exponent += large * shift
    result = exponent
    for _ in range(FRACTION):
        mantissa = mantissa * mantissa >> FRACTION
        two = mantissa >> FRACTION + 1
        mantissa >>= two
        result = (result << 1) + two
    # Below 2^34 * 2^28: more bits of ln 2 would leave int64.
    return result * (LN2 >> 12) >> FRACTION + 28 - LOGIT_BITS
