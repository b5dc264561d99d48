"""Three-sigma: rows too far from the centre of the round are outliers.

Pukelsheim, "The three sigma rule", The American Statistician 48, 1994; as a defence of federated learning: Han et al.,
"Kick bad guys out! Conditionally activated anomaly detection in federated learning with zero-knowledge proof
verification", 2023, who test distances from a centre of the round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cohort_protocol.scoring.catalogue.geometric import distances_from, weiszfeld
from cohort_protocol.scoring.catalogue.rule import CatalogueRule, bounded
from cohort_protocol.scoring.fixed_point import BASIS, ONE, median, ratio
from cohort_protocol.scoring.gram import TOTAL_WEIGHT, Gram
from cohort_protocol.scoring.outcome import Figure, Reason, RowOutcome, Rule

ITERATIONS = 100
SMOOTHING_PPM = 1
LEAST_ROWS = 4
"""Of fewer rows nobody can say which is the outlier."""
MAD_TO_SIGMA_BPS = 14_826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class ThreeSigmaParameters:
    """Where an outlier begins."""

    sigmas_bps: int = bounded(30_000, 10_000, 200_000)
    """In basis points: 30000 is three sigma."""
    least_sigma_bps: int = bounded(1_000, 0, 10_000)
    """Sigma is at least this part of the median distance: rows that nearly agree are not split by hairs."""


class ThreeSigmaPolicy(CatalogueRule):
    """Rejects rows whose distance x from the geometric median exceeds median x + 3 sigma; the mean of the others,
    paid equally.

    sigma = 1.4826 * median |x - median x|. The standard deviation of all n rows would be a rule that does nothing:
    nobody of n can be further than (n - 1) / sqrt(n) standard deviations from the mean (Samuelson 1968), which is
    below 3 for n <= 10, and two outliers hide each other at any n. Rejects nobody of fewer than 4 rows."""

    name = "three-sigma"
    kind = ThreeSigmaParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """Distances in units of 2^-40 (see `geometric`); thresholds are rounded down."""
        p = self.parameters
        far = distances_from(gram, rows, weiszfeld(gram, rows, ITERATIONS, SMOOTHING_PPM))
        middle = median(far)
        spread = median([abs(value - middle) for value in far]) * MAD_TO_SIGMA_BPS // BASIS
        limit = middle + max(spread, middle * p.least_sigma_bps // BASIS) * p.sigmas_bps // BASIS
        kept = [value <= limit or len(rows) < LEAST_ROWS for value in far]
        weight = TOTAL_WEIGHT // sum(kept)
        return [
            RowOutcome(
                Reason.ACCEPTED if inside else Reason.OUTLIER,
                ONE if inside else 0,
                weight if inside else 0,
                ONE,
                (
                    Figure(
                        "distance",
                        ratio(value, middle) if middle else 0,
                        Rule.AT_MOST,
                        ratio(limit, middle) if middle else ONE,
                    ),
                ),
                "no outlier; those are paid the same"
                if inside
                else "it lies further from the centre of the round than three sigma",
            )
            for value, inside in zip(far, kept, strict=True)
        ]
