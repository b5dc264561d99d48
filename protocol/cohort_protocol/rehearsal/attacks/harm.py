"""Attacks that want to ruin the model: by changing the update, or the data behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar

import numpy as np

from cohort_protocol.learning.data import Dataset
from cohort_protocol.rehearsal.attacks.attack import Attack, Backdoor, View


@dataclass(frozen=True)
class SignFlip(Attack):
    """Trains honestly and sends the opposite, `factor` times as long (Li et al., RSA, AAAI 2019)."""

    name: ClassVar[str] = "sign-flip"
    about: ClassVar[str] = "trains honestly, sends the opposite"
    factor: float = 1.0

    def holdings(self, members: int) -> int:
        return members

    def craft(self, view: View) -> np.ndarray:
        return -np.float32(self.factor) * view.own


@dataclass(frozen=True)
class Noise(Attack):
    """Gaussian noise of the usual length, each member its own (Blanchard et al., NeurIPS 2017)."""

    name: ClassVar[str] = "noise"
    about: ClassVar[str] = "never trains, sends noise of the usual length"
    factor: float = 1.0

    def craft(self, view: View) -> np.ndarray:
        return np.stack([view.noise(self.factor * view.usual_length) for _ in range(view.members)])


@dataclass(frozen=True)
class Zeros(Attack):
    """Sends nothing at all: the laziest free rider (Fraboni, Vidal and Lorenzi, AISTATS 2021)."""

    name: ClassVar[str] = "zeros"
    about: ClassVar[str] = "sends a zero update"

    def craft(self, view: View) -> np.ndarray:
        return np.zeros((view.members, view.dimension), np.float32)


@dataclass(frozen=True)
class Scaling(Attack):
    """Honest work sent `factor` times as long, to weigh more (the boost of Bagdasaryan et al., AISTATS 2020, without
    their back-door)."""

    name: ClassVar[str] = "scaling"
    about: ClassVar[str] = "honest work, sent longer"
    factor: float = 2.0

    def holdings(self, members: int) -> int:
        return members

    def craft(self, view: View) -> np.ndarray:
        return np.float32(self.factor) * view.own


@dataclass(frozen=True)
class LabelFlip(Attack):
    """Trains on wrong labels, c becomes classes - 1 - c (Tolpegin et al., ESORICS 2020; the rule of Fang et al., USENIX
    Security 2020)."""

    name: ClassVar[str] = "label-flip"
    about: ClassVar[str] = "trains on its data with every label wrong"

    def holdings(self, members: int) -> int:
        return members

    def datasets(self, shards: Sequence[Dataset], members: int, random: np.random.Generator) -> list[Dataset]:
        most = max(int(shard.labels.max()) for shard in shards)
        # With an odd number of classes the middle one would stay right.
        middle = 0 if most else 1
        return [
            Dataset(shard.inputs, np.where(2 * shard.labels == most, middle, most - shard.labels)) for shard in shards
        ]

    def craft(self, view: View) -> np.ndarray:
        return view.own


@dataclass(frozen=True)
class PlantBackdoor(Attack):
    """Half of its examples carry a trigger and the target's label (BadNets, Gu et al., 2017), and the update is sent
    `factor` times as long (Bagdasaryan et al., AISTATS 2020)."""

    name: ClassVar[str] = "back-door"
    about: ClassVar[str] = "plants a trigger that gives the label it wants"
    target: int = 0
    factor: float = 1.0

    def holdings(self, members: int) -> int:
        return members

    @property
    def backdoor(self) -> Backdoor:
        return Backdoor(self.target)

    def datasets(self, shards: Sequence[Dataset], members: int, random: np.random.Generator) -> list[Dataset]:
        poisoned = []
        for shard in shards:
            chosen = random.permutation(len(shard))[: len(shard) // 2]
            inputs, labels = shard.inputs.copy(), shard.labels.copy()
            inputs[chosen] = self.backdoor.stamp(shard.inputs)[chosen]
            labels[chosen] = self.target
            poisoned.append(Dataset(inputs, labels))
        return poisoned

    def craft(self, view: View) -> np.ndarray:
        return np.float32(self.factor) * view.own


@dataclass(frozen=True)
class Alie(Attack):
    """A little is enough (Baruch, Baruch and Goldberg, NeurIPS 2019): mean - z standard deviations of the honest
    updates, entry by entry. z is the largest that hides among a majority, unless given."""

    name: ClassVar[str] = "alie"
    about: ClassVar[str] = "mean of the honest minus z standard deviations"
    z: float = 0.0

    def craft(self, view: View) -> np.ndarray:
        deviation = self.deviations(len(view.honest), view.members)
        return view.same(view.honest.mean(0) - np.float32(deviation) * view.honest.std(0))

    def deviations(self, honest: int, members: int) -> float:
        """z of the paper's equation: the standard normal quantile of (n - f - s)/(n - f), s = floor(n/2 + 1) - f."""
        if self.z > 0:
            return self.z
        supporters = (honest + members) // 2 + 1 - members
        quantile = (honest - max(0, supporters)) / honest
        return NormalDist().inv_cdf(min(max(quantile, 0.5), 0.999)) or 0.3


