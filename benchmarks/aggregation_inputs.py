"""The rounds that `benchmarks.aggregation` measures: the same for Cohort, Flower and the float32 reference.

numpy and the standard library only: Flower's environment imports this file too.
"""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EXPONENT = -14
"""Updates are multiples of 2^-14."""
SPREAD = 0.1
"""Standard deviation of the model's weights, as in a network with batch normalisation."""
LAYERS = 8
SEED = 20_26


@dataclass(frozen=True)
class Round:
    """n updates: the direction of the round plus noise of each; the last `hostile` are `louder` times as noisy."""

    n: int
    dimension: int
    direction: int = 300
    """Largest entry of what all agree on, in units of 2^EXPONENT."""
    noise: int = 300
    """Largest entry of an honest trainer's own noise."""
    louder: int = 4

    @property
    def hostile(self) -> int:
        """A fifth."""
        return self.n // 5

    def update(self, row: int) -> np.ndarray:
        """int16[d]."""
        width = self.noise * (self.louder if row >= self.n - self.hostile else 1)
        own = _integers(row + 1, width, self.dimension)
        own += _integers(0, self.direction, self.dimension)
        return own

    def model(self) -> np.ndarray:
        """float32[d], the weights that the updates move."""
        return np.random.default_rng(SEED).standard_normal(self.dimension, np.float32) * np.float32(SPREAD)

    def moved(self, row: int, model: np.ndarray) -> np.ndarray:
        """float32[d]: the weights that a trainer of Flower sends."""
        return model + self.update(row) * np.float32(2.0**EXPONENT)


def late_round(n: int, dimension: int) -> Round:
    """Late in training: weights change by one unit of 2^-14, 0.00006, and those to be rejected by two."""
    return Round(n, dimension, direction=1, noise=1, louder=2)


def peak_mb() -> float:
    """This process's largest resident memory so far, of the program that runs, not of its parent before it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _integers(stream: int, size: int, count: int) -> np.ndarray:
    """int16[count] in -size .. size."""
    return np.random.default_rng([SEED, stream]).integers(-size, size, count, np.int16, endpoint=True)
