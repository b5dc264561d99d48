"""Architectures without torch, and the same ones in torch."""

from __future__ import annotations

from hashlib import sha256
from math import prod, sqrt

import numpy as np
import pytest
import torch
from cohort_protocol.learning.architecture import initial_weights, known_families, parse_architecture
from cohort_protocol.learning.data import digits_data_spec
from cohort_protocol.learning.errors import ArchitectureInvalid, TrainingFailed
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.vector import flatten, load_vector
from cohort_protocol.spec import DataSpec

DIGITS = digits_data_spec()
CASES = [
    ("digits-cnn", {}, DIGITS),
    ("digits-cnn", {"first_channels": 3, "second_channels": 5, "hidden": 7}, DataSpec(shape=[2, 6, 4], classes=3)),
    ("mlp", {}, DIGITS),
    ("mlp", {"hidden": []}, DataSpec(shape=[4], classes=2)),
    ("mlp", {"hidden": [9, 5]}, DataSpec(shape=[4], classes=2)),
]


@pytest.mark.parametrize(("family", "config", "data"), CASES)
def test_torch_has_the_same_tensors_in_the_same_order(family, config, data):
    architecture = parse_architecture(family, config, data)
    module = build_module(architecture)
    assert [(name, tuple(value.shape)) for name, value in module.named_parameters()] == [
        (shape.name, shape.shape) for shape in architecture.parameter_shapes()
    ]
    assert architecture.dimension == sum(value.numel() for value in module.parameters())
    logits = module(torch.zeros(2, *data.shape))
    assert logits.shape == (2, data.classes)


def test_the_demo_model_has_38282_parameters():
    assert parse_architecture("digits-cnn", {}, DIGITS).dimension == 38_282


def test_a_config_has_every_default_filled_in_and_reads_back():
    architecture = parse_architecture("digits-cnn", {"hidden": 32}, DIGITS)
    assert architecture.to_config() == {"first_channels": 16, "second_channels": 32, "hidden": 32}
    assert parse_architecture("digits-cnn", architecture.to_config(), DIGITS).dimension == architecture.dimension


@pytest.mark.parametrize(
    ("family", "config", "data"),
    [
        ("resnet", {}, DIGITS),
        ("mlp", {"layers": [3]}, DIGITS),
        ("mlp", {"hidden": [0]}, DIGITS),
        ("mlp", {"hidden": [1] * 9}, DIGITS),
        ("mlp", {"hidden": "64"}, DIGITS),
        ("digits-cnn", {"hidden": 10_000}, DIGITS),
        ("digits-cnn", {}, DataSpec(shape=[64], classes=10)),
        ("digits-cnn", {}, DataSpec(shape=[1, 7, 8], classes=10)),
        ("mlp", {"hidden": [8192, 8192]}, DIGITS),
    ],
)
def test_what_cannot_be_built_is_refused(family, config, data):
    with pytest.raises(ArchitectureInvalid):
        parse_architecture(family, config, data)


def test_an_unknown_family_lists_the_known_ones():
    with pytest.raises(ArchitectureInvalid, match="digits-cnn, mlp"):
        parse_architecture("cnn", {}, DIGITS)
    assert known_families() == ("digits-cnn", "mlp")


def test_first_weights_are_the_same_everywhere():
    """Pinned: a change of these bytes changes the first model of every project that gives a seed."""
    weights = initial_weights(parse_architecture("digits-cnn", {}, DIGITS), 7)
    assert weights.dtype == np.float32
    digest = sha256(weights.astype("<f4").tobytes()).hexdigest()
    assert digest == "9fd7ffef943c8f8ea11d347728ac9780a521a367dd873cb5ae7f669b188b908d"


def test_first_weights_are_he_uniform_and_differ_by_seed_and_tensor():
    architecture = parse_architecture("mlp", {"hidden": [64, 64]}, DIGITS)
    weights, other = initial_weights(architecture, 1), initial_weights(architecture, 2)
    start = 0
    for shape in architecture.parameter_shapes():
        part = weights[start : start + prod(shape.shape)]
        if shape.name.endswith("bias"):
            assert not part.any()
        else:
            bound = sqrt(6 / shape.fan_in)
            assert np.abs(part).max() <= bound
            assert part.std() == pytest.approx(bound / sqrt(3), rel=0.05)
            assert not np.array_equal(part, other[start : start + part.size])
        start += part.size
    assert start == weights.size == architecture.dimension
    assert not np.array_equal(weights[:4096], weights[4160 : 4160 + 4096])


def test_vector_round_trip():
    architecture = parse_architecture("digits-cnn", {}, DIGITS)
    weights = initial_weights(architecture, 3)
    module = build_module(architecture, weights)
    assert np.array_equal(flatten(module), weights)
    flat = flatten(module)
    flat[0] += 1
    assert np.array_equal(flatten(module), weights)
    load_vector(module, flat)
    assert np.array_equal(flatten(module), flat)
    with pytest.raises(TrainingFailed, match="38282 parameters"):
        load_vector(module, flat[:-1])
