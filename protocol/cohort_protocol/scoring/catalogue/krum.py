"""Multi-Krum: the mean of the rows that lie closest to many others.

Blanchard, El Mhamdi, Guerraoui, Stainer, "Machine learning with adversaries: Byzantine tolerant gradient descent",
NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.scoring.catalogue.rule import (
    ByzantineParameters,
    CatalogueRule,
    byzantine_rows,
    smallest,
    squared_distances,
    step_weights,
)
from cohort_protocol.scoring.fixed_point import ONE, ratio
from cohort_protocol.scoring.gram import Gram
from cohort_protocol.scoring.outcome import Figure, Reason, RowOutcome, Rule


def krum_scores(distances: Sequence[Sequence[int]], f: int) -> list[int]:
    """Per row, the sum of its squared distances to its n - f - 2 nearest others (at least one of them); exact.

    A lone row has 0."""
    n = len(distances)
    neighbours = max(1, n - f - 2)
    return [sum(sorted(line[:a] + line[a + 1 :])[:neighbours]) for a, line in enumerate(map(list, distances))]


class MultiKrumPolicy(CatalogueRule):
    """Chooses the m = n - f rows with the smallest Krum scores and takes their mean. f = floor(byzantine * n), at
    most (n - 3) / 2, the paper's condition. Chosen rows are paid equally, the others nothing; rows that tie for the
    last places share them, in weight and in pay.

    Of n honest rows f go unpaid in every round: on data that differ between trainers always the same ones."""

    name = "multi-krum"
    kind = ByzantineParameters

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """Exact comparisons of integers; nothing is rounded but shared places."""
        n = len(rows)
        f = byzantine_rows(self.parameters.byzantine_bps, n, (n - 3) // 2)
        scores = krum_scores(squared_distances(gram, rows), f)
        return chosen_rows(scores, smallest(scores, n - f), n - f)


def chosen_rows(values: Sequence[int], parts: Sequence[int], count: int) -> list[RowOutcome]:
    """Outcomes of rows of which `count` are chosen by a value that should be small: ONE and an equal weight each, in
    proportion to `parts` (units of 1/ONE)."""
    weights = step_weights(parts, count * ONE)
    limit = max(value for value, part in zip(values, parts, strict=True) if part)
    return [
        RowOutcome(
            Reason.ACCEPTED,
            part,
            weight,
            ONE,
            (Figure("distance", ratio(value, limit) if limit else 0, Rule.CHOSEN_UP_TO, ONE),),
            f"{'one of' if part else 'not among'} the {count} updates that lie closest together",
        )
        for value, part, weight in zip(values, parts, weights, strict=True)
    ]
