"""A training function that leaves a line in a file each time it runs, and never gives the same result twice.

So a trainer that trained again for a round it has committed to would be caught by the file and by its commitments.
"""

from __future__ import annotations

import os
from pathlib import Path

from cohort_protocol.learning.training import LocalTask
from cohort_protocol.learning.training import train as honest
from torch import nn


def train(task: LocalTask) -> nn.Module:
    """The honest training, counted in the file named by COUNT_TRAININGS, its first tensor moved by 0.01 to 1.01."""
    with Path(os.environ["COUNT_TRAININGS"]).open("a") as file:
        file.write(f"{task.round}\n")
    trained = honest(task)
    noise = int.from_bytes(os.urandom(4), "big") / 2**32
    next(trained.parameters()).data.add_(0.01 + noise)
    return trained
