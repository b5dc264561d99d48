"""Partitions: every example once, sizes, and what each name promises."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_protocol.learning.data import Dataset
from cohort_protocol.rehearsal.errors import RehearsalInvalid, UnknownPartition
from cohort_protocol.rehearsal.partitions import SMALLEST, known_partitions, split

CLASSES = 5


def numbered(count: int = 800) -> Dataset:
    """Examples whose first value is their number, so that one can be recognised."""
    random = np.random.default_rng(1)
    inputs = random.standard_normal((count, 3)).astype(np.float32)
    inputs[:, 0] = np.arange(count)
    return Dataset(inputs, random.integers(0, CLASSES, count))


@pytest.mark.parametrize("name", [name for name in known_partitions() if name != "feature-noise"])
@pytest.mark.parametrize("parts", [1, 2, 8, 10])
def test_every_example_goes_to_one_trainer_and_nobody_has_too_few(name: str, parts: int) -> None:
    data = numbered()
    shards = split(name, data, parts, 3, CLASSES)
    assert len(shards) == parts
    assert min(len(shard) for shard in shards) >= SMALLEST
    assert sorted(number for shard in shards for number in shard.inputs[:, 0].tolist()) == list(range(len(data)))


@pytest.mark.parametrize("name", known_partitions())
def test_the_seed_decides(name: str) -> None:
    data = numbered()
    first, again, other = (split(name, data, 6, seed, CLASSES) for seed in (3, 3, 4))
    assert all(np.array_equal(a.inputs, b.inputs) for a, b in zip(first, again, strict=True))
    assert any(
        a.inputs.shape != b.inputs.shape or not np.array_equal(a.inputs, b.inputs)
        for a, b in zip(first, other, strict=True)
    )


def test_unequal_means_unequal() -> None:
    sizes = sorted(len(shard) for shard in split("iid-unequal", numbered(), 8, 0, CLASSES))
    assert sizes[-1] > 2.5 * sizes[0]


def test_label_noise_grows_from_none_to_six_in_ten() -> None:
    data = numbered(4000)
    shards = split("label-noise", data, 5, 0, CLASSES)
    wrong = sorted(float(np.mean(shard.labels != data.labels[shard.inputs[:, 0].astype(int)])) for shard in shards)
    assert wrong == pytest.approx([0, 0.15, 0.3, 0.45, 0.6], abs=0.05)


def test_feature_noise_leaves_one_trainer_clean() -> None:
    data = numbered(4000)
    spread = sorted(float(shard.inputs[:, 1:].std()) for shard in split("feature-noise", data, 5, 0, CLASSES))
    assert spread[0] == pytest.approx(float(data.inputs[:, 1:].std()), rel=0.1)
    assert spread[-1] > 10 * spread[0]


def test_class_missing_leaves_every_class_with_somebody() -> None:
    for seed in range(5):
        shards = split("class-missing", numbered(), 6, seed, CLASSES)
        held = [set(shard.labels.tolist()) for shard in shards]
        assert set.union(*held) == set(range(CLASSES))
        assert any(len(classes) < CLASSES for classes in held)


@pytest.mark.parametrize("name", ["dirichlet-", "dirichlet-x", "dirichlet-0", "dirichlet-nan", "cid", ""])
def test_an_unknown_partition_is_an_error_that_says_what_is_known(name: str) -> None:
    with pytest.raises(UnknownPartition, match=r"class-missing|number from"):
        split(name, numbered(), 4, 0, CLASSES)


def test_too_many_trainers_are_refused() -> None:
    with pytest.raises(RehearsalInvalid, match="fewer trainers"):
        split("iid", numbered(100), 7, 0, CLASSES)
