"""Model families as data: what a spec says of a model, without importing torch.

The service validates specs, knows their dimension and makes their first weights with this module alone;
`families.py` builds the same architectures in torch. The order of `parameter_shapes` is the order of entries in
every model, update and step.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from itertools import pairwise
from math import prod, sqrt
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cohort_protocol.learning.errors import ArchitectureInvalid
from cohort_protocol.spec import MAX_DIMENSION, DataSpec


class ParameterShape(NamedTuple):
    """One tensor of a model."""

    name: str
    shape: tuple[int, ...]
    fan_in: int
    """Inputs of one unit of its layer, which set the size of its first weights."""


Width = Annotated[int, Field(ge=1, le=8192)]


class FamilyConfig(BaseModel):
    """Base of the configuration of a family. Unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: ClassVar[str]

    def check(self, data: DataSpec) -> None:
        """Raises `ArchitectureInvalid` if the family cannot read such data."""

    def shapes(self, data: DataSpec) -> tuple[ParameterShape, ...]:
        """The tensors in canonical order."""
        raise NotImplementedError(f"{type(self).__name__} must say its shapes")


class DigitsCnn(FamilyConfig):
    """Two 3x3 convolutions with padding 1, max-pooling by 2, one hidden layer; ReLU throughout."""

    family: ClassVar[str] = "digits-cnn"

    first_channels: Width = 16
    second_channels: Width = 32
    hidden: Width = 64

    def check(self, data: DataSpec) -> None:
        """Needs images [channels, height, width] with even sides."""
        if len(data.shape) != 3 or data.shape[1] % 2 or data.shape[2] % 2:
            raise ArchitectureInvalid(
                f"family {self.family!r} reads images [channels, height, width] of even height and width, "
                f"the data have shape {data.shape}"
            )

    def shapes(self, data: DataSpec) -> tuple[ParameterShape, ...]:
        """38,282 parameters at the defaults for 1 x 8 x 8 images and 10 classes."""
        channels, height, width = data.shape
        flat = self.second_channels * (height // 2) * (width // 2)
        return (
            *_layer("conv1", (self.first_channels, channels, 3, 3)),
            *_layer("conv2", (self.second_channels, self.first_channels, 3, 3)),
            *_layer("hidden", (self.hidden, flat)),
            *_layer("output", (data.classes, self.hidden)),
        )


class Mlp(FamilyConfig):
    """Fully connected layers with ReLU between them; any shape of data, flattened."""

    family: ClassVar[str] = "mlp"

    hidden: Annotated[tuple[Width, ...], Field(max_length=8)] = (64,)

    def shapes(self, data: DataSpec) -> tuple[ParameterShape, ...]:
        """The hidden layers `layers.0`, `layers.1`, ..., then the output as the last of them."""
        widths = (prod(data.shape), *self.hidden, data.classes)
        return tuple(
            shape
            for index, (before, after) in enumerate(pairwise(widths))
            for shape in _layer(f"layers.{index}", (after, before))
        )


_FAMILIES: dict[str, type[FamilyConfig]] = {kind.family: kind for kind in (DigitsCnn, Mlp)}


def _layer(name: str, shape: tuple[int, ...]) -> tuple[ParameterShape, ParameterShape]:
    fan_in = prod(shape[1:])
    return (
        ParameterShape(f"{name}.weight", shape, fan_in),
        ParameterShape(f"{name}.bias", shape[:1], fan_in),
    )


class Architecture:
    """A family, its configuration and the data it reads. Immutable; make one with `parse_architecture`."""

    def __init__(self, config: FamilyConfig, data: DataSpec) -> None:
        config.check(data)
        self._config = config
        self._data = data
        self._shapes = config.shapes(data)
        if self.dimension > MAX_DIMENSION:
            raise ArchitectureInvalid(
                f"this {config.family!r} has {self.dimension} parameters, at most {MAX_DIMENSION} are allowed"
            )

    @property
    def family(self) -> str:
        """Name of the family."""
        return self._config.family

    @property
    def config(self) -> FamilyConfig:
        """The parsed configuration."""
        return self._config

    @property
    def data(self) -> DataSpec:
        """What it reads."""
        return self._data

    @property
    def dimension(self) -> int:
        """Number of parameters d."""
        return sum(prod(shape.shape) for shape in self._shapes)

    def parameter_shapes(self) -> tuple[ParameterShape, ...]:
        """The tensors in canonical order, which is the order of entries in models and updates."""
        return self._shapes

    def to_config(self) -> dict[str, Any]:
        """The configuration as JSON with every default filled in: what belongs in a spec."""
        return self._config.model_dump(mode="json")


def known_families() -> tuple[str, ...]:
    """The names that `parse_architecture` accepts."""
    return tuple(sorted(_FAMILIES))


def parse_architecture(family: str, config: Mapping[str, Any], data: DataSpec) -> Architecture:
    """The architecture that a spec describes. Raises `ArchitectureInvalid`."""
    kind = _FAMILIES.get(family)
    if kind is None:
        raise ArchitectureInvalid(f"there is no model family {family!r}; known are: {', '.join(known_families())}")
    try:
        return Architecture(kind.model_validate(dict(config)), data)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
        raise ArchitectureInvalid(f"configuration of family {family!r}: {problems}") from error


def initial_weights(architecture: Architecture, seed: int) -> np.ndarray:
    """The first weights, float32[d]: biases 0, weights uniform within +-sqrt(6/fan_in), which keeps the variance
    of activations through ReLU layers (He et al., ICCV 2015).

    The same on every machine: raw 64-bit words of Philox (Salmon et al., SC 2011) keyed by seed and tensor, and
    IEEE operations that are correctly rounded. seed: any int >= 0."""
    parts = []
    for name, shape, fan_in in architecture.parameter_shapes():
        if len(shape) == 1:
            parts.append(np.zeros(shape, np.float32))
            continue
        key = int.from_bytes(sha256(f"cohort/initial-weights/v1/{seed}/{name}".encode()).digest()[:16], "big")
        words = np.random.Philox(key=key).random_raw(prod(shape))
        uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
        parts.append(((2.0 * uniform - 1.0) * sqrt(6.0 / fan_in)).astype(np.float32))
    return np.concatenate(parts)
