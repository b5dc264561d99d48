"""Local training, the plug-in contract and evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from cohort_protocol.errors import CohortError
from cohort_protocol.learning.architecture import initial_weights, parse_architecture
from cohort_protocol.learning.data import Dataset, digits_data_spec
from cohort_protocol.learning.errors import TrainFunctionInvalid, TrainingFailed
from cohort_protocol.learning.evaluation import evaluate, evaluate_model
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.plugin import load_train_function
from cohort_protocol.learning.training import LocalTask, _shifted, local_seed, local_update, train
from cohort_protocol.learning.vector import flatten
from cohort_protocol.spec import DataSpec, HyperParameters
from cohort_protocol.update import UpdateMalformed, dequantise, model_from_floats

ARCHITECTURE = parse_architecture("digits-cnn", {}, digits_data_spec())
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
WEIGHTS = initial_weights(ARCHITECTURE, 1)


def stripes(count=60, seed=0):
    """Images whose label is the row that is bright."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    inputs = 0.1 * random.standard_normal((count, 1, 8, 8)).astype(np.float32)
    for image, label in zip(inputs, labels, strict=True):
        image[0, 2 * label : 2 * label + 2] += 2
    return Dataset(inputs, labels.astype(np.int64))


def task(**changes):
    data = stripes()
    base = LocalTask(
        model=build_module(ARCHITECTURE, WEIGHTS),
        inputs=data.inputs,
        labels=data.labels,
        hyper=HyperParameters(),
        round=1,
        seed=5,
        previous_step=None,
    )
    return replace(base, **changes)


def test_training_learns_and_leaves_the_task_as_it_was():
    given = task()
    threads = torch.get_num_threads()
    before, after = evaluate(given.model, stripes(200, 1)), evaluate(train(given), stripes(200, 1))
    assert after.accuracy > 0.9 > before.accuracy
    assert after.loss < before.loss / 2
    assert np.array_equal(flatten(given.model), WEIGHTS)
    assert torch.get_num_threads() == threads


def test_the_same_task_gives_the_same_update_and_another_seed_does_not():
    first = local_update(train, task(), -14)
    assert first.dtype == np.int16
    assert np.array_equal(first, local_update(train, task(), -14))
    assert not np.array_equal(first, local_update(train, task(seed=6), -14))


def test_every_hyper_parameter_matters():
    plain = local_update(train, task(), -14)
    for change in (
        {"learning_rate": 0.05},
        {"local_epochs": 3},
        {"batch_size": 8},
        {"augment_shift": 0},
    ):
        assert not np.array_equal(plain, local_update(train, task(hyper=HyperParameters(**change)), -14))


def test_one_step_of_gradient_descent_by_hand():
    """One epoch, one batch, no shifts: the update is minus rate times gradient, and the rate decays by round."""
    data = stripes(16)
    hyper = HyperParameters(local_epochs=1, batch_size=16, augment_shift=0)
    model = build_module(ARCHITECTURE, WEIGHTS)
    loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(data.inputs)), torch.from_numpy(data.labels))
    gradient = torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(model.parameters()))]).numpy()
    for number, rate in ((1, 0.1), (3, 0.1 * 0.9**2)):
        moved = flatten(train(task(inputs=data.inputs, labels=data.labels, hyper=hyper, round=number))) - WEIGHTS
        assert np.allclose(moved, -rate * gradient, atol=1e-6)


def test_shifts_are_those_of_a_padded_image():
    random = np.random.default_rng(0)
    images = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5) + 1
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    seen = set()
    for _ in range(200):
        shifted = _shifted(images, 1, random).numpy()
        for image, source in zip(shifted, padded, strict=True):
            matches = [
                (y, x) for y in range(3) for x in range(3) if np.array_equal(image, source[:, y : y + 4, x : x + 5])
            ]
            assert len(matches) == 1
            seen.add(matches[0])
    assert len(seen) == 9


def test_data_that_are_not_images_are_not_shifted():
    architecture = parse_architecture("mlp", {"hidden": [5]}, DataSpec(shape=[3], classes=2))
    inputs = np.eye(3, dtype=np.float32)
    module = build_module(architecture, initial_weights(architecture, 0))
    trained = train(task(model=module, inputs=inputs, labels=np.array([0, 1, 0])))
    assert flatten(trained).size == architecture.dimension


