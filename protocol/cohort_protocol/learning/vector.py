"""A module's parameters as one vector, in the order of `Architecture.parameter_shapes`."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from cohort_protocol.learning.errors import TrainingFailed


def flatten(module: nn.Module) -> np.ndarray:
    """All parameters, float32[d], copied to the CPU."""
    with torch.no_grad():
        parts = [parameter.detach().reshape(-1).to("cpu", torch.float32) for parameter in module.parameters()]
        return torch.cat(parts).numpy().copy()


def load_vector(module: nn.Module, weights: np.ndarray) -> None:
    """Overwrites all parameters with `weights`, float32[d]. Raises `TrainingFailed` if d is not theirs."""
    parameters = list(module.parameters())
    dimension = sum(parameter.numel() for parameter in parameters)
    if weights.shape != (dimension,):
        raise TrainingFailed(f"weights of shape {list(weights.shape)} for a module with {dimension} parameters")
    source = torch.from_numpy(np.array(weights, np.float32))
    with torch.no_grad():
        start = 0
        for parameter in parameters:
            part = source[start : start + parameter.numel()]
            parameter.copy_(part.reshape(parameter.shape))
            start += parameter.numel()
