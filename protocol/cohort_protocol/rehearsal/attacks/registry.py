"""Attacks by name, with parameters behind a colon."""

from __future__ import annotations

from dataclasses import fields
from math import isfinite

from cohort_protocol.rehearsal.attacks import freeride, harm
from cohort_protocol.rehearsal.attacks.attack import Attack
from cohort_protocol.rehearsal.errors import RehearsalInvalid, UnknownAttack

_KINDS: tuple[type[Attack], ...] = (
    harm.SignFlip,
    harm.Noise,
    harm.Zeros,
    harm.Scaling,
    harm.LabelFlip,
    harm.PlantBackdoor,
    harm.Alie,
    harm.InnerProduct,
    harm.MinMax,
    harm.MinSum,
    harm.FakeClients,
    freeride.Copy,
    freeride.Clones,
    freeride.MaskedClones,
    freeride.ReseededClones,
    freeride.ShardClones,
    freeride.ReplayStep,
    freeride.ReplayAverage,
    freeride.StepAndNoise,
    freeride.StepAndTraining,
    freeride.FewExamples,
    freeride.RandomGroup,
    freeride.RevealedBatches,
    freeride.LeakedBatch,
)
_ATTACKS = {kind.name: kind for kind in _KINDS}
LARGEST = 1e6
"""Of a parameter, in size."""


def known_attacks() -> dict[str, type[Attack]]:
    """Name -> class, in the order of the list."""
    return dict(_ATTACKS)


def attack_by_name(text: str) -> Attack:
    """An attack by name, with parameters as in `scaling:factor=10` or `clones:noise=0.5`.

    Raises `UnknownAttack` (the message lists the names), `RehearsalInvalid` for a parameter it does not have or a value
    that is no number."""
    name, colon, rest = text.strip().partition(":")
    kind = _ATTACKS.get(name)
    if kind is None:
        raise UnknownAttack(f"there is no attack {name!r}; known are: {', '.join(_ATTACKS)}")
    known = {field.name: type(field.default) for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, float | int] = {}
    for item in rest.split(",") if colon else []:
        key, equals, value = item.strip().partition("=")
        if key not in known or not equals:
            raise RehearsalInvalid(
                f"attack {name!r} has no parameter {key!r}; write name:parameter=number with one of: "
                f"{', '.join(known) or 'none'}"
            )
        values[key] = _number(name, key, value, known[key])
    return kind(**values)


def _number(name: str, key: str, text: str, kind: type) -> float | int:
    try:
        value = kind(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not 0 <= value <= LARGEST:
        raise RehearsalInvalid(f"attack {name!r}, {key}={text!r}: a number from 0 to {LARGEST:g} is needed")
    return value
