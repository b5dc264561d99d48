"""Many models of one architecture at once, in torch: all trainers of a round train in one batched pass, and the
models of all coalitions are evaluated in a few.

A stack is a float32[k, d] of models in canonical order. Everything runs on one thread, so that the same inputs give
the same numbers on one machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch.nn import functional

from cohort_protocol.learning.architecture import Architecture, Mlp
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.repeatable import repeatable
from cohort_protocol.rehearsal.errors import RehearsalInvalid
from cohort_protocol.spec import HyperParameters

CHUNK_VALUES = 1 << 24
"""Most activations of one layer at a time while evaluating."""


class Stacks:
    """Forward passes, training and gradients for stacks of one architecture (families mlp and digits-cnn)."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self._shapes = [shape.shape for shape in architecture.parameter_shapes()]
        self._sizes = [prod(shape) for shape in self._shapes]
        if architecture.family not in ("mlp", "digits-cnn"):
            raise RehearsalInvalid(f"family {architecture.family!r} cannot be rehearsed; mlp and digits-cnn can")
        # Of one example, the values of the widest layer; CNNs are evaluated one by one, which is faster than in groups.
        self._widest = max(shape[0] for shape in self._shapes)
        self._forward = self._mlp if isinstance(architecture.config, Mlp) else self._cnn

    # --- forward ---------------------------------------------------------------------------------------------------

    def logits(self, models: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """models: [k, d]; inputs: [k, b, *shape] (one batch per model) -> [k, b, classes]."""
        parts = [
            part.reshape(len(models), *shape)
            for part, shape in zip(torch.split(models, self._sizes, 1), self._shapes, strict=True)
        ]
        return self._forward(parts, inputs)

    def _mlp(self, parts: list[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        values = inputs.flatten(2)
        for index in range(0, len(parts), 2):
            values = torch.baddbmm(parts[index + 1].unsqueeze(1), values, parts[index].transpose(1, 2))
            if index + 2 < len(parts):
                values = functional.relu(values)
        return values

    def _cnn(self, parts: list[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
        k, b = inputs.shape[:2]
        maps = inputs.transpose(0, 1).flatten(1, 2)
        for index in (0, 2):
            maps = functional.relu(
                functional.conv2d(maps, parts[index].flatten(0, 1), parts[index + 1].flatten(), padding=1, groups=k)
            )
        maps = _pooled(maps)
        values = maps.reshape(b, k, -1).transpose(0, 1)
        values = functional.relu(torch.baddbmm(parts[5].unsqueeze(1), values, parts[4].transpose(1, 2)))
        return torch.baddbmm(parts[7].unsqueeze(1), values, parts[6].transpose(1, 2))

    # --- training --------------------------------------------------------------------------------------------------

    def train(
        self,
        start: np.ndarray,
        datasets: Sequence[Dataset],
        hyper: HyperParameters,
        round: int,
        seeds: Sequence[Sequence[int]],
    ) -> np.ndarray:
        """Local training as `learning.training.train` does it, for all trainers at once: SGD on the cross-entropy.

        start: float32[d], where everybody begins; round: from 1; seeds: one per data set, for the order of its
        examples. Returns the changes float32[k, d]."""
        plans = [
            _plan(len(dataset), hyper, np.random.default_rng(seed))
            for dataset, seed in zip(datasets, seeds, strict=True)
        ]
        # The longest first: whoever has fewer steps drops out at the end of the stack.
        order = sorted(range(len(datasets)), key=lambda index: -len(plans[index][0]))
        offsets = np.cumsum([0, *(len(datasets[index]) for index in order)])
        inputs = _shifts(torch.from_numpy(np.concatenate([datasets[i].inputs for i in order])), hyper.augment_shift)
        labels = torch.from_numpy(np.concatenate([datasets[i].labels for i in order]))
        rate = hyper.learning_rate * hyper.learning_rate_decay ** (round - 1)
        lengths = [len(plans[index][0]) for index in order]
        rows, shifts, valid = _by_step([plans[index] for index in order], offsets)
        models = torch.from_numpy(np.repeat(start[None], len(order), 0).astype(np.float32))
        with repeatable():
            for step in range(lengths[0] if lengths else 0):
                active = sum(length > step for length in lengths)
                index, filled = rows[step, :active], valid[step, :active]
                leaf = models[:active].detach().requires_grad_()
                losses = functional.cross_entropy(
                    self.logits(leaf, inputs[shifts[step, :active], index]).flatten(0, 1),
                    labels[index].flatten(),
                    reduction="none",
                ).reshape(active, -1)
                total = ((losses * filled).sum(1) / filled.sum(1)).sum()
                (slope,) = torch.autograd.grad(total, leaf)
                models[:active].sub_(slope, alpha=rate)
        result = np.empty((len(order), len(start)), np.float32)
        result[order] = models.numpy()
        return result - start[None]

    # --- gradients and values --------------------------------------------------------------------------------------

    def gradient(self, model: np.ndarray, dataset: Dataset) -> np.ndarray:
        """Gradient of the mean cross-entropy. model: float32[d]. Returns float32[d]."""
        with repeatable():
            leaf = torch.from_numpy(model[None].astype(np.float32)).requires_grad_()
            logits = self.logits(leaf, torch.from_numpy(dataset.inputs)[None])[0]
            loss = functional.cross_entropy(logits, torch.from_numpy(dataset.labels))
            return torch.autograd.grad(loss, leaf)[0][0].numpy()

    def class_gradients(self, model: np.ndarray, dataset: Dataset) -> np.ndarray:
        """Per class, the part of the gradient of the mean cross-entropy that its examples give: float32[classes, d]."""
        classes = self.architecture.data.classes
        result = np.zeros((classes, len(model)), np.float32)
        for label in range(classes):
            chosen = dataset.take(np.flatnonzero(dataset.labels == label))
            if len(chosen):
                result[label] = self.gradient(model, chosen) * np.float32(len(chosen) / len(dataset))
        return result

    def values(self, models: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Every model on every example. models: float32[k, d]. Returns (cross-entropy float32[k, b], correct
        bool[k, b])."""
        inputs, labels = torch.from_numpy(dataset.inputs), torch.from_numpy(dataset.labels)
        losses = np.empty((len(models), len(dataset)), np.float32)
        correct = np.empty((len(models), len(dataset)), bool)
        chunk = 1 if self.architecture.family == "digits-cnn" else max(1, CHUNK_VALUES // (self._widest * len(dataset)))
        with repeatable(), torch.inference_mode():
            for first in range(0, len(models), chunk):
                part = torch.from_numpy(np.ascontiguousarray(models[first : first + chunk], np.float32))
                logits = self.logits(part, inputs.unsqueeze(0).expand(len(part), *inputs.shape))
                wanted = labels.expand(len(part), -1)
                losses[first : first + chunk] = functional.cross_entropy(
                    logits.flatten(0, 1), wanted.flatten(), reduction="none"
                ).reshape(len(part), -1)
                correct[first : first + chunk] = (logits.argmax(2) == wanted).numpy()
        return losses, correct

    def logits_on(self, models: np.ndarray, dataset: Dataset) -> np.ndarray:
        """Logits of every model on every example, float32[k, b, classes]."""
        inputs = torch.from_numpy(dataset.inputs)
        with repeatable(), torch.inference_mode():
            part = torch.from_numpy(np.ascontiguousarray(models, np.float32))
            return self.logits(part, inputs.unsqueeze(0).expand(len(part), *inputs.shape)).numpy()


def _plan(count: int, hyper: HyperParameters, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The examples of every step of a trainer: indices int64[steps, batch], which shift of the image int64[steps,
    batch], and whether the place is filled float32[steps, batch]."""
    batch = hyper.batch_size
    per_epoch = -(-count // batch)
    rows = np.zeros((hyper.local_epochs, per_epoch * batch), np.int64)
    valid = np.zeros((hyper.local_epochs, per_epoch * batch), np.float32)
    for epoch in range(hyper.local_epochs):
        rows[epoch, :count] = random.permutation(count)
        valid[epoch, :count] = 1
    shift = random.integers(0, (2 * hyper.augment_shift + 1) ** 2, rows.size)
    return rows.reshape(-1, batch), shift.reshape(-1, batch), valid.reshape(-1, batch)


def _by_step(
    plans: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], offsets: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Plans of several trainers, the longest first, with the steps in front: [steps, trainers, batch] each. offsets:
    where the examples of each trainer begin. Places after a trainer's last step are zeros."""
    steps, batch = plans[0][0].shape if plans else (0, 0)
    result = []
    for part, kind in ((0, np.int64), (1, np.int64), (2, np.float32)):
        whole = np.zeros((steps, len(plans), batch), kind)
        for place, plan in enumerate(plans):
            whole[: len(plan[part]), place] = plan[part] + offsets[place] if part == 0 else plan[part]
        result.append(torch.from_numpy(whole))
    return result[0], result[1], result[2]


def _pooled(maps: torch.Tensor) -> torch.Tensor:
    """The largest of every 2 x 2 pixels. While nothing is learnt, by comparing four slices: the same numbers, several
    times as fast. (Where two pixels tie, their gradients differ.)"""
    if torch.is_grad_enabled():
        return functional.max_pool2d(maps, 2)
    height, width = maps.shape[-2] // 2 * 2, maps.shape[-1] // 2 * 2
    rows = torch.maximum(maps[..., 0:height:2, :width], maps[..., 1:height:2, :width])
    return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def _shifts(images: torch.Tensor, reach: int) -> torch.Tensor:
    """All shifts of images [k, c, h, w] by up to `reach` pixels each way, zeros coming in: [(2 reach + 1)^2, k, ...].
    Other shapes have one."""
    if reach == 0 or images.ndim != 4:
        return images.unsqueeze(0).expand((2 * reach + 1) ** 2, *images.shape)
    height, width = images.shape[2:]
    padded = functional.pad(images, (reach,) * 4)
    return torch.stack(
        [
            padded[:, :, down : down + height, right : right + width]
            for down in range(2 * reach + 1)
            for right in range(2 * reach + 1)
        ]
    )
