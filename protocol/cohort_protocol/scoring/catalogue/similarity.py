"""Rules by cosines between the rows: FoolsGold against Sybils, CGSV as a contribution score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohort_protocol.scoring.catalogue.logarithm import BITS, natural_logarithm
from cohort_protocol.scoring.catalogue.rule import CatalogueRule, NoParameters, bounded, shares, step_weights
from cohort_protocol.scoring.fixed_point import BASIS, ONE, ONE_BITS, cosine, median, norm
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import Figure, Reason, RowOutcome, Rule


@dataclass(frozen=True)
class FoolsGoldParameters:
    """The paper's confidence."""

    confidence_bps: int = bounded(10_000, 1_000, 100_000)
    """kappa of the logit, in basis points."""


class FoolsGoldPolicy(CatalogueRule):
    """Weighs a row down by its largest cosine with another row. Fung, Yoon, Beschastnikh, "The limitations of
    federated learning in Sybil settings", RAID 2020, algorithm 1. Rows are paid by their weight.

    The paper compares sums of all updates that a client ever sent; a policy here sees one round, in which honest rows
    are alike by far less than Sybils but by more than their histories differ. Negative cosines count as 0: rows that
    oppose each other are no Sybils. Works against clones; a lone attacker, least alike of all, is weighed up."""

    name = "foolsgold"
    kind = FoolsGoldParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """Cosines, pardoning and logits in units of 2^-30, rounded down."""
        n = len(rows)
        cosines = [[max(0, cosine(gram[a][b], gram[a][a], gram[b][b])) for b in rows] for a in rows]
        largest = [max((cosines[a][b] for b in range(n) if b != a), default=0) for a in range(n)]
        pardoned = [
            max((_pardon(cosines[a][b], largest[a], largest[b]) for b in range(n) if b != a), default=0)
            for a in range(n)
        ]
        trusts = self._logits([ONE - value for value in pardoned])
        return _scored("similarity", largest, step_weights(trusts, max(1, sum(trusts))), trusts, _ALIKE)

    def _logits(self, values: Sequence[int]) -> list[int]:
        """kappa (ln(x / (1 - x)) + 1/2) of each value over the largest, clipped to 0 .. 1; 0 if all are 0."""
        most = max(values)
        result = []
        for value in values:
            if value == most:
                result.append(ONE if most else 0)
            elif value == 0:
                result.append(0)
            else:
                raw = natural_logarithm(value, most - value) + (1 << BITS - 1)
                result.append(min(ONE, max(0, raw * self.parameters.confidence_bps // BASIS >> BITS - ONE_BITS)))
        return result


def _pardon(value: int, own: int, other: int) -> int:
    """A cosine as it counts for a row that is less alike than the other one: scaled by the ratio of the two."""
    return value * own // other if other > own else value


class CgsvPolicy(CatalogueRule):
    """Pays max(0, cos(u_a, sum of the rows at equal length)): the cosine-gradient Shapley value. Xu, Lyu, Ma, Miao,
    Foo, Low, "Gradient driven rewards to guarantee fairness in collaborative machine learning", NeurIPS 2021. The step
    is their mean at the median length (no row gets longer than its share of 2^16 allows).

    Their reputation averages the value over rounds; a policy here has no memory. The sum holds the row itself, as in
    the paper, so that of n rows even one of noise has a cosine of about 1 / sqrt(n)."""

    name = "cgsv"
    kind = NoParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """Voices and cosines in units of 2^-30, rounded towards zero."""
        norms = [norm(gram[a][a]) for a in rows]
        middle = median(norms)
        voices = [middle * ONE // value for value in norms]
        products = [sum(v * gram[a][b] for v, b in zip(voices, rows, strict=True)) for a in rows]
        square = sum(v * value for v, value in zip(voices, products, strict=True))
        cosines = [cosine(value, gram[a][a], square) for a, value in zip(rows, products, strict=True)]
        return _scored(
            "cosine-with-sum",
            cosines,
            step_weights(voices, len(rows) * ONE),
            [max(0, value) for value in cosines],
            "paid by how far it points where all updates together point",
        )


_ALIKE = "paid by how little it resembles another update"


def _scored(
    figure: str, values: Sequence[int], weights: Sequence[int], trusts: Sequence[int], words: str
) -> list[RowOutcome]:
    """Outcomes of rows paid in proportion to `trusts`."""
    mean = sum(values) // len(values)
    return [
        RowOutcome(Reason.ACCEPTED, score, weight, ONE, (Figure(figure, value, Rule.COMPARED, mean),), words)
        for value, score, weight in zip(values, shares(trusts), weights, strict=True)
    ]
