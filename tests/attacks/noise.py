"""A free rider: never trains, sends noise of about the length that honest updates have.

Earlier updates are public, so a free rider knows their lengths; the last step of the global model tells it too.
Averaging shrinks a step to about `AVERAGED` times the updates it is made of, and the first round has a typical
length to guess.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from cohort_protocol.learning.training import LocalTask
from torch import nn

FIRST_LENGTH = 1.5
AVERAGED = 0.6


def length_of_honest_updates(task: LocalTask) -> float:
    """What a free rider believes it to be, in real units."""
    if task.previous_step is None:
        return FIRST_LENGTH
    return float(np.linalg.norm(task.previous_step)) / AVERAGED


def train(task: LocalTask) -> nn.Module:
    """The start plus Gaussian noise, other in every round."""
    random = np.random.default_rng([task.seed, 0x40153])
    noisy = copy.deepcopy(task.model).to("cpu")
    dimension = sum(weight.numel() for weight in noisy.parameters())
    noise = random.standard_normal(dimension)
    noise *= length_of_honest_updates(task) / np.linalg.norm(noise)
    with torch.no_grad():
        start = 0
        for weight in noisy.parameters():
            part = torch.from_numpy(noise[start : start + weight.numel()].astype(np.float32))
            weight.add_(part.reshape(weight.shape))
            start += weight.numel()
    return noisy
