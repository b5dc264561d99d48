"""The guide to training code of one's own: its example trains, its table is the task's."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from cohort_protocol.learning.plugin import load_train_function
from cohort_protocol.learning.training import LocalTask, local_update
from cohort_protocol.spec import HyperParameters
from torch import nn

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "training.md").read_text()


@pytest.fixture
def example(tmp_path: Path):
    (code,) = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    file = tmp_path / "mine.py"
    file.write_text(code)
    return load_train_function(f"{file}:train")


def test_the_example_is_an_update_and_the_same_one_again(example) -> None:
    random = np.random.default_rng(5)
    task = LocalTask(
        model=nn.Sequential(nn.Flatten(), nn.Linear(6, 3)),
        inputs=random.normal(size=(70, 1, 2, 3)).astype(np.float32),
        labels=random.integers(0, 3, 70),
        hyper=HyperParameters(),
        round=1,
        seed=9,
        previous_step=None,
    )
    update = local_update(example, task, -14)
    assert update.dtype == np.int16
    assert update.any()
    assert np.array_equal(update, local_update(example, task, -14))


def test_the_table_names_every_member_of_the_task() -> None:
    named = re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)
    assert named == [field.name for field in dataclasses.fields(LocalTask)]
    hyper = {field for field in HyperParameters.model_fields}
    assert {"learning_rate", "batch_size"} <= hyper
