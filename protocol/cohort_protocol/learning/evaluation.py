"""Accuracy and loss of a model on a data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cohort_protocol.learning.architecture import Architecture
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.repeatable import repeatable
from cohort_protocol.update import floats_from_model

BATCH = 1024


@dataclass(frozen=True)
class Evaluation:
    """How well a model does."""

    accuracy: float
    """Part of the examples whose largest logit is their label, 0 .. 1."""
    loss: float
    """Mean cross-entropy, nats."""
    examples: int


def evaluate(module: nn.Module, dataset: Dataset, device: str = "cpu") -> Evaluation:
    """Runs `module` over `dataset` (at least one example) without changing it."""
    module = module.to(device)
    was_training = module.training
    module.eval()
    correct, loss = 0, 0.0
    with repeatable(), torch.inference_mode():
        for start in range(0, len(dataset), BATCH):
            inputs = torch.from_numpy(dataset.inputs[start : start + BATCH]).to(device)
            labels = torch.from_numpy(dataset.labels[start : start + BATCH]).to(device)
            logits = module(inputs)
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    module.train(was_training)
    return Evaluation(correct / len(dataset), loss / len(dataset), len(dataset))


def evaluate_model(
    architecture: Architecture, model: np.ndarray, exponent: int, dataset: Dataset, device: str = "cpu"
) -> Evaluation:
    """Evaluates a model of the protocol. model: int64[d] in units of 2^(exponent-16)."""
    return evaluate(build_module(architecture, floats_from_model(model, exponent)), dataset, device)
