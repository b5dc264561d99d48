"""Nearest-neighbour averaging as in MoNNA.

Farhadkhani, Guerraoui, Gupta, Hoang, Pinot, Stephan, "Robust collaborative learning with linear gradient overhead",
ICML 2023.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.scoring.catalogue.krum import chosen_rows
from cohort_protocol.scoring.catalogue.rule import (
    ByzantineParameters,
    CatalogueRule,
    byzantine_rows,
    smallest,
    squared_distances,
)
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import RowOutcome


class MonnaPolicy(CatalogueRule):
    """The mean of the n - f rows nearest to a pivot. f = floor(byzantine * n), at most (n - 1) / 2.

    In MoNNA every node averages what is nearest to its own vector. A market has no vector of its own: the pivot is
    the row with the smallest sum of squared distances to its n - f - 1 nearest others (of an honest majority every
    honest row has such a neighbourhood, so that a pivot far away loses). Pivots that tie are averaged. Chosen rows
    are paid equally."""

    name = "monna"
    kind = ByzantineParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """Exact comparisons of integers; shared places are rounded down."""
        n = len(rows)
        f = byzantine_rows(self.parameters.byzantine_bps, n, (n - 1) // 2)
        distances = squared_distances(gram, rows)
        reach = [sum(sorted(line)[: n - f]) for line in distances]
        pivots = [a for a in range(n) if reach[a] == min(reach)]
        parts = [smallest(distances[pivot], n - f) for pivot in pivots]
        nearest = [min(distances[pivot][a] for pivot in pivots) for a in range(n)]
        return chosen_rows(nearest, [sum(column) // len(pivots) for column in zip(*parts, strict=True)], n - f)
