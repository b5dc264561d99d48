"""A simulated project: who trains on what, who cheats, and the rounds that follow. Decisions are left to a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cohort_protocol.identifiers import MAX_SLOTS
from cohort_protocol.learning.architecture import initial_weights
from cohort_protocol.learning.batches import batch_rows, fresh_batches
from cohort_protocol.learning.data import Dataset
from cohort_protocol.rehearsal.attacks import Attack, View, attack_by_name
from cohort_protocol.rehearsal.errors import RehearsalInvalid
from cohort_protocol.rehearsal.partitions import split
from cohort_protocol.rehearsal.shapley import coalition_models, shapley_values
from cohort_protocol.rehearsal.stacks import Stacks
from cohort_protocol.rehearsal.tasks import Task, task_by_name
from cohort_protocol.update import apply_step, floats_from_model, model_from_floats, quantise

KEPT_STEPS = 5
GRADIENT_BITS = 24
"""Gradients are rounded to multiples of 2^-24: rows of the Gram matrix are integers below 2^31."""
SPARE = 64


@dataclass(frozen=True)
class Group:
    """A group of cheats with one aim."""

    attack: Attack
    members: int


@dataclass(frozen=True)
class Scenario:
    """Everything that decides a rehearsal, except the rule. Raises `RehearsalInvalid`, `UnknownAttack`."""

    task: str | Task
    partition: str = "iid-unequal"
    honest: int = 8
    cheats: tuple[tuple[str, int], ...] = ()
    """(attack, members): see `attack_by_name`."""
    rounds: int = 8
    seed: int = 0
    batch: int = 128
    """Labelled examples in each of the owner's batches."""
    shards: int = 0
    """Parts into which the training data are split; 0: as many as there are honest trainers and cheats with data. Fixed
    for a comparison in which the honest shall have the same data whoever else is there."""
    groups: tuple[Group, ...] = field(init=False)

    def __post_init__(self) -> None:
        groups = tuple(Group(attack_by_name(name), members) for name, members in self.cheats)
        object.__setattr__(self, "groups", groups)
        if not 1 <= self.honest + self.cheating <= MAX_SLOTS or self.honest < 1:
            raise RehearsalInvalid(
                f"{self.honest} honest trainers and {self.cheating} cheats: at least one honest, at most {MAX_SLOTS} "
                "in a round"
            )
        if any(members < 1 for _, members in self.cheats):
            raise RehearsalInvalid("a group of cheats has at least one member")
        if not 1 <= self.rounds <= 500 or self.batch < 2 or self.seed < 0:
            raise RehearsalInvalid(
                f"rounds {self.rounds} (1 .. 500), batch {self.batch} (from 2), seed {self.seed} (from 0)"
            )

    @property
    def cheating(self) -> int:
        """Cheats of all groups."""
        return sum(group.members for group in self.groups)

    @property
    def trainers(self) -> int:
        """n: honest trainers first, then the cheats group by group."""
        return self.honest + self.cheating

    def places(self) -> list[range]:
        """Rows of each group."""
        starts = np.cumsum([self.honest, *(group.members for group in self.groups)]).tolist()
        return [range(start, start + group.members) for start, group in zip(starts, self.groups, strict=False)]


@dataclass(frozen=True)
class ShapleyTable:
    """Exact Shapley values of one round, float64[n] each: what the model gained, by row."""

    loss: np.ndarray
    """Of the cross-entropy on the reference examples, nats; the truth that scores are held against."""
    accuracy: np.ndarray
    batch_loss: np.ndarray
    """The same on the owner's batch of the round: the best that a score can know."""
    batch_accuracy: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]
    """Of the loss, on each half of the reference examples: how far the truth agrees with itself."""


