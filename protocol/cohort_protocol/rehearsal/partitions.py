"""How data differ from trainer to trainer: six ways of the literature, each from a seed. No torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cohort_protocol.learning.data import Dataset, dirichlet_partition
from cohort_protocol.rehearsal.errors import RehearsalInvalid, UnknownPartition

SMALLEST = 16
"""Examples that every trainer has at least."""
DIRICHLET = "dirichlet-"


def known_partitions() -> tuple[str, ...]:
    """The names that `split` accepts, with an example of the one that has a parameter."""
    return (*sorted(_PARTITIONS), f"{DIRICHLET}0.5", f"{DIRICHLET}0.1")


def split(name: str, dataset: Dataset, parts: int, seed: int, classes: int) -> list[Dataset]:
    """Splits `dataset` among `parts` trainers, no example twice. Raises `UnknownPartition`, `RehearsalInvalid`.

    iid: equal and alike. iid-unequal: sizes from about 0.3 to 1.9 of the mean. dirichlet-A: every class by its own
    Dirichlet(A) (Hsu et al., 2019). label-noise, feature-noise: equal, alike, and trainer a of n has a part a/(n-1) of
    the worst noise (60% wrong labels; Gaussian noise of 1.5 standard deviations), as in CML and data-valuation
    papers. class-missing: every trainer lacks about a third of the classes."""
    if parts < 1 or parts * SMALLEST > len(dataset):
        raise RehearsalInvalid(
            f"{len(dataset)} examples among {parts} trainers: each needs {SMALLEST}; ask for fewer trainers"
        )
    random = np.random.default_rng([seed, 0x517])
    if name.startswith(DIRICHLET):
        indices = dirichlet_partition(dataset.labels, parts, _alpha(name), SMALLEST, seed)
        return [dataset.take(part) for part in indices]
    build = _PARTITIONS.get(name)
    if build is None:
        raise UnknownPartition(f"there is no partition {name!r}; known are: {', '.join(known_partitions())}")
    return build(dataset, parts, random, classes)


def _alpha(name: str) -> float:
    text = name.removeprefix(DIRICHLET)
    try:
        alpha = float(text)
    except ValueError:
        alpha = 0.0
    if not 0.01 <= alpha <= 1000:
        raise UnknownPartition(f"{name!r}: after {DIRICHLET!r} stands a number from 0.01 to 1000, such as 0.5")
    return alpha


def _iid(dataset: Dataset, parts: int, random: np.random.Generator, classes: int) -> list[Dataset]:
    return [dataset.take(part) for part in np.array_split(random.permutation(len(dataset)), parts)]


def _iid_unequal(dataset: Dataset, parts: int, random: np.random.Generator, classes: int) -> list[Dataset]:
    shares = random.permutation(np.linspace(0.3, 1.9, parts)) * random.uniform(0.85, 1.15, parts)
    spare = len(dataset) - parts * SMALLEST
    cuts = np.floor(np.cumsum(shares / shares.sum()) * spare).astype(np.int64) + SMALLEST * np.arange(1, parts + 1)
    return [dataset.take(part) for part in np.split(random.permutation(len(dataset)), cuts[:-1])]


def _label_noise(dataset: Dataset, parts: int, random: np.random.Generator, classes: int) -> list[Dataset]:
    result = []
    for level, part in zip(_levels(parts, random), _iid(dataset, parts, random, classes), strict=True):
        wrong = random.random(len(part)) < 0.6 * level
        other = (part.labels + random.integers(1, classes, len(part))) % classes
        result.append(Dataset(part.inputs, np.where(wrong, other, part.labels)))
    return result


def _feature_noise(dataset: Dataset, parts: int, random: np.random.Generator, classes: int) -> list[Dataset]:
    size = float(dataset.inputs.std())
    result = []
    for level, part in zip(_levels(parts, random), _iid(dataset, parts, random, classes), strict=True):
        noise = random.standard_normal(part.inputs.shape).astype(np.float32)
        result.append(Dataset(part.inputs + np.float32(1.5 * level * size) * noise, part.labels))
    return result


def _class_missing(dataset: Dataset, parts: int, random: np.random.Generator, classes: int) -> list[Dataset]:
    """Every class is held by about two thirds of the trainers, by one at least."""
    holds = random.random((parts, classes)) > 1 / 3
    for label in range(classes):
        if not holds[:, label].any():
            holds[random.integers(parts), label] = True
    owner = np.empty(len(dataset), np.int64)
    for label in range(classes):
        of_class = random.permutation(np.flatnonzero(dataset.labels == label))
        holders = np.flatnonzero(holds[:, label])
        owner[of_class] = holders[np.arange(len(of_class)) % len(holders)]
    sizes = np.bincount(owner, minlength=parts)
    while sizes.min() < SMALLEST:
        giver, taker = int(sizes.argmax()), int(sizes.argmin())
        owner[random.choice(np.flatnonzero(owner == giver))] = taker
        sizes = np.bincount(owner, minlength=parts)
    return [dataset.take(np.flatnonzero(owner == part)) for part in range(parts)]


def _levels(parts: int, random: np.random.Generator) -> np.ndarray:
    """0 .. 1 in equal steps, in an order of its own."""
    return random.permutation(np.linspace(0.0, 1.0, parts)) if parts > 1 else np.zeros(1)


_PARTITIONS: dict[str, Callable[[Dataset, int, np.random.Generator, int], list[Dataset]]] = {
    "iid": _iid,
    "iid-unequal": _iid_unequal,
    "label-noise": _label_noise,
    "feature-noise": _feature_noise,
    "class-missing": _class_missing,
}
