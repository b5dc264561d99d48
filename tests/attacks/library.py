"""Attacks of the library as training functions of a real trainer: what one cheat alone can do in a market, where the
others' updates and the owner's batch are hidden until everyone has committed.

    cohort demo --attacks tests/attacks/library.py:label_flip,tests/attacks/library.py:step_noise
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.training import LocalTask
from cohort_protocol.learning.training import train as train_honestly
from cohort_protocol.learning.vector import flatten, load_vector
from cohort_protocol.rehearsal.attacks import View, attack_by_name
from torch import nn

FIRST_LENGTH, AVERAGED = 1.5, 0.6
"""Of an honest update in real units, in the first round; and of a step, over the updates that it is made of. Said here
because this file is loaded by its path, from wherever a trainer runs."""


def label_flip(task: LocalTask) -> nn.Module:
    """Trains on wrong labels."""
    return _cheat("label-flip", task)


def back_door(task: LocalTask) -> nn.Module:
    """Plants a trigger."""
    return _cheat("back-door", task)


def scaling(task: LocalTask) -> nn.Module:
    """Honest work, twice as long."""
    return _cheat("scaling:factor=2", task)


def zeros(task: LocalTask) -> nn.Module:
    """Sends nothing."""
    return _cheat("zeros", task)


def step_noise(task: LocalTask) -> nn.Module:
    """The last step under fresh noise."""
    return _cheat("step-noise", task)


def step_training(task: LocalTask) -> nn.Module:
    """The last step plus training on a few of its examples."""
    return _cheat("step-training", task)


def few_examples(task: LocalTask) -> nn.Module:
    """Training on a few of its examples, scaled up."""
    return _cheat("few-examples", task)


def _cheat(name: str, task: LocalTask) -> nn.Module:
    attack = attack_by_name(name)
    random = np.random.default_rng([task.seed, 0x11B])
    data = Dataset(task.inputs, task.labels)
    before = flatten(task.model)

    def learn(examples: Dataset, epochs: int) -> np.ndarray:
        hyper = task.hyper.model_copy(update={"local_epochs": epochs})
        return (
            flatten(train_honestly(replace(task, inputs=examples.inputs, labels=examples.labels, hyper=hyper))) - before
        )

    held = attack.datasets([data], 1, random) if attack.holdings(1) else []
    own = [learn(one, task.hyper.local_epochs) for one in held]
    last = np.zeros((0, len(before)), np.float32) if task.previous_step is None else task.previous_step[None]
    guess = FIRST_LENGTH if task.previous_step is None else float(np.linalg.norm(task.previous_step)) / AVERAGED
    view = View(
        round=task.round,
        members=1,
        random=random,
        model=before,
        past_steps=last.astype(np.float32),
        own=np.stack(own) if own else np.zeros((0, len(before)), np.float32),
        # A lone cheat sees nobody's update: a vector of the length that it guesses stands for them.
        honest=np.full((1, len(before)), guess / np.sqrt(len(before)), np.float32),
        earlier=None,
        revealed=None,
        batch=data,
        spare=data,
        first_model=before,
        learn=learn,
        gradient=lambda examples: np.zeros_like(before),
    )
    cheated = copy.deepcopy(task.model).to("cpu")
    load_vector(cheated, before + attack.craft(view)[0])
    return cheated