@pytest.mark.parametrize("device", DEVICES)
def test_training_and_evaluation_run_on_every_device_here(device):
    """On another device sums are taken in another order: close, not equal."""
    update = local_update(train, task(device=device), -14)
    assert np.abs(update.astype(int) - local_update(train, task(), -14)).max() < 400
    assert evaluate(train(task(device=device)), stripes(200, 1), device).accuracy > 0.9


def test_local_seeds_differ_by_project_round_and_trainer():
    seeds = {local_seed(project, number, own) for project in range(5) for number in range(5) for own in range(5)}
    assert len(seeds) == 125
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert local_seed(1, 23, 4) != local_seed(12, 3, 4)


def test_an_update_is_the_quantised_change():
    update = local_update(train, task(), -14)
    assert np.abs(dequantise(update, -14) - (flatten(train(task())) - WEIGHTS)).max() <= 2.0**-15


def raises(_):
    raise ZeroDivisionError("their bug")


def returns_a_number(_):
    return 3


def changes_the_model(given):
    with torch.no_grad():
        next(given.model.parameters()).add_(1)
    return given.model


def returns_another_model(_):
    return torch.nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (raises, "ZeroDivisionError: their bug"),
        (returns_a_number, "returned int"),
        (changes_the_model, "changed task.model"),
        (returns_another_model, "has 6 parameters"),
    ],
)
def test_a_training_function_that_breaks_the_contract_is_named(function, says):
    with pytest.raises(TrainingFailed, match=says):
        local_update(function, task(), -14)


def test_diverged_training_is_refused():
    with pytest.raises(UpdateMalformed, match="diverged"):
        local_update(train, task(inputs=np.full((4, 1, 8, 8), 1e30, np.float32), labels=np.arange(4)), -14)


PLUGIN = """
from cohort_protocol.learning.training import train as honest
limit = 3
def train(task):
    return honest(task)
"""


def test_plugins_load_from_a_file_and_from_a_module(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    function = load_train_function(f"{path}:train")
    assert np.array_equal(local_update(function, task(), -14), local_update(train, task(), -14))
    assert load_train_function("cohort_protocol.learning.training:train") is train


def test_two_files_of_one_name_do_not_replace_each_other(tmp_path):
    functions = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "mine.py"
        path.write_text(f"def train(task):\n    return {folder!r}\n")
        functions.append(load_train_function(f"{path}:train"))
    assert [function(None) for function in functions] == ["a", "b"]


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("train", "does not name a function"),
        ("mine.py:", "does not name a function"),
        ("mine.py:tr ain", "does not name a function"),
        ("nowhere.py:train", "there is no file"),
        ("no_such_package.training:train", "ModuleNotFoundError"),
        ("{}/broken.py:train", "ZeroDivisionError"),
        ("{}/mine.py:fit", "no function 'fit'; it has: honest, train"),
        ("{}/mine.py:limit", "no function 'limit'"),
    ],
)
def test_a_reference_that_cannot_be_loaded_says_why(tmp_path, reference, says):
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(TrainFunctionInvalid, match=says) as refused:
        load_train_function(reference.format(tmp_path))
    assert isinstance(refused.value, CohortError)


def test_evaluation_by_hand_and_without_side_effects():
    architecture = parse_architecture("mlp", {"hidden": []}, DataSpec(shape=[2], classes=2))
    weights = np.array([1, 0, 0, 1, 0, 0], np.float32)
    dataset = Dataset(np.array([[2, 0], [0, 2], [3, 0]], np.float32), np.array([0, 0, 0]))
    module = build_module(architecture, weights).train()
    result = evaluate(module, dataset)
    assert module.training
    assert result.examples == 3
    assert result.accuracy == pytest.approx(2 / 3)
    losses = [np.log(1 + np.exp(-2)), np.log(1 + np.exp(2)), np.log(1 + np.exp(-3))]
    assert result.loss == pytest.approx(np.mean(losses), abs=1e-6)
    assert evaluate_model(architecture, model_from_floats(weights, -14), -14, dataset) == result
