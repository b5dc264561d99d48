"""Local training: what an honest trainer does in a round, and the plug-in contract for anything else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cohort_protocol.errors import CohortError
from cohort_protocol.learning.errors import TrainingFailed
from cohort_protocol.learning.repeatable import repeatable
from cohort_protocol.learning.vector import flatten
from cohort_protocol.spec import HyperParameters
from cohort_protocol.update import quantise


@dataclass(frozen=True)
class LocalTask:
    """What a trainer has in hand in one round."""

    model: nn.Module
    """At the round's weights. A training function must leave it as it is and return another."""
    inputs: np.ndarray
    """float32[k, *shape], scaled."""
    labels: np.ndarray
    """int64[k]."""
    hyper: HyperParameters
    round: int
    """From 1."""
    seed: int
    """Of this trainer in this round; see `local_seed`."""
    previous_step: np.ndarray | None
    """The last change of the global model in real units, float32[d]; None before there was one."""
    device: str = "cpu"


TrainFunction = Callable[[LocalTask], nn.Module]
"""The plug-in contract: takes the task, returns the trained module, of the same parameters."""


def local_seed(project_seed: int, round: int, trainer_seed: int) -> int:
    """The seed of one trainer in one round, in 0 .. 2^63 - 1: no two rounds or trainers shuffle alike."""
    text = f"cohort/local-seed/v1/{project_seed}/{round}/{trainer_seed}"
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 1


def train(task: LocalTask) -> nn.Module:
    """Honest training: plain stochastic gradient descent on the cross-entropy, with random shifts of images.

    The same task gives the same weights on the same machine and device. Runs on one thread."""
    random = np.random.default_rng(task.seed)
    hyper = task.hyper
    rate = hyper.learning_rate * hyper.learning_rate_decay ** (task.round - 1)
    with repeatable():
        module = copy.deepcopy(task.model).to(task.device).train()
        inputs = torch.from_numpy(np.ascontiguousarray(task.inputs)).to(task.device)
        labels = torch.from_numpy(np.ascontiguousarray(task.labels)).to(task.device)
        optimiser = torch.optim.SGD(module.parameters(), lr=rate)
        for _ in range(hyper.local_epochs):
            order = torch.from_numpy(random.permutation(len(task.labels))).to(task.device)
            for start in range(0, len(order), hyper.batch_size):
                batch = order[start : start + hyper.batch_size]
                images = _shifted(inputs[batch], hyper.augment_shift, random)
                optimiser.zero_grad(set_to_none=True)
                functional.cross_entropy(module(images), labels[batch]).backward()
                optimiser.step()
    return module


def local_update(train_function: TrainFunction, task: LocalTask, exponent: int) -> np.ndarray:
    """Runs a training function and returns its update, int16[d], d that of the model.

    Raises `TrainingFailed` if the function raises or returns something else than a trained copy, `UpdateMalformed`
    if the trained weights are not finite."""
    before = flatten(task.model)
    try:
        trained = train_function(task)
    except CohortError:
        raise
    except Exception as error:  # somebody else's code: whatever it raises is reported as its failure
        raise TrainingFailed(f"the training function raised {type(error).__name__}: {error}") from error
    if not isinstance(trained, nn.Module):
        raise TrainingFailed(f"the training function returned {type(trained).__name__}, expected a torch module")
    if not np.array_equal(before, flatten(task.model)):
        raise TrainingFailed("the training function changed task.model: train a copy (copy.deepcopy) and return it")
    after = flatten(trained)
    if after.shape != before.shape:
        raise TrainingFailed(f"the trained module has {after.size} parameters, the task's has {before.size}")
    return quantise(after - before, exponent)


def _shifted(images: torch.Tensor, reach: int, random: np.random.Generator) -> torch.Tensor:
    """Moves every image [b, c, h, w] by up to `reach` pixels each way, zeros coming in. Other shapes stay."""
    if reach == 0 or images.ndim != 4:
        return images
    count, _, height, width = images.shape
    offsets = torch.from_numpy(random.integers(0, 2 * reach + 1, (2, count))).to(images.device)
    padded = functional.pad(images, (reach,) * 4)
    rows = (offsets[0, :, None] + torch.arange(height, device=images.device))[:, :, None]
    columns = (offsets[1, :, None] + torch.arange(width, device=images.device))[:, None, :]
    which = torch.arange(count, device=images.device)[:, None, None]
    # Indices around a slice put the sliced axis last: [b, h, w, c].
    return padded[which, :, rows, columns].permute(0, 3, 1, 2)
