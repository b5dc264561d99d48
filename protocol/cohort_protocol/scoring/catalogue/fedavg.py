"""Plain federated averaging: no filter, equal weights, equal scores.

McMahan et al., "Communication-efficient learning of deep networks from decentralized data", AISTATS 2017. They weigh
by the number of examples; a number that trainers report about themselves decides nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence

from cohort_protocol.scoring.catalogue.rule import CatalogueRule, NoParameters
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.gram import TOTAL_WEIGHT, Gram, check_gram
from cohort_protocol.scoring.outcome import PolicyOutcome, Reason, RowOutcome
from cohort_protocol.scoring.rows import PublicRows


class FedAvgPolicy(CatalogueRule):
    """Equal weights and equal scores for every admitted update, zeros among them. A reference to compare with, and
    the policy of a project whose trainers trust each other."""

    name = "fedavg"
    kind = NoParameters

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """gram: (updates + public.count) square; read for its shape only. Raises `ScoringInputInvalid`."""
        check_gram(gram, updates, public.count)
        return self.outcome(updates, range(updates), self.judge(gram, range(updates), None))

    def judge(self, gram: Gram, rows: Sequence[int], gradients: tuple[int, int] | None) -> list[RowOutcome]:
        """The same for every row."""
        words = "every update counts the same under this policy"
        return [RowOutcome(Reason.ACCEPTED, ONE, TOTAL_WEIGHT // len(rows), ONE, (), words)] * len(rows)
