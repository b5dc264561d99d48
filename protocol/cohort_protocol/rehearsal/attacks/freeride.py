"""Attacks that want the pay without the work: replays, copies, clones, leaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cohort_protocol.learning.data import Dataset
from cohort_protocol.rehearsal.attacks.attack import Attack, View


def _to_length(vector: np.ndarray, length: float) -> np.ndarray:
    size = float(np.linalg.norm(vector))
    return (vector * (length / size)).astype(np.float32) if size > 0 else np.zeros_like(vector, np.float32)


@dataclass(frozen=True)
class ReplayStep(Attack):
    """Sends the last global step, at the usual length (a free rider of Fraboni, Vidal and Lorenzi, AISTATS 2021; Lin et
    al., 2019), or the one of `age` rounds ago (at most five), the oldest there is until then. In the first round there
    is none, and it sends noise."""

    name: ClassVar[str] = "replay"
    about: ClassVar[str] = "sends a past global step again"
    age: int = 1

    def craft(self, view: View) -> np.ndarray:
        if not len(view.past_steps):
            return np.stack([view.noise(view.usual_length) for _ in range(view.members)])
        age = max(1, min(self.age, len(view.past_steps)))
        return view.same(_to_length(view.past_steps[age - 1], view.usual_length))


@dataclass(frozen=True)
class ReplayAverage(Attack):
    """Sends an exponential moving average of all past global steps: smoother than the last one (the delta-weights
    attack of Lin et al., 2019, over time)."""

    name: ClassVar[str] = "replay-average"
    about: ClassVar[str] = "sends the average of past global steps"
    memory: float = 0.5

    def craft(self, view: View) -> np.ndarray:
        if not len(view.past_steps):
            return np.stack([view.noise(view.usual_length) for _ in range(view.members)])
        parts = np.float32(self.memory) ** np.arange(len(view.past_steps), dtype=np.float32)
        return view.same(_to_length(parts @ view.past_steps, view.usual_length))


@dataclass(frozen=True)
class StepAndNoise(Attack):
    """The last global step under Gaussian noise of `noise` times its length (disguised free rider of Fraboni, Vidal and
    Lorenzi, AISTATS 2021)."""

    name: ClassVar[str] = "step-noise"
    about: ClassVar[str] = "the last global step under fresh noise"
    noise: float = 0.5

    def craft(self, view: View) -> np.ndarray:
        length = view.usual_length
        last = _to_length(view.past_steps[0], length) if len(view.past_steps) else view.noise(length)
        return np.stack([last + view.noise(self.noise * length) for _ in range(view.members)])


@dataclass(frozen=True)
class StepAndTraining(Attack):
    """The last global step plus one epoch on `examples` examples: little work beside much that is public (section 6 of
    the protocol names it as weak)."""

    name: ClassVar[str] = "step-training"
    about: ClassVar[str] = "the last global step plus training on a few examples"
    examples: int = 16

    def craft(self, view: View) -> np.ndarray:
        few = [self._few(view) for _ in range(view.members)]
        trained = np.stack([view.learn(some, 4) for some in few])
        if not len(view.past_steps):
            return trained
        last = _to_length(view.past_steps[0], view.usual_length)
        return np.stack([_to_length(last + own, view.usual_length) for own in trained])

    def _few(self, view: View) -> Dataset:
        return view.spare.take(view.random.permutation(len(view.spare))[: self.examples])


@dataclass(frozen=True)
class FewExamples(Attack):
    """Honest training on `examples` examples only, at the usual length: little work that calls itself much."""

    name: ClassVar[str] = "few-examples"
    about: ClassVar[str] = "trains on a handful of examples, scaled up"
    examples: int = 16

    def craft(self, view: View) -> np.ndarray:
        few = [view.spare.take(view.random.permutation(len(view.spare))[: self.examples]) for _ in range(view.members)]
        return np.stack([_to_length(view.learn(some, 4), view.usual_length) for some in few])


@dataclass(frozen=True)
class RandomGroup(Attack):
    """All members send the same noise, to be company to each other (Sybils of Fung, Yoon and Beschastnikh, RAID 2020,
    without a common aim)."""

    name: ClassVar[str] = "random-group"
    about: ClassVar[str] = "members agree on one random direction"
    noise: float = 0.3

    def craft(self, view: View) -> np.ndarray:
        length = view.usual_length
        common = view.noise(length)
        return np.stack([common + view.noise(self.noise * length) for _ in range(view.members)])


@dataclass(frozen=True)
class Copy(Attack):
    """Sends an honest trainer's update again (Martinez et al., 2019). Commit and reveal forbid it unless the two belong
    together; then this is a clone with two names."""

    name: ClassVar[str] = "copy"
    about: ClassVar[str] = "sends the first honest trainer's update again"
    noise: float = 0.0

    @property
    def victims(self) -> int:
        return 1

    def craft(self, view: View) -> np.ndarray:
        length = float(np.linalg.norm(view.honest[0]))
        return np.stack(
            [
                view.honest[0] + view.noise(self.noise * length) if self.noise else view.honest[0]
                for _ in range(view.members)
            ]
        )


@dataclass(frozen=True)
class Clones(Attack):
    """One data owner under k names sends one update k times (Sybils, Douceur, IPTPS 2002), each under masking noise of
    `noise` times its length."""

    name: ClassVar[str] = "clones"
    about: ClassVar[str] = "one data owner under several names, one update"
    noise: float = 0.0

    def holdings(self, members: int) -> int:
        return 1

    def datasets(self, shards: Sequence[Dataset], members: int, random: np.random.Generator) -> list[Dataset]:
        return list(shards)

    def craft(self, view: View) -> np.ndarray:
        work = view.own[0]
        if not self.noise:
            return view.same(work)
        length = float(np.linalg.norm(work))
        return np.stack([work + view.noise(self.noise * length) for _ in range(view.members)])


@dataclass(frozen=True)
class MaskedClones(Clones):
    """Clones that hide each other under Gaussian noise of the given part of their length (FoolsGold's intelligent
    perturbation, Fung, Yoon and Beschastnikh, RAID 2020)."""

    name: ClassVar[str] = "masked-clones"
    about: ClassVar[str] = "clones under masking noise"
    noise: float = 0.7


@dataclass(frozen=True)
class ReseededClones(Attack):
    """One data owner under k names trains k times on the same data, in another order each time."""

    name: ClassVar[str] = "reseeded-clones"
    about: ClassVar[str] = "one data set, trained once per name"

    def holdings(self, members: int) -> int:
        return 1

    def datasets(self, shards: Sequence[Dataset], members: int, random: np.random.Generator) -> list[Dataset]:
        return [shards[0]] * members

    def craft(self, view: View) -> np.ndarray:
        return view.own


@dataclass(frozen=True)
class ShardClones(Attack):
    """One data owner under k names gives each a part of its data (the splitting game of Han et al., 2022,
    replication in data markets), `full` = 1: at the length of work on all of it."""

    name: ClassVar[str] = "shard-clones"
    about: ClassVar[str] = "one data set, a part for every name"
    full: int = 1

    def holdings(self, members: int) -> int:
        return 1

    def datasets(self, shards: Sequence[Dataset], members: int, random: np.random.Generator) -> list[Dataset]:
        whole = shards[0]
        parts = np.array_split(random.permutation(len(whole)), members)
        return [whole.take(part if len(part) else np.arange(1)) for part in parts]

    def craft(self, view: View) -> np.ndarray:
        if not self.full:
            return view.own
        return np.stack([_to_length(work, view.usual_length) for work in view.own])


@dataclass(frozen=True)
class RevealedBatches(Attack):
    """Trains on the owner's batches of earlier rounds, which are public by then, instead of on data of its own."""

    name: ClassVar[str] = "revealed-batches"
    about: ClassVar[str] = "trains on the batches revealed so far"

    def craft(self, view: View) -> np.ndarray:
        if view.revealed is None:
            return np.stack([view.noise(view.usual_length) for _ in range(view.members)])
        return np.stack([view.learn(view.revealed, 4) for _ in range(view.members)])


@dataclass(frozen=True)
class LeakedBatch(Attack):
    """Knows this round's batch before it is revealed, and sends the negative gradient on it at the usual length: the
    best that a first-order score can be shown. `train` = 1: trains on it like an honest trainer."""

    name: ClassVar[str] = "leaked-batch"
    about: ClassVar[str] = "the owner leaked this round's batch"
    train: int = 0

    def craft(self, view: View) -> np.ndarray:
        if self.train:
            return np.stack([view.learn(view.batch, 4) for _ in range(view.members)])
        return view.same(_to_length(-view.gradient(view.batch), view.usual_length))
