"""The errors of learning."""

from __future__ import annotations

from cohort_protocol.errors import CohortError, InvalidInput


class ArchitectureInvalid(InvalidInput):
    """An unknown model family, a configuration it does not accept, or data it cannot read."""

    code = "architecture-invalid"


class DatasetInvalid(InvalidInput):
    """A data file that does not hold what the project's data section asks for. Names the line."""

    code = "dataset-invalid"


class PartitionImpossible(InvalidInput):
    """Fewer examples than the shards need together."""

    code = "partition-impossible"


class TrainFunctionInvalid(InvalidInput):
    """A reference to a training function that cannot be loaded."""

    code = "train-function-invalid"


class TrainingFailed(CohortError):
    """A training function raised, or returned something that is not the trained model."""

    code = "training-failed"
