"""Local training of one trainer: data, training function, seed. Imports torch when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from cohort_protocol.learning.data import Dataset, read_dataset
from cohort_protocol.learning.errors import DatasetInvalid
from cohort_protocol.update import floats_from_model, step_between
from eth_utils import keccak

from cohort_trainer.errors import DataDoesNotFit
from cohort_trainer.projects import VerifiedProject

if TYPE_CHECKING:
    from cohort_protocol.learning.training import TrainFunction


def own_data(project: VerifiedProject, path: Path) -> Dataset:
    """The trainer's data as the project reads it. Raises `DataDoesNotFit`, which names file and line."""
    try:
        return read_dataset(path, project.spec.data)
    except DatasetInvalid as error:
        shape = " x ".join(map(str, project.spec.data.shape))
        raise DataDoesNotFit(
            f"{error}. Project {project.id} trains on examples of shape {shape} with labels 0 .. "
            f"{project.spec.data.classes - 1}"
        ) from error


def seed_of(address: str) -> int:
    """A trainer's own seed when none is given: the same after every restart, another for every key."""
    return int.from_bytes(keccak(bytes.fromhex(address[2:]))[:4], "big")


@dataclass
class LocalTraining:
    """What `update` needs besides the round. Deterministic: the same round, models and seed give the same bytes."""

    project: VerifiedProject
    dataset: Dataset
    seed: int
    reference: str = ""
    """path/to/file.py:function or package.module:function; empty for the built-in training."""
    device: str = "cpu"
    _function: TrainFunction | None = field(default=None, init=False, repr=False)

    def prepare(self) -> None:
        """Loads torch and the training function. Raises `TrainFunctionInvalid`, `TrainingFailed` (no such device)."""
        import torch
        from cohort_protocol.learning.errors import TrainingFailed
        from cohort_protocol.learning.training import train

        if self._function is not None:
            return
        # Several trainers share a machine, and sums in one order are what makes bytes repeatable.
        torch.set_num_threads(1)
        # The first optimiser of a process loads a second's worth of torch: better now than in the first round.
        torch.optim.SGD([torch.zeros(1)], lr=0.1)
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise TrainingFailed(f"--device {self.device}: torch sees no CUDA device on this machine; use --device cpu")
        if self.reference:
            from cohort_protocol.learning.plugin import load_train_function

            self._function = load_train_function(self.reference)
        else:
            self._function = train

    @property
    def needs_previous_step(self) -> bool:
        """Whether the training function may read the last change of the global model; ours does not."""
        return bool(self.reference)

    def update(self, round: int, model: np.ndarray, previous: np.ndarray | None, seed: int) -> np.ndarray:
        """The update of one round, int16[d].

        model: int64[d], where the round starts; previous: int64[d], the last model that differed from it, or None.
        seed: the trainer's, usually `self.seed`. Raises `TrainingFailed`, `UpdateMalformed` (weights not finite).
        """
        self.prepare()
        from cohort_protocol.learning.families import build_module
        from cohort_protocol.learning.training import LocalTask, local_seed, local_update

        spec = self.project.spec
        exponent = spec.model.exponent
        weights = floats_from_model(model, exponent)
        task = LocalTask(
            model=build_module(self.project.architecture, weights),
            inputs=self.dataset.inputs,
            labels=self.dataset.labels,
            hyper=spec.training,
            round=round,
            seed=local_seed(spec.seed, round, seed),
            previous_step=None if previous is None else floats_from_model(step_between(previous, model), exponent),
            device=self.device,
        )
        assert self._function is not None
        return local_update(self._function, task, exponent)
