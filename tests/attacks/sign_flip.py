"""A cheat that trains honestly and sends the opposite."""

from __future__ import annotations

import copy

import torch
from cohort_protocol.learning.training import LocalTask
from cohort_protocol.learning.training import train as train_honestly
from torch import nn


def train(task: LocalTask) -> nn.Module:
    """The start minus the honest change."""
    trained = train_honestly(task).to("cpu")
    flipped = copy.deepcopy(task.model).to("cpu")
    with torch.no_grad():
        for weight, honest in zip(flipped.parameters(), trained.parameters(), strict=True):
            weight.mul_(2).sub_(honest)
    return flipped
