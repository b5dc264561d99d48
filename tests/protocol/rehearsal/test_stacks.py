"""The batched passes against the modules of the market, one model at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cohort_protocol.learning.architecture import Architecture, initial_weights, parse_architecture
from cohort_protocol.learning.data import Dataset, digits_data_spec
from cohort_protocol.learning.evaluation import evaluate
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.vector import flatten
from cohort_protocol.rehearsal.stacks import Stacks, _pooled
from cohort_protocol.spec import HyperParameters
from torch.nn import functional

SMALL = {"mlp": {"hidden": [7]}, "digits-cnn": {"first_channels": 3, "second_channels": 4, "hidden": 6}}
HYPER = HyperParameters(learning_rate=0.1, learning_rate_decay=0.9, local_epochs=2, batch_size=4, augment_shift=0)


def architecture(family: str) -> Architecture:
    return parse_architecture(family, SMALL[family], digits_data_spec())


def examples(count: int, seed: int) -> Dataset:
    random = np.random.default_rng(seed)
    return Dataset(random.random((count, 1, 8, 8), np.float32), random.integers(0, 10, count))


@pytest.mark.parametrize("family", SMALL)
def test_values_are_those_of_the_markets_own_modules(family: str) -> None:
    arch, data = architecture(family), examples(20, 0)
    models = np.stack([initial_weights(arch, seed) for seed in range(3)])
    losses, correct = Stacks(arch).values(models, data)
    for model, loss, right in zip(models, losses, correct, strict=True):
        expected = evaluate(build_module(arch, model), data)
        assert loss.mean() == pytest.approx(expected.loss, abs=1e-5)
        assert right.mean() == pytest.approx(expected.accuracy)


@pytest.mark.parametrize("size", [(8, 8), (5, 7)])
def test_pooling_gives_the_same_numbers_with_and_without_gradients(size: tuple[int, int]) -> None:
    maps = torch.randn(3, 4, *size, generator=torch.Generator().manual_seed(0)).relu()
    with torch.inference_mode():
        compared = _pooled(maps)
    assert torch.equal(compared, functional.max_pool2d(maps, 2))
    assert torch.equal(_pooled(maps), compared)


@pytest.mark.parametrize("family", SMALL)
def test_gradients_are_those_of_the_markets_own_modules(family: str) -> None:
    arch, data = architecture(family), examples(20, 0)
    weights = initial_weights(arch, 1)
    module = build_module(arch, weights)
    functional.cross_entropy(module(torch.from_numpy(data.inputs)), torch.from_numpy(data.labels)).backward()
    expected = np.concatenate([parameter.grad.reshape(-1).numpy() for parameter in module.parameters()])
    stacks = Stacks(arch)
    assert stacks.gradient(weights, data) == pytest.approx(expected, abs=1e-5)
    assert stacks.class_gradients(weights, data).sum(0) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", SMALL)
def test_training_together_is_training_alone(family: str) -> None:
    """Trainers with few and many examples, one of them not a multiple of the batch."""
    arch = architecture(family)
    start, stacks = initial_weights(arch, 1), Stacks(arch)
    data = [examples(5, 0), examples(17, 1), examples(8, 2)]
    seeds = [[9, index] for index in range(3)]
    together = stacks.train(start, data, HYPER, 2, seeds)
    for index in range(3):
        alone = stacks.train(start, [data[index]], HYPER, 2, [seeds[index]])[0]
        assert together[index] == pytest.approx(alone, abs=1e-5)
        assert together[index] == pytest.approx(one_by_one(arch, start, data[index], seeds[index], 2), abs=1e-5)


def one_by_one(arch: Architecture, start: np.ndarray, data: Dataset, seed: list[int], round: int) -> np.ndarray:
    """Plain SGD with the market's module and torch's own optimiser."""
    random = np.random.default_rng(seed)
    module = build_module(arch, start)
    optimiser = torch.optim.SGD(module.parameters(), HYPER.learning_rate * HYPER.learning_rate_decay ** (round - 1))
    for _ in range(HYPER.local_epochs):
        order = random.permutation(len(data))
        for first in range(0, len(order), HYPER.batch_size):
            batch = data.take(order[first : first + HYPER.batch_size])
            optimiser.zero_grad()
            functional.cross_entropy(module(torch.from_numpy(batch.inputs)), torch.from_numpy(batch.labels)).backward()
            optimiser.step()
    return flatten(module) - start


def test_shifts_move_images_and_nothing_else() -> None:
    arch, data = architecture("mlp"), examples(12, 0)
    shifting = HYPER.model_copy(update={"augment_shift": 1})
    start, stacks = initial_weights(arch, 1), Stacks(arch)
    plain, shifted, again = (stacks.train(start, [data], hyper, 1, [[3]])[0] for hyper in (HYPER, shifting, shifting))
    assert np.array_equal(shifted, again)
    assert not np.allclose(plain, shifted)
