"""Rules that take every coordinate on its own: trimmed mean, coordinate median, Bulyan.

Their step is no weighted sum of the updates, so that weights are 0 and the rule returns the step itself. Rows are
paid in proportion to max(0, cos(u_a, step)): by how far they point where the model went. What a coordinate-wise rule
has to say of a row is nothing else, and equal pay would pay noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from cohort_protocol.scoring.catalogue.coordinates import (
    BlockRule,
    mean_around_median,
    median,
    products_with_step,
    stream,
    trimmed_mean,
)
from cohort_protocol.scoring.catalogue.krum import krum_scores
from cohort_protocol.scoring.catalogue.rule import (
    ALONG,
    ByzantineParameters,
    CatalogueRule,
    NoParameters,
    byzantine_rows,
    nonzero_rows,
    shares,
    squared_distances,
)
from cohort_protocol.scoring.errors import NeedsFullUpdates
from cohort_protocol.scoring.fixed_point import ONE, cosine
from cohort_protocol.scoring.gram import Gram, check_gram
from cohort_protocol.scoring.kernel import Row, as_source
from cohort_protocol.scoring.outcome import Figure, PolicyOutcome, Reason, RowOutcome, Rule
from cohort_protocol.scoring.rows import PublicRows


@dataclass(frozen=True)
class Selection:
    """What a rule does with the rows that are not zeros."""

    rows: tuple[int, ...]
    """Those whose coordinates are read."""
    rule: BlockRule


class CoordinateRule(CatalogueRule):
    """A rule that reads the updates themselves."""

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """Raises `NeedsFullUpdates`."""
        self._refuse()

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """Raises `NeedsFullUpdates`."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NeedsFullUpdates(
            f"policy {self.name!r} reads every coordinate of the updates: evaluate the round with `evaluate_round`"
        )

    def select(self, gram: Gram, rows: Sequence[int]) -> Selection:
        """Which of `rows` (at least one, none of zeros) are read, and how."""
        raise NotImplementedError

    def aggregate(self, updates: Sequence[Row], gram: Gram, public: PublicRows) -> tuple[PolicyOutcome, np.ndarray]:
        """Judges a round and takes its step. updates: n arrays or sources int16[d], read twice. Returns the outcome and
        m, int64[d] in units of 2^(e-16), every coordinate rounded down. Raises `ScoringInputInvalid`, and what reading
        a source raises."""
        check_gram(gram, len(updates), public.count)
        rows = nonzero_rows(gram, len(updates))
        if not rows:
            return self.outcome(len(updates), [], []), np.zeros(as_source(updates[0]).dimension, np.int64)
        selection = self.select(gram, rows)
        chosen = [updates[row] for row in selection.rows]
        step = stream(chosen, selection.rule)
        products, square = products_with_step(chosen, step)
        cosines = dict.fromkeys(rows, 0)
        for row, product in zip(selection.rows, products, strict=True):
            cosines[row] = cosine(product, gram[row][row], square)
        agreements = [cosines[row] for row in rows]
        scores = shares([max(0, value) for value in agreements])
        mean = sum(max(0, value) for value in agreements) // len(rows)
        judged = [
            RowOutcome(
                Reason.ACCEPTED,
                score,
                0,
                ONE,
                (Figure("cosine-with-step", agreement, Rule.COMPARED, mean),),
                ALONG if row in selection.rows else "not among the updates that lie closest together",
            )
            for row, score, agreement in zip(rows, scores, agreements, strict=True)
        ]
        return self.outcome(len(updates), rows, judged), step


class TrimmedMeanPolicy(CoordinateRule):
    """Per coordinate, the mean without the f smallest and f largest values; f = floor(byzantine * n), 2 f < n. Yin,
    Chen, Kannan, Bartlett, "Byzantine-robust distributed learning: towards optimal statistical rates", ICML 2018."""

    name = "trimmed-mean"
    kind = ByzantineParameters

    def select(self, gram: Gram, rows: Sequence[int]) -> Selection:
        """All rows."""
        n = len(rows)
        trim = byzantine_rows(self.parameters.byzantine_bps, n, (n - 1) // 2)
        return Selection(tuple(rows), trimmed_mean(trim))


class CoordinateMedianPolicy(CoordinateRule):
    """Per coordinate, the median; the mean of the middle two if n is even. Yin, Chen, Kannan, Bartlett,
    "Byzantine-robust distributed learning: towards optimal statistical rates", ICML 2018."""

    name = "coordinate-median"
    kind = NoParameters

    def select(self, gram: Gram, rows: Sequence[int]) -> Selection:
        """All rows."""
        return Selection(tuple(rows), median)


class BulyanPolicy(CoordinateRule):
    """Chooses n - 2f rows, one after the other the one with the smallest Krum score among those left, then takes per
    coordinate the mean of the n - 4f values nearest to their median. El Mhamdi, Guerraoui, Rouault, "The hidden
    vulnerability of distributed learning in Byzantium", ICML 2018. f = floor(byzantine * n), at most (n - 3) / 4, the
    paper's condition. Rows that tie are chosen together, so that there may be a few more than n - 2f. Rows that are
    not chosen earn nothing."""

    name = "bulyan"
    kind = ByzantineParameters

    def select(self, gram: Gram, rows: Sequence[int]) -> Selection:
        """Stage one."""
        n = len(rows)
        f = byzantine_rows(self.parameters.byzantine_bps, n, (n - 3) // 4)
        left, chosen = list(rows), []
        while len(chosen) < n - 2 * f:
            scores = krum_scores(squared_distances(gram, left), f)
            least = min(scores)
            chosen += [row for row, score in zip(left, scores, strict=True) if score == least]
            left = [row for row, score in zip(left, scores, strict=True) if score != least]
        return Selection(tuple(sorted(chosen)), mean_around_median(max(1, len(chosen) - 2 * f)))
