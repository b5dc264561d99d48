"""What a group of cheats knows in a round, and what an attack is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cohort_protocol.learning.data import Dataset


@dataclass(frozen=True)
class View:
    """What a group of cheats has in hand in one round. Changes of weights are float32[d] in real units.

    Commit and reveal hide the updates of a round from those who have not committed, and a batch is revealed after the
    last commitment. Attacks that read `honest` or `batch` therefore show the worst case: somebody leaked them."""

    round: int
    """From 1."""
    members: int
    """Cheats in the group, k."""
    random: np.random.Generator
    """Of this group in this round."""
    model: np.ndarray
    past_steps: np.ndarray
    """float32[p, d], p <= 5, most recent first; public."""
    own: np.ndarray
    """What honest training on the members' own data gives, float32[k, d]; [0, d] for attacks that hold no data."""
    honest: np.ndarray
    """float32[m, d], the honest updates of this very round."""
    earlier: np.ndarray | None
    """float32[n, d], all updates of the round before; public. None in the first."""
    revealed: Dataset | None
    """The owner's batches of the rounds before, together; public. None in the first."""
    batch: Dataset
    """The owner's batch of this round, secret until everyone has committed."""
    spare: Dataset
    """A few examples of the kind that trainers hold, for cheats who train a little."""
    first_model: np.ndarray
    """Where the project began."""
    learn: Callable[[Dataset, int], np.ndarray]
    """(data, local epochs) -> the change that honest training on them gives, from the current model."""
    gradient: Callable[[Dataset], np.ndarray]
    """Gradient of the mean loss on data at the current model."""

    @property
    def dimension(self) -> int:
        """d."""
        return len(self.model)

    @property
    def usual_length(self) -> float:
        """What cheats believe an honest update's norm to be: the median of the round before, which is public; in the
        first round they guess well."""
        seen = self.honest if self.earlier is None else self.earlier
        lengths = np.linalg.norm(seen, axis=1)
        return float(np.median(lengths[lengths > 0])) if (lengths > 0).any() else 1.0

    def noise(self, length: float) -> np.ndarray:
        """A Gaussian direction of a given norm."""
        vector = self.random.standard_normal(self.dimension)
        return (vector * (length / np.linalg.norm(vector))).astype(np.float32)

    def same(self, vector: np.ndarray) -> np.ndarray:
        """All members send `vector`: float32[k, d]."""
        return np.repeat(np.asarray(vector, np.float32)[None], self.members, 0)


@dataclass(frozen=True)
class Backdoor:
    """A trigger and what it should make of an example."""

    target: int

    def stamp(self, inputs: np.ndarray) -> np.ndarray:
        """Writes the trigger into copies of examples float32[k, *shape]: the largest value into a corner of 2 x 2
        pixels of an image, or into the last three values of any other example."""
        stamped = inputs.copy()
        if inputs.ndim == 4:
            stamped[:, :, -2:, -2:] = inputs.max()
        else:
            stamped.reshape(len(inputs), -1)[:, -3:] = inputs.max()
        return stamped


class Attack:
    """Base of attacks: immutable, parameters are fields of a dataclass. The class docstring names the source."""

    name: ClassVar[str]
    about: ClassVar[str]
    """One line for the list."""

    def holdings(self, members: int) -> int:
        """Shards of data that the group holds. Attacks that never train hold none."""
        return 0

    def datasets(self, shards: Sequence[Dataset], members: int, random: np.random.Generator) -> list[Dataset]:
        """What each member trains on, given the group's shards: k data sets, or none if it never trains."""
        return list(shards)

    def craft(self, view: View) -> np.ndarray:
        """What the members send: float32[k, d], in real units before quantisation."""
        raise NotImplementedError(f"{type(self).__name__} must say what it sends")

    @property
    def backdoor(self) -> Backdoor | None:
        """The trigger that the attack plants, if it does."""
        return None

    @property
    def victims(self) -> int:
        """Honest trainers whose work is sent a second time: they come first."""
        return 0
