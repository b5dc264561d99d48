"""The one evaluation of a round, which the worker, every witness and any auditor run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cohort_protocol.scoring.gram import Gram, gram_matrix, weighted_sum
from cohort_protocol.scoring.outcome import PolicyOutcome
from cohort_protocol.scoring.policy import Policy
from cohort_protocol.scoring.verdict import Verdict, verdicts


@dataclass(frozen=True)
class RoundEvaluation:
    """Everything that follows from the admitted updates, the past steps and the policy."""

    gram: Gram
    """(n + p) square: the updates, then the past steps that the policy reads."""
    outcome: PolicyOutcome
    step: np.ndarray
    """m = sum w_a u_a, int64[d] in units of 2^(e-16): the next model is this one plus m."""

    def verdicts(
        self, trainers: Sequence[str], pays: Sequence[int] | None = None, pool: int | None = None
    ) -> list[Verdict]:
        """One verdict per row; see `scoring.verdict.verdicts`."""
        return verdicts(self.outcome, trainers, pays, pool)


def evaluate_round(updates: Sequence[np.ndarray], past_steps: Sequence[np.ndarray], policy: Policy) -> RoundEvaluation:
    """Filters, scores and aggregates a round.

    updates: n >= 1 arrays int16[d], the admitted updates in order of reveal.
    past_steps: int64[d] arrays, differences of consecutive models, most recent first; those beyond
    `policy.past_steps` are not read. Raises `ScoringInputInvalid`. Same inputs, same bytes, on any machine."""
    steps = list(past_steps)[: policy.past_steps]
    gram = gram_matrix(updates, steps)
    outcome = policy.evaluate(gram, len(updates), len(steps))
    return RoundEvaluation(gram, outcome, weighted_sum(updates, outcome.weights))
