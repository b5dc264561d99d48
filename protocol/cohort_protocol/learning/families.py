"""The model families of `architecture.py`, in torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cohort_protocol.learning.architecture import Architecture, DigitsCnn, Mlp
from cohort_protocol.learning.vector import load_vector


class DigitsCnnModule(nn.Module):
    """float32[b, channels, height, width] -> logits float32[b, classes]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        shapes = {shape.name: shape.shape for shape in architecture.parameter_shapes()}
        self.conv1 = nn.Conv2d(shapes["conv1.weight"][1], shapes["conv1.weight"][0], 3, padding=1)
        self.conv2 = nn.Conv2d(shapes["conv2.weight"][1], shapes["conv2.weight"][0], 3, padding=1)
        self.hidden = nn.Linear(shapes["hidden.weight"][1], shapes["hidden.weight"][0])
        self.output = nn.Linear(shapes["output.weight"][1], shapes["output.weight"][0])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        maps = functional.relu(self.conv2(functional.relu(self.conv1(inputs))))
        flat = functional.max_pool2d(maps, 2).flatten(1)
        return self.output(functional.relu(self.hidden(flat)))


class MlpModule(nn.Module):
    """float32[b, *shape] -> logits float32[b, classes]."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        weights = [shape.shape for shape in architecture.parameter_shapes() if len(shape.shape) == 2]
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for outputs, inputs in weights)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of a batch."""
        values = inputs.flatten(1)
        for layer in self.layers[:-1]:
            values = functional.relu(layer(values))
        return self.layers[-1](values)


_MODULES: dict[str, Callable[[Architecture], nn.Module]] = {
    DigitsCnn.family: DigitsCnnModule,
    Mlp.family: MlpModule,
}


def build_module(architecture: Architecture, weights: np.ndarray | None = None) -> nn.Module:
    """The module of an architecture, on the CPU. weights: float32[d] in canonical order, or None for zeros (real
    first weights come from `initial_weights`, which is the same on every machine)."""
    module = _MODULES[architecture.family](architecture)
    load_vector(module, np.zeros(architecture.dimension, np.float32) if weights is None else weights)
    return module