@dataclass(frozen=True)
class Round:
    """One round, committed and revealed, before anyone has judged it."""

    world: World
    number: int
    """From 1."""
    model: np.ndarray
    """int64[d], where the round starts."""
    updates: list[np.ndarray]
    """int16[d] each, honest trainers first."""
    past_steps: list[np.ndarray]
    """int64[d] each, at most five, most recent first."""
    batch: Dataset
    """The owner's, revealed after the commitments."""
    revealed: Dataset | None
    """The batches of the rounds before."""

    @cached_property
    def weights(self) -> np.ndarray:
        """The model, float32[d]."""
        return floats_from_model(self.model, self.world.task.exponent)

    @cached_property
    def real_updates(self) -> np.ndarray:
        """float32[n, d], real units."""
        return np.stack(self.updates).astype(np.float32) * np.float32(2.0**self.world.task.exponent)

    def gradient(self, step: np.ndarray | None = None) -> np.ndarray:
        """A public row: the gradient of the batch's mean loss at the model plus `step` (int64[d] as a round's step;
        None: at the model), in multiples of 2^-24, int64[d] within 32 bits."""
        return as_row(self.world.stacks.gradient(self._moved(step), self.batch))

    def _moved(self, step: np.ndarray | None) -> np.ndarray:
        if step is None:
            return self.weights
        return floats_from_model(apply_step(self.model, step), self.world.task.exponent)

    def half_gradient(self, step: np.ndarray | None = None) -> np.ndarray:
        """The same on the first half of the batch."""
        half = self.batch.take(np.arange(len(self.batch) // 2))
        return as_row(self.world.stacks.gradient(self._moved(step), half))

    def class_gradients(self, step: np.ndarray | None = None) -> list[np.ndarray]:
        """The parts of `gradient` by class of the example: int64[d] each; they add up to it but for rounding."""
        return [as_row(part) for part in self.world.stacks.class_gradients(self._moved(step), self.batch)]

    @cached_property
    def common_update(self) -> np.ndarray | None:
        """u0: what anyone could train on the batches revealed so far, int64[d] in the units of an update; None in the
        first round."""
        if self.revealed is None:
            return None
        world = self.world
        trained = world.stacks.train(
            self.weights, [self.revealed], world.task.hyper, self.number, [[world.scenario.seed, self.number, 0xC0]]
        )[0]
        return quantise(trained, world.task.exponent).astype(np.int64)

    def shapley(self) -> ShapleyTable:
        """Exact Shapley values of this round: 2^n models. n <= 14."""
        return self._shapley

    @cached_property
    def _shapley(self) -> ShapleyTable:
        world = self.world
        models = coalition_models(self.weights, self.real_updates)
        reference = len(world.task.reference)
        together = Dataset(
            np.concatenate([world.task.reference.inputs, self.batch.inputs]),
            np.concatenate([world.task.reference.labels, self.batch.labels]),
        )
        losses, correct = world.stacks.values(models, together)
        half = reference // 2

        def gain(part: slice) -> np.ndarray:
            means = losses[:, part].astype(np.float64).mean(1)
            return shapley_values(means[0] - means)

        def right(part: slice) -> np.ndarray:
            means = correct[:, part].mean(1)
            return shapley_values(means - means[0])

        judge, batch = slice(0, reference), slice(reference, None)
        return ShapleyTable(
            gain(judge), right(judge), gain(batch), right(batch), (gain(slice(0, half)), gain(slice(half, reference)))
        )


def as_row(vector: np.ndarray) -> np.ndarray:
    """float[d] -> int64[d], rounded to multiples of 2^-24 and clipped to 32 bits."""
    scaled = np.rint(vector.astype(np.float64) * 2.0**GRADIENT_BITS)
    return np.clip(scaled, -(2**31), 2**31 - 1).astype(np.int64)


class World:
    """A project in simulation. Call `next_round`, judge it, `apply` the step, and again."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.task = task_by_name(scenario.task, scenario.seed) if isinstance(scenario.task, str) else scenario.task
        self.stacks = Stacks(self.task.architecture)
        if scenario.batch > len(self.task.public):
            raise RehearsalInvalid(
                f"batches of {scenario.batch} examples, the owner has {len(self.task.public)}: ask for smaller ones"
            )
        self._honest, self._groups = self._share_out()
        self.model = model_from_floats(initial_weights(self.task.architecture, scenario.seed), self.task.exponent)
        self._first = floats_from_model(self.model, self.task.exponent)
        self.remembered: tuple[int, ...] | None = None
        """What the value rows of the last round said of every row's trainer; None before there were any."""
        self._steps: list[np.ndarray] = []
        self._batches: list[Dataset] = []
        self._earlier: np.ndarray | None = None
        self._number = 0

    @property
    def honest_data(self) -> list[Dataset]:
        """What each honest trainer holds."""
        return self._honest

    @property
    def sizes(self) -> list[int]:
        """Examples that each trainer says it has, in row order: cheats claim an average number."""
        own = [len(one) for one in self._honest]
        return own + [sum(own) // len(own)] * self.scenario.cheating

    def _share_out(self) -> tuple[list[Dataset], list[list[Dataset]]]:
        scenario, classes = self.scenario, self.task.data.classes
        held = [group.attack.holdings(group.members) for group in scenario.groups]
        needed = scenario.honest + sum(held)
        if scenario.shards and scenario.shards < needed:
            raise RehearsalInvalid(f"{scenario.shards} shards for {needed} trainers with data: ask for {needed}")
        shards = split(scenario.partition, self.task.train, scenario.shards or needed, scenario.seed, classes)
        groups, start = [], scenario.honest
        for index, (group, count) in enumerate(zip(scenario.groups, held, strict=True)):
            random = np.random.default_rng([scenario.seed, 0xDA7A, index])
            own = shards[start : start + count]
            groups.append(group.attack.datasets(own, group.members, random) if count else [])
            start += count
        return shards[: scenario.honest], groups

    def next_round(self) -> Round:
        """Everybody trains (or cheats) and commits; the owner reveals a batch."""
        self._number += 1
        number, seed = self._number, self.scenario.seed
        weights = floats_from_model(self.model, self.task.exponent)
        datasets = [*self._honest, *(one for group in self._groups for one in group)]
        seeds = [[seed, number, index] for index in range(len(datasets))]
        trained = self.stacks.train(weights, datasets, self.task.hyper, number, seeds)
        honest = trained[: len(self._honest)]
        batch = self._batch(number)
        rows = [honest]
        start = len(self._honest)
        for index, (group, own) in enumerate(zip(self.scenario.groups, self._groups, strict=True)):
            view = self._view(index, group, trained[start : start + len(own)], honest, weights, batch)
            rows.append(_checked(group, group.attack.craft(view), len(weights)))
            start += len(own)
        updates = [quantise(row, self.task.exponent) for row in np.concatenate(rows)]
        revealed = _joined(self._batches) if self._batches else None
        result = Round(self, number, self.model, updates, list(self._steps), batch, revealed)
        # Once the owner's examples are used up, later batches show nothing new.
        if number <= fresh_batches(len(self.task.public), self.scenario.batch):
            self._batches.append(batch)
        self._earlier = result.real_updates
        return result

    def apply(self, step: np.ndarray) -> None:
        """Ends a round: the model moves by `step`, int64[d]."""
        self.model = apply_step(self.model, step)
        # A round that changed nothing leaves no step: nothing of it could be replayed.
        if step.any():
            self._steps = [step, *self._steps][:KEPT_STEPS]

    def accuracy(self) -> float:
        """Of the current model on the reference examples."""
        return float(self.stacks.values(self._weights[None], self.task.reference)[1].mean())

    def loss(self) -> float:
        """Mean cross-entropy of the current model on the reference examples, nats."""
        return float(self.stacks.values(self._weights[None], self.task.reference)[0].mean())

    def backdoor_success(self) -> float | None:
        """Part of the reference examples of other classes that the trigger turns into the target's; None if no group
        plants one."""
        doors = [group.attack.backdoor for group in self.scenario.groups]
        door = next((each for each in doors if each is not None), None)
        if door is None:
            return None
        others = self.task.reference.take(np.flatnonzero(self.task.reference.labels != door.target))
        stamped = Dataset(door.stamp(others.inputs), np.full(len(others), door.target, np.int64))
        return float(self.stacks.values(self._weights[None], stamped)[1].mean())

    @property
    def _weights(self) -> np.ndarray:
        return floats_from_model(self.model, self.task.exponent)

    def _batch(self, number: int) -> Dataset:
        """The owner's batch of a round, as `draw_batches` draws it. Whoever trains on what was revealed has seen what
        is shown again: a rehearsal of more rounds than fresh batches is hard on the project."""
        public = self.task.public
        return public.take(batch_rows(public.labels, number, self.scenario.batch, self.scenario.seed))

    def _view(
        self, index: int, group: Group, own: np.ndarray, honest: np.ndarray, weights: np.ndarray, batch: Dataset
    ) -> View:
        number, scenario = self._number, self.scenario
        random = np.random.default_rng([scenario.seed, number, 0xA77, index])
        scale = np.float32(2.0 ** (self.task.exponent - 16))
        hyper = self.task.hyper

        def learn(data: Dataset, epochs: int) -> np.ndarray:
            chosen = hyper.model_copy(update={"local_epochs": epochs})
            return self.stacks.train(weights, [data], chosen, number, [random.integers(0, 2**32, 4).tolist()])[0]

        steps = np.stack(self._steps).astype(np.float32) * scale if self._steps else np.zeros((0, len(weights)))
        # What cheats can gather elsewhere is of the trainers' kind; taken from the end of their common pool.
        spare = self.task.train.take(np.arange(max(0, len(self.task.train) - SPARE), len(self.task.train)))
        return View(
            round=number,
            members=group.members,
            random=random,
            model=weights,
            past_steps=steps.astype(np.float32),
            own=own,
            honest=honest,
            earlier=self._earlier,
            revealed=_joined(self._batches) if self._batches else None,
            batch=batch,
            spare=spare,
            first_model=self._first,
            learn=learn,
            gradient=lambda data: self.stacks.gradient(weights, data),
        )


def _joined(parts: Sequence[Dataset]) -> Dataset:
    return Dataset(np.concatenate([one.inputs for one in parts]), np.concatenate([one.labels for one in parts]))


def _checked(group: Group, rows: np.ndarray, dimension: int) -> np.ndarray:
    if rows.shape != (group.members, dimension):
        raise RehearsalInvalid(
            f"attack {group.attack.name!r} made rows {list(rows.shape)}, [{group.members}, {dimension}] are needed"
        )
    return rows.astype(np.float32)
