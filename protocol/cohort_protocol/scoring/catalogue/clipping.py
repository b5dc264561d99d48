"""Rules that bound the influence of a row by clipping: norm clip and centred clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohort_protocol.scoring.catalogue.geometric import BITS, UNIT, distances_from
from cohort_protocol.scoring.catalogue.rule import CatalogueRule, bounded, paid_along, step_weights
from cohort_protocol.scoring.fixed_point import BASIS, NORM_BITS, ONE, median, norm, ratio
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import Figure, Reason, RowOutcome, Rule


@dataclass(frozen=True)
class NormClipParameters:
    """The longest row that counts in full."""

    clip_bps: int = bounded(10_000, 100, 1_000_000)
    """In basis points of the median norm."""


class NormClipPolicy(CatalogueRule):
    """The mean of the rows, those longer than `clip` times the median norm clipped to that. Sun, Kairouz, Suresh,
    McMahan, "Can you really backdoor federated learning?", 2019 (their bound is a constant). All rows are paid
    equally: it bounds harm and judges nobody."""

    name = "norm-clip"
    kind = NormClipParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """Norms in units of 2^-16, factors in units of 1/ONE, rounded down."""
        norms = [norm(gram[a][a]) for a in rows]
        middle = median(norms)
        limit = self.parameters.clip_bps * middle
        clips = [min(ONE, limit * ONE // (BASIS * value)) for value in norms]
        return [
            RowOutcome(
                Reason.ACCEPTED,
                ONE,
                weight,
                clip,
                (
                    Figure(
                        "norm-clip", ratio(value, middle), Rule.CLIPPED_ABOVE, self.parameters.clip_bps * ONE // BASIS
                    ),
                ),
                "every update is paid the same under this policy"
                + ("; its length counts as clipped" if clip < ONE else ""),
            )
            for value, clip, weight in zip(norms, clips, step_weights(clips, len(rows) * ONE), strict=True)
        ]


@dataclass(frozen=True)
class CentredClippingParameters:
    """Radius and number of iterations."""

    radius_bps: int = bounded(10_000, 100, 1_000_000)
    """tau, in basis points of the median norm of the rows."""
    iterations: int = bounded(5, 1, 100)


class CentredClippingPolicy(CatalogueRule):
    """v <- v + (1/n) sum_a (u_a - v) min(1, tau / |u_a - v|), from v = 0 on. Karimireddy, He, Jaggi, "Learning from
    history for Byzantine robust optimization", ICML 2021. They start from the last step and send momentum; here v
    starts at the round's model, since a step must be a weighted sum of the round's updates. Rows are paid by their
    cosine with the step.

    In coefficient space (see `geometric`): c_a <- c_a (1 - mean lambda) + lambda_a / n, in units of 2^-40, each term
    rounded down, so that c >= 0 and sum c <= 1 always."""

    name = "centred-clipping"
    kind = CentredClippingParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """`iterations` steps of clipping."""
        n, p = len(rows), self.parameters
        tau = median([norm(gram[a][a]) for a in rows]) * p.radius_bps // BASIS << BITS - NORM_BITS
        coefficients = [0] * n
        factors = [UNIT] * n
        for _ in range(p.iterations):
            factors = [min(UNIT, tau * UNIT // max(1, far)) for far in distances_from(gram, rows, coefficients)]
            kept = n * UNIT - sum(factors)
            coefficients = [
                c * kept // (n * UNIT) + factor // n for c, factor in zip(coefficients, factors, strict=True)
            ]
        clips = [factor >> BITS - 30 for factor in factors]
        return paid_along(gram, rows, coefficients, UNIT, clips)
