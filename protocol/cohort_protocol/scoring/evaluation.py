"""The one evaluation of a round, which the worker, every witness and any auditor run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cohort_protocol.scoring.errors import ScoringInputInvalid
from cohort_protocol.scoring.gram import Gram, PlainSum, gram_matrix, weighted_sum
from cohort_protocol.scoring.kernel import BlockKernel, Row, as_source
from cohort_protocol.scoring.outcome import PolicyOutcome
from cohort_protocol.scoring.policy import CoordinatePolicy, Policy
from cohort_protocol.scoring.rows import PublicRows, PublicVectors
from cohort_protocol.scoring.verdict import Verdict, verdicts


@dataclass(frozen=True)
class RoundEvaluation:
    """Everything that follows from the admitted updates, the public rows and the policy."""

    gram: Gram
    """(n + p) square: the updates, then the public rows that the policy reads."""
    public: PublicRows
    """Which those are."""
    outcome: PolicyOutcome
    step: np.ndarray
    """m, int64[d] in units of 2^(e-16): the next model is this one plus m. The sum of w_a u_a, but for a
    `CoordinatePolicy`, which makes its own."""

    def verdicts(
        self, trainers: Sequence[str], pays: Sequence[int] | None = None, pool: int | None = None
    ) -> list[Verdict]:
        """One verdict per row; see `scoring.verdict.verdicts`."""
        return verdicts(self.outcome, trainers, pays, pool)


def evaluate_round(
    updates: Sequence[Row],
    past_steps: Sequence[Row],
    policy: Policy,
    validation: PublicVectors | None = None,
    *,
    threads: int = 1,
    kernel: BlockKernel | None = None,
) -> RoundEvaluation:
    """Filters, scores and aggregates a round.

    Every row may be an array or a source (`scoring.kernel`), which is read in blocks: then memory does not grow with
    the number of rows.
    updates: n >= 1 rows int16[d], the admitted updates in order of reveal.
    past_steps: rows int64[d], differences of consecutive models, most recent first; those beyond
    `policy.needs.past_steps` are not read.
    validation: the other public rows (u0 and gradients; its own past steps must be none), None in a round without a
    batch. threads: for reading and computing at the same time. kernel: None for the fastest that is here.
    Raises `ScoringInputInvalid`, and what reading a source raises. Same inputs, same bytes, on any machine."""
    if not isinstance(policy, Policy) or not isinstance(validation, PublicVectors | None):
        raise ScoringInputInvalid(
            f"a round is judged by a policy (`policy_by_name`) with `PublicVectors` or None, not by "
            f"{type(policy).__name__} with {type(validation).__name__}"
        )
    updates, past_steps, given = list(updates), list(past_steps), validation or PublicVectors()
    if given.past_steps:
        raise ScoringInputInvalid("past steps come as `past_steps`, not among the rows of the validation batch")
    vectors = replace(given, past_steps=tuple(past_steps)).read_by(policy.needs)
    if isinstance(policy, CoordinatePolicy):
        gram = gram_matrix(updates, vectors.rows(), threads=threads, kernel=kernel)
        outcome, step = policy.aggregate(updates, gram, vectors.layout)
    else:
        total = PlainSum(as_source(updates[0]).dimension) if updates else None
        gram = gram_matrix(updates, vectors.rows(), threads=threads, kernel=kernel, total=total)
        outcome = policy.evaluate(gram, len(updates), vectors.layout)
        step = weighted_sum(updates, outcome.weights, threads=threads, kernel=kernel, total=total)
    return RoundEvaluation(gram, vectors.layout, outcome, step)
