"""The library's attacks as training functions of the market."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.learning.architecture import initial_weights, parse_architecture
from cohort_protocol.learning.data import digits_data_spec
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.plugin import load_train_function
from cohort_protocol.learning.training import LocalTask, local_update, train
from cohort_protocol.spec import HyperParameters

LIBRARY = Path(__file__).parent / "library.py"
NAMES = ("label_flip", "back_door", "scaling", "zeros", "step_noise", "step_training", "few_examples")


def task(step: np.ndarray | None = None) -> LocalTask:
    random = np.random.default_rng(4)
    architecture = parse_architecture("mlp", {"hidden": [8]}, digits_data_spec())
    return LocalTask(
        model=build_module(architecture, initial_weights(architecture, 3)),
        inputs=random.random((40, 1, 8, 8), np.float32),
        labels=random.integers(0, 10, 40),
        hyper=HyperParameters(local_epochs=2, augment_shift=0),
        round=2,
        seed=9,
        previous_step=step,
    )


def sent(name: str, given: LocalTask) -> np.ndarray:
    return local_update(load_train_function(f"{LIBRARY}:{name}"), given, -14)


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_a_training_function_with_and_without_a_last_step(name: str) -> None:
    dimension = len(local_update(train, task(), -14))
    for step in (None, np.linspace(-0.1, 0.1, dimension, dtype=np.float32)):
        first, again = sent(name, task(step)), sent(name, task(step))
        assert np.array_equal(first, again)
        assert first.any() == (name != "zeros")
        assert not np.array_equal(first, local_update(train, task(step), -14))


def test_scaling_is_honest_work_twice_as_long() -> None:
    honest = local_update(train, task(), -14).astype(int)
    assert np.abs(sent("scaling", task()).astype(int) - 2 * honest).max() <= 2


def test_step_and_noise_points_where_the_last_step_went() -> None:
    step = np.linspace(-0.1, 0.1, len(local_update(train, task(), -14)), dtype=np.float32)
    update = sent("step_noise", task(step)).astype(float)
    assert update @ step / np.linalg.norm(update) / np.linalg.norm(step) > 0.8
