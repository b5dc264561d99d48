"""What a simulated market trains: a data set, a model family and hyper-parameters. No torch.

Three data sets, all without a download: scikit-learn's digits, synthetic patterns of any shape and number of classes
(so that every project spec can be rehearsed), and an owner's own file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from cohort_protocol.learning.architecture import Architecture, parse_architecture
from cohort_protocol.learning.data import Dataset, digits_data_spec
from cohort_protocol.rehearsal.errors import RehearsalInvalid, UnknownTask
from cohort_protocol.spec import DataSpec, HyperParameters

REFERENCE = 300
"""Examples that judge everybody afterwards; nobody trains on them and no batch shows them."""
MANY_REFERENCE = 1_200
"""Of tasks that can make as many as they like. On 300 examples, the Shapley values of late rounds are half noise."""
PUBLIC = 640
"""Examples from which the owner's validation batches are cut."""

MODEST = HyperParameters(learning_rate=0.1, learning_rate_decay=0.93, local_epochs=4, batch_size=16, augment_shift=0)


@dataclass(frozen=True)
class Task:
    """A data set, split, and the model that learns it."""

    name: str
    architecture: Architecture
    hyper: HyperParameters
    exponent: int
    train: Dataset
    """Split among the trainers."""
    public: Dataset
    """The owner's: validation batches, revealed one per round."""
    reference: Dataset
    """The judge's: accuracy and exact Shapley values are measured on it."""

    @property
    def data(self) -> DataSpec:
        """Shape and classes."""
        return self.architecture.data


def split_task(
    name: str,
    everything: Dataset,
    architecture: Architecture,
    seed: int,
    hyper: HyperParameters = MODEST,
    exponent: int = -14,
    reference: int = REFERENCE,
    public: int = PUBLIC,
) -> Task:
    """Shuffles a data set by the seed and splits it in three. Raises `RehearsalInvalid` if too little is left."""
    least = reference + public + 4 * architecture.data.classes
    if len(everything) < least:
        raise RehearsalInvalid(
            f"task {name!r} has {len(everything)} examples; {reference} judge, {public} are the owner's, so that at "
            f"least {least} are needed"
        )
    order = np.random.default_rng([seed, 0x5917]).permutation(len(everything))
    cut = reference + public
    return Task(
        name=name,
        architecture=architecture,
        hyper=hyper,
        exponent=exponent,
        train=everything.take(order[cut:]),
        public=everything.take(order[reference:cut]),
        reference=everything.take(order[:reference]),
    )


def digits() -> Dataset:
    """scikit-learn's digits (Alpaydin and Kaynak, UCI, 1998): 1,797 images float32[1, 8, 8]. Needs scikit-learn."""
    from sklearn.datasets import load_digits  # only this sample needs it

    sample = load_digits()
    data = digits_data_spec()
    inputs = (sample.images.astype(np.float32) / np.float32(data.scale)).reshape(-1, *data.shape)
    return Dataset(inputs, sample.target.astype(np.int64))


def patterns(data: DataSpec, count: int, seed: int, modes: int = 2, noise: float = 0.8) -> Dataset:
    """Synthetic examples of any shape: every class is a mixture of `modes` smooth random fields, seen through a random
    shift (images), a random gain and Gaussian noise. Small MLPs reach about nine in ten.

    count >= classes. The same seed gives the same classes and examples."""
    random = np.random.default_rng([seed, 0x9A77])
    fields = _smooth(random.standard_normal((data.classes, modes, *data.shape)))
    fields /= fields.std(axis=tuple(range(2, fields.ndim)), keepdims=True) + 1e-9
    labels = random.integers(0, data.classes, count)
    chosen = fields[labels, random.integers(0, modes, count)]
    if len(data.shape) == 3:
        shifts = random.integers(-1, 2, (count, 2))
        for vertical in (-1, 0, 1):
            for horizontal in (-1, 0, 1):
                here = (shifts[:, 0] == vertical) & (shifts[:, 1] == horizontal)
                chosen[here] = np.roll(chosen[here], (vertical, horizontal), (2, 3))
    gain = random.uniform(0.6, 1.4, (count,) + (1,) * len(data.shape))
    inputs = gain * chosen + noise * random.standard_normal(chosen.shape)
    return Dataset((0.5 * inputs).astype(np.float32), labels.astype(np.int64))


def _smooth(fields: np.ndarray) -> np.ndarray:
    """Averages neighbours along the last two axes of images; other shapes stay rough."""
    if fields.ndim < 5:
        return fields
    for axis in (-1, -2):
        fields = (np.roll(fields, 1, axis) + 2 * fields + np.roll(fields, -1, axis)) / 4
    return fields


def _digits_task(family: str, config: dict[str, Any], seed: int, shift: int = 0) -> Task:
    hyper = MODEST.model_copy(update={"augment_shift": shift})
    return split_task("digits", digits(), parse_architecture(family, config, digits_data_spec()), seed, hyper)


PATTERN_DATA = DataSpec(shape=[1, 8, 8], classes=8, description="Synthetic patterns.")


def _patterns_task(family: str, config: dict[str, Any], seed: int) -> Task:
    # Plenty of the owner's examples: every batch of a run is fresh.
    public = 16 * 128
    everything = patterns(PATTERN_DATA, 900 + MANY_REFERENCE + public, seed)
    architecture = parse_architecture(family, config, PATTERN_DATA)
    return split_task("patterns", everything, architecture, seed, MODEST, reference=MANY_REFERENCE, public=public)


def project_task(
    architecture: Architecture, hyper: HyperParameters, exponent: int, seed: int, everything: Dataset | None = None
) -> Task:
    """The task of a project: its model, hyper-parameters and exponent on `everything`, or on synthetic patterns of the
    project's shape and classes. Raises `RehearsalInvalid`."""
    if everything is None:
        data = architecture.data
        everything = patterns(data, max(900, 40 * data.classes) + REFERENCE + PUBLIC, seed)
        return split_task("patterns of the project's shape", everything, architecture, seed, hyper, exponent)
    fifth = len(everything) // 5
    return split_task(
        "own data", everything, architecture, seed, hyper, exponent, min(REFERENCE, fifth), min(PUBLIC, fifth)
    )


SMALL_CNN = {"first_channels": 6, "second_channels": 12, "hidden": 32}

_TASKS: dict[str, Callable[[int], Task]] = {
    "digits-mlp": lambda seed: _digits_task("mlp", {"hidden": [48]}, seed),
    "digits-cnn": lambda seed: _digits_task("digits-cnn", SMALL_CNN, seed),
    "digits-cnn-demo": lambda seed: _digits_task("digits-cnn", {}, seed, shift=1),
    "patterns-mlp": lambda seed: _patterns_task("mlp", {"hidden": [48]}, seed),
    "patterns-cnn": lambda seed: _patterns_task("digits-cnn", SMALL_CNN, seed),
}


def known_tasks() -> tuple[str, ...]:
    """The names that `task_by_name` accepts."""
    return tuple(sorted(_TASKS))


def task_by_name(name: str, seed: int) -> Task:
    """A bundled task, split by the seed. Raises `UnknownTask`."""
    build = _TASKS.get(name)
    if build is None:
        raise UnknownTask(f"there is no task {name!r}; known are: {', '.join(known_tasks())}")
    return build(seed)


def example_size(data: DataSpec) -> int:
    """Values of one example."""
    return prod(data.shape)
