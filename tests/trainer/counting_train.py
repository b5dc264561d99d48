"""A training function that leaves a line in a file each time it runs: what must not happen twice for one round."""

from __future__ import annotations

import os
from pathlib import Path

from cohort_protocol.learning.training import LocalTask
from cohort_protocol.learning.training import train as honest
from torch import nn


def train(task: LocalTask) -> nn.Module:
    """The honest training, counted. The file's name is in COUNT_TRAININGS."""
    with Path(os.environ["COUNT_TRAININGS"]).open("a") as file:
        file.write(f"{task.round}\n")
    return honest(task)
