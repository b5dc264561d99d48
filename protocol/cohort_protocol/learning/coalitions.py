"""Games of a round's trainers for the scores that run models (`scoring.catalogue.shapley`, `.logit_average`).

For reports and spot checks: the models run in float64 and their logits are rounded to 2^-24, from where on everything
is integers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from cohort_protocol.learning.architecture import Architecture
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.repeatable import repeatable
from cohort_protocol.scoring.catalogue.logit_average import LOGIT_BITS, LogitAverage, Measure, value_of_logits
from cohort_protocol.scoring.catalogue.shapley import UtilityFunction

BATCH = 1024
MODEL_BITS = 16
"""A model's unit is 2^-16 of an update's."""


def coalition_utility(
    architecture: Architecture,
    exponent: int,
    model: np.ndarray,
    updates: Sequence[np.ndarray],
    batch: Dataset,
    measure: Measure = Measure.LOSS,
) -> UtilityFunction:
    """Value of M + mean of the coalition's updates on the batch: one model for every coalition that is asked for.

    model: int64[d]; updates: int16[d] each. Values as `Measure` says. The function raises `ScoringInputInvalid` for a
    model that has diverged."""
    module = build_module(architecture).double()
    start = model * 2.0 ** (exponent - MODEL_BITS)

    def utility(coalition: frozenset[int]) -> int:
        weights = start
        if coalition:
            total = np.sum([updates[row] for row in sorted(coalition)], axis=0, dtype=np.int64)
            weights = start + total * (2.0**exponent / len(coalition))
        return value_of_logits(_logits(module, weights, batch), batch.labels, measure)

    return utility


def logit_average(
    architecture: Architecture,
    exponent: int,
    model: np.ndarray,
    updates: Sequence[np.ndarray],
    batch: Dataset,
    measure: Measure = Measure.LOSS,
) -> LogitAverage:
    """The game in which a coalition stands for the mean of its members' logits: n + 1 forward passes.

    model: int64[d]; updates: int16[d] each. Raises `ScoringInputInvalid` for diverged models."""
    module = build_module(architecture).double()
    start = model * 2.0 ** (exponent - MODEL_BITS)
    members = [_logits(module, start + update * 2.0**exponent, batch) for update in updates]
    return LogitAverage(_logits(module, start, batch), np.stack(members), batch.labels, measure)


def _logits(module: nn.Module, weights: np.ndarray, batch: Dataset) -> np.ndarray:
    """int64[b, classes] in units of 2^-24. weights: float64[d]."""
    nn.utils.vector_to_parameters(torch.from_numpy(weights), module.parameters())
    module.eval()
    parts = []
    with repeatable(), torch.inference_mode():
        for start in range(0, len(batch), BATCH):
            parts.append(module(torch.from_numpy(batch.inputs[start : start + BATCH]).double()).numpy())
    logits = np.concatenate(parts)
    # What is no number becomes a logit that the game refuses.
    scaled = np.nan_to_num(np.rint(logits * 2.0**LOGIT_BITS), nan=2.0**62, posinf=2.0**62, neginf=-(2.0**62))
    return scaled.clip(-(2.0**62), 2.0**62).astype(np.int64)
