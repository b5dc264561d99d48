"""What the demo's market trains: scikit-learn's digits, a small CNN, shards that differ from trainer to trainer.

Everything follows from the seed. No torch here: the market's own process needs none until it measures accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

from cohort_protocol.learning.architecture import Architecture, parse_architecture
from cohort_protocol.learning.data import Dataset, digits_data_spec, digits_splits, dirichlet_partition
from cohort_protocol.spec import DataSpec, PolicySpec

EXPONENT = -14
"""Updates are multiples of 2^-14: steps of 6e-5, up to 2."""
ALPHA = 0.5
SMALLEST_SHARD = 20
POLICY = PolicySpec(name="default")


@dataclass(frozen=True)
class Task:
    """The demo's data and model."""

    data: DataSpec
    architecture: Architecture
    shards: list[Dataset]
    """One per trainer."""
    validation: Dataset
    """The owner's: its batches are drawn from it, shown one per round when nobody can commit any more."""
    test: Dataset
    """The owner's; no trainer sees it."""


def demo_task(seed: int, trainers: int) -> Task:
    """The task of a seed. Raises `PartitionImpossible` (more trainers than examples allow)."""
    data = digits_data_spec()
    splits = digits_splits(seed)
    parts = dirichlet_partition(splits.train.labels, trainers, ALPHA, SMALLEST_SHARD, seed)
    return Task(
        data=data,
        architecture=parse_architecture("digits-cnn", {}, data),
        shards=[splits.train.take(part) for part in parts],
        validation=splits.validation,
        test=splits.test,
    )


def trainer_seed(index: int) -> int:
    """The own seed of trainer `index`: mixed with the project's and the round's, it decides its shuffles."""
    return index + 1
