"""What the named rules share: parameters with a hash, rows of zeros, the shape of an outcome.

Two things are the same in every rule but `fedavg`, and different from the papers, because here an update earns money:
an update of zeros is no update and takes no part (reason `too-small`); and a row that a rule merely does not choose
stays accepted with score and weight 0, since a rejection costs standing and many rules drop a fixed number of rows
from a round of honest ones. All arithmetic is on Python integers; permuting the updates permutes the outcome exactly.

Ranges, for n <= 2^5 rows of d <= 2^24 entries: an entry of the Gram matrix is at most 2^54, a squared distance 2^56,
a sum of distances 2^61; cosines are within `fixed_point`'s. Iterations state their own (`geometric`, `flag`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.fixed_point import BASIS, ONE, cosine, ratio
from cohort_protocol.scoring.gram import TOTAL_WEIGHT, Gram, check_gram
from cohort_protocol.scoring.outcome import Figure, PolicyOutcome, Reason, RowOutcome, Rule
from cohort_protocol.scoring.parameters import describe, description_hash, read_parameters
from cohort_protocol.scoring.rows import PublicRows

Self = TypeVar("Self", bound="CatalogueRule")

ZEROS = RowOutcome(
    Reason.TOO_SMALL, 0, 0, 0, (Figure("norm", 0, Rule.AT_LEAST, 1),), "its update is all zeros, which is no update"
)
"""The outcome of an update of zeros."""


def bounded(default: int, low: int, high: int) -> Any:
    """A parameter with its inclusive range."""
    return field(default=default, metadata={"range": (low, high)})


@dataclass(frozen=True)
class NoParameters:
    """Of rules that have nothing to set."""


@dataclass(frozen=True)
class ByzantineParameters:
    """Of rules that are told how many rows may be hostile."""

    byzantine_bps: int = bounded(3_000, 0, 4_999)
    """f = floor(this * n), in basis points; less where n is too small for the rule's own condition."""


def byzantine_rows(bps: int, n: int, most: int) -> int:
    """f = min(floor(bps * n / 10000), most), at least 0. most: what the rule's condition on n allows."""
    return max(0, min(bps * n // BASIS, most))


@dataclass(frozen=True)
class CatalogueRule(ABC):
    """A rule whose step is a weighted sum of the updates, judged from the Gram matrix alone."""

    parameters: Any

    name: ClassVar[str]
    kind: ClassVar[type] = NoParameters

    @classmethod
    def from_params(cls: type[Self], params: Mapping[str, Any]) -> Self:
        """From a spec. Raises `PolicyParametersInvalid`."""
        return cls(read_parameters(cls.kind, cls.name, params))

    @property
    def needs(self) -> PublicRows:
        """No public rows."""
        return PublicRows()

    def description(self) -> dict[str, Any]:
        """Name and parameters."""
        return describe(self.name, self.parameters)

    def policy_hash(self) -> bytes:
        """keccak256 of the canonical JSON of the description."""
        return description_hash(self.description())

    def suggested_score_floor(self, slots: int) -> int:
        """One average contribution: the scores of these rules are relative and never sum to dust."""
        return ONE

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """Judges a round. gram: (updates + public.count) square, updates first. Raises `ScoringInputInvalid`."""
        check_gram(gram, updates, public.count)
        rows = nonzero_rows(gram, updates)
        judged = self.judge(gram, rows, public.gradient_rows(updates)) if rows else []
        return self.outcome(updates, rows, judged)

    def outcome(self, updates: int, rows: Sequence[int], judged: Sequence[RowOutcome]) -> PolicyOutcome:
        """judged: one outcome for each of `rows`; the others are zeros."""
        outcomes = [ZEROS] * updates
        for row, each in zip(rows, judged, strict=True):
            outcomes[row] = each
        return PolicyOutcome(self.name, self.policy_hash(), tuple(outcomes))

    @abstractmethod
    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """The outcome of each of `rows` (at least one, none of them zeros), in their order.

        gradients: indices of g0 and g1 in `gram`, if they are there."""


def nonzero_rows(gram: Gram, n: int) -> list[int]:
    """Those of the first n rows that are not all zeros."""
    return [row for row in range(n) if gram[row][row] > 0]


def squared_distances(gram: Gram, rows: Sequence[int]) -> list[list[int]]:
    """|u_a - u_b|^2 = K_aa + K_bb - 2 K_ab, exact."""
    return [[gram[a][a] + gram[b][b] - 2 * gram[a][b] for b in rows] for a in rows]


def smallest(values: Sequence[int], count: int) -> list[int]:
    """How far each value is among the `count` smallest, in units of 1/ONE: ONE for those surely in, 0 for those
    surely out; values that tie at the edge share the places that are left, so that no order of the rows matters.

    1 <= count <= len(values)."""
    edge = sorted(values)[count - 1]
    inside = sum(value < edge for value in values)
    tied = sum(value == edge for value in values)
    share = (count - inside) * ONE // tied
    return [ONE if value < edge else share if value == edge else 0 for value in values]


def step_weights(coefficients: Sequence[int], unit: int) -> list[int]:
    """w_a = floor(2^16 c_a / unit), in parts of 2^16. coefficients: >= 0; where they sum to more than `unit` they are
    brought down together, for no step is longer than a weighted mean of the updates (|m| <= 2^31)."""
    if min(coefficients) < 0 or unit <= 0:
        raise ScoringInputInvalid("coefficients of a step are not negative, their unit is positive")
    whole = max(unit, sum(coefficients))
    return [TOTAL_WEIGHT * value // whole for value in coefficients]


def shares(values: Sequence[int]) -> list[int]:
    """Scores in proportion to values >= 0, with mean ONE: floor(ONE n v_a / sum v); all 0 if nothing is positive."""
    total = sum(values)
    return [ONE * len(values) * value // total if total else 0 for value in values]


ALONG = "paid by how far it points where the model went"


def paid_along(
    gram: Gram, rows: Sequence[int], coefficients: Sequence[int], unit: int, clips: Sequence[int] | None = None
) -> list[RowOutcome]:
    """Outcomes of rows that enter the model by their coefficients >= 0 (in units of 1/unit) and are paid in proportion
    to max(0, cos(u_a, step)).

    Not by their coefficients: a row that opposes the step has one too, and rows that lie exactly in the centre, as a
    few clones can, would have nearly all. <u_a, step> = sum c_b K_ab, exact."""
    products = [sum(c * gram[a][b] for c, b in zip(coefficients, rows, strict=True)) for a in rows]
    square = sum(c * value for c, value in zip(coefficients, products, strict=True))
    cosines = [cosine(value, gram[a][a], square) for a, value in zip(rows, products, strict=True)]
    paid = [max(0, value) for value in cosines]
    mean = sum(paid) // len(paid)
    return [
        RowOutcome(
            Reason.ACCEPTED,
            score,
            weight,
            clip,
            (
                Figure("cosine-with-step", agreement, Rule.COMPARED, mean),
                Figure("part", ratio(value * len(rows), unit), Rule.COMPARED, ONE),
            ),
            ALONG,
        )
        for value, agreement, score, weight, clip in zip(
            coefficients,
            cosines,
            shares(paid),
            step_weights(coefficients, unit),
            clips or [ONE] * len(rows),
            strict=True,
        )
    ]
