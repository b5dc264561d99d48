"""Filter, score and aggregate a round: pure functions of the exact Gram matrix of its updates.

No floats reach a result, so that a worker, a witness, an auditor and a contract get the same numbers. The one
entry point is `evaluate_round`.
"""

from cohort_protocol.scoring.errors import (
    NeedsFullUpdates,
    PolicyNeedsUnmet,
    PolicyParametersInvalid,
    ScoringInputInvalid,
    UnknownPolicy,
)
from cohort_protocol.scoring.evaluation import RoundEvaluation, evaluate_round
from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.gram import Gram, gram_matrix, weighted_sum
from cohort_protocol.scoring.outcome import Figure, PolicyOutcome, Reason, RowOutcome
from cohort_protocol.scoring.policy import (
    Policy,
    catalogue,
    catalogue_entry,
    check_needs,
    known_policies,
    policy_by_name,
)
from cohort_protocol.scoring.rows import PublicRows, PublicVectors
from cohort_protocol.scoring.verdict import Verdict, VerdictFigure, verdicts

__all__ = [
    "ONE",
    "Figure",
    "Gram",
    "NeedsFullUpdates",
    "Policy",
    "PolicyNeedsUnmet",
    "PolicyOutcome",
    "PolicyParametersInvalid",
    "PublicRows",
    "PublicVectors",
    "Reason",
    "RoundEvaluation",
    "RowOutcome",
    "ScoringInputInvalid",
    "UnknownPolicy",
    "Verdict",
    "VerdictFigure",
    "catalogue",
    "catalogue_entry",
    "check_needs",
    "evaluate_round",
    "gram_matrix",
    "known_policies",
    "policy_by_name",
    "verdicts",
    "weighted_sum",
]