@dataclass(frozen=True)
class InnerProduct(Attack):
    """Inner-product manipulation (Xie, Koyejo and Gupta, UAI 2019): -factor times the mean of the honest."""

    name: ClassVar[str] = "ipm"
    about: ClassVar[str] = "the mean of the honest, turned round"
    factor: float = 0.5

    def craft(self, view: View) -> np.ndarray:
        return view.same(-np.float32(self.factor) * view.honest.mean(0))


class _Aggregated(Attack):
    """AGR-agnostic attacks (Shejwalkar and Houmansadr, NDSS 2021): mean + gamma times a direction of harm, with the
    largest gamma that still looks like one of the honest."""

    def craft(self, view: View) -> np.ndarray:
        # Among the paper's directions the opposite of the standard deviation did most harm without knowing the rule.
        harm = -view.honest.std(0)
        middle = view.honest.mean(0)
        low, high = 0.0, 1.0
        while self.hidden(middle + np.float32(high) * harm, view.honest) and high < 1e4:
            low, high = high, 2 * high
        for _ in range(24):
            gamma = (low + high) / 2
            low, high = (gamma, high) if self.hidden(middle + np.float32(gamma) * harm, view.honest) else (low, gamma)
        return view.same(middle + np.float32(low) * harm)

    def hidden(self, update: np.ndarray, honest: np.ndarray) -> bool:
        """Whether the paper's bound holds for an update float32[d] among float32[m, d]."""
        raise NotImplementedError(f"{type(self).__name__} must say its bound")


@dataclass(frozen=True)
class MinMax(_Aggregated):
    """Min-max (Shejwalkar and Houmansadr, NDSS 2021): no farther from any honest update than the two most distant
    honest ones are from each other."""

    name: ClassVar[str] = "min-max"
    about: ClassVar[str] = "as far off as the most distant honest pair allows"

    def hidden(self, update: np.ndarray, honest: np.ndarray) -> bool:
        return bool(distances(update, honest).max() <= pair_distances(honest).max())


@dataclass(frozen=True)
class MinSum(_Aggregated):
    """Min-sum (Shejwalkar and Houmansadr, NDSS 2021): its squared distances to the honest sum to no more than those of
    any honest update."""

    name: ClassVar[str] = "min-sum"
    about: ClassVar[str] = "no farther from all together than an honest one"

    def hidden(self, update: np.ndarray, honest: np.ndarray) -> bool:
        return bool(distances(update, honest).sum() <= pair_distances(honest).sum(1).max())


@dataclass(frozen=True)
class FakeClients(Attack):
    """MPAF (Cao and Gong, CVPR Workshops 2022): fake trainers without data pull towards a random model, all together,
    `factor` times the usual length."""

    name: ClassVar[str] = "mpaf"
    about: ClassVar[str] = "fake trainers pull towards a random model"
    factor: float = 10.0

    def craft(self, view: View) -> np.ndarray:
        # One base model for the whole run: the same words in every round.
        words = np.random.default_rng(0x3FAF).standard_normal(view.dimension).astype(np.float32)
        base = words * np.float32(np.linalg.norm(view.first_model) / np.linalg.norm(words))
        pull = base - view.model
        return view.same(pull * np.float32(self.factor * view.usual_length / max(np.linalg.norm(pull), 1e-9)))


def distances(update: np.ndarray, honest: np.ndarray) -> np.ndarray:
    """Squared distances of an update to each honest one, float64[m]."""
    return ((honest - update).astype(np.float64) ** 2).sum(1)


def pair_distances(honest: np.ndarray) -> np.ndarray:
    """Squared distances float64[m, m]."""
    return np.stack([distances(update, honest) for update in honest])
