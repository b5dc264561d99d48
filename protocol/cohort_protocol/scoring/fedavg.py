"""Plain federated averaging: no filter, equal weights, equal scores. A reference to compare with, and the policy of
a project whose trainers trust each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cohort_protocol.scoring.fixed_point import ONE
from cohort_protocol.scoring.gram import TOTAL_WEIGHT, Gram, check_gram
from cohort_protocol.scoring.outcome import PolicyOutcome, Reason, RowOutcome
from cohort_protocol.scoring.parameters import describe, description_hash, read_parameters
from cohort_protocol.scoring.rows import PublicRows


@dataclass(frozen=True)
class FedAvgParameters:
    """None: every trainer counts the same."""


@dataclass(frozen=True)
class FedAvgPolicy:
    """Equal weights and equal scores for every admitted update. McMahan et al., AISTATS 2017, weigh by the number of
    examples; a number that trainers report about themselves decides nothing here."""

    parameters: FedAvgParameters = FedAvgParameters()
    name: str = "fedavg"

    @property
    def needs(self) -> PublicRows:
        """None."""
        return PublicRows()

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> FedAvgPolicy:
        """From a spec. Raises `PolicyParametersInvalid`."""
        return cls(read_parameters(FedAvgParameters, "fedavg", params))

    def description(self) -> dict[str, Any]:
        """Name and parameters."""
        return describe(self.name, self.parameters)

    def policy_hash(self) -> bytes:
        """keccak256 of the canonical JSON of the description."""
        return description_hash(self.description())

    def suggested_score_floor(self, slots: int) -> int:
        """One average contribution: scores are never smaller."""
        return ONE

    def evaluate(self, gram: Gram, updates: int, public: PublicRows) -> PolicyOutcome:
        """gram: (updates + public.count) square; read for its shape only. Raises `ScoringInputInvalid`."""
        check_gram(gram, updates, public.count)
        row = RowOutcome(Reason.ACCEPTED, ONE, TOTAL_WEIGHT // updates, ONE, ())
        return PolicyOutcome(self.name, self.policy_hash(), (row,) * updates)
