"""Attacks by name, with parameters behind a colon, and several of them joined by a plus."""

from __future__ import annotations

import re
from dataclasses import fields
from difflib import get_close_matches
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
_ALSO: dict[type[Attack], tuple[str, ...]] = {
    harm.SignFlip: ("signflip", "sign-flipping", "flip"),
    harm.Noise: ("gaussian-noise", "gaussian"),
    harm.Zeros: ("zero",),
    harm.Scaling: ("scale",),
    harm.LabelFlip: ("labelflip", "label-flipping"),
    harm.PlantBackdoor: ("backdoor", "trigger"),
    harm.Alie: ("a-little-is-enough",),
    harm.InnerProduct: ("inner-product", "inner-product-manipulation"),
    harm.MinMax: ("minmax", "agr-min-max"),
    harm.MinSum: ("minsum", "agr-min-sum"),
    harm.FakeClients: ("fake-clients",),
    freeride.Clones: ("clone", "k-clone", "k-clones", "sybil", "sybils"),
    freeride.MaskedClones: ("masked-clone", "masked-k-clone", "noisy-clones"),
    freeride.ReseededClones: ("reseeded-clone",),
    freeride.ShardClones: ("shard", "shards", "data-shard", "data-shard-split", "shard-split"),
    freeride.ReplayStep: ("replay-step", "step-replay", "last-step", "last-step-replay"),
    freeride.ReplayAverage: ("ema", "ema-replay", "replay-ema", "average-replay"),
    freeride.StepAndNoise: ("step+noise", "step-and-noise"),
    freeride.StepAndTraining: ("step+training", "step-and-training"),
    freeride.RandomGroup: ("random-groups",),
    freeride.RevealedBatches: ("revealed-batch", "trained-on-revealed-batches"),
    freeride.LeakedBatch: ("leak", "leaked", "leaked-batches"),
}
"""What else people call them."""
_NAMES = {
    **{other: kind.name for kind, others in _ALSO.items() for other in others},
    **{name: name for name in _ATTACKS},
}
LARGEST = 1e6
"""Of a parameter, in size."""


def known_attacks() -> dict[str, type[Attack]]:
    """Name -> class, in the order of the list."""
    return dict(_ATTACKS)


def attack_by_name(text: str) -> Attack:
    """An attack by name, with parameters as in `scaling:factor=10` or `clones:noise=0.5`. Capitals, underscores and
    other common names (`backdoor`, `ema-replay`) are understood.

    Raises `UnknownAttack` (the message lists the names), `RehearsalInvalid` for a parameter it does not have or a value
    that is no number."""
    given, colon, rest = text.strip().partition(":")
    name = _NAMES.get(_plain(given), "")
    kind = _ATTACKS.get(name)
    if kind is None:
        near = [_NAMES[each] for each in get_close_matches(_plain(given), _NAMES, n=1)]
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise UnknownAttack(f"there is no attack {given[:60]!r}{meant}; known are: {', '.join(_ATTACKS)}")
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


def attacks_joined(text: str) -> tuple[str, ...]:
    """The attacks of a mixture such as `alie+replay:age=2`, in order; one name is a mixture of one."""
    if _plain(text.partition(":")[0]) in _NAMES:
        return (text,)
    # Not the plus of a number, as in factor=1e+3.
    return tuple(part.strip() for part in re.split(r"\+(?=\s*[A-Za-z])", text))


def _plain(name: str) -> str:
    """A name as it stands in the table: `Sign_Flip` is sign-flip, `step + noise` is step+noise."""
    return re.sub(r"[\s_-]+", "-", re.sub(r"\s*\+\s*", "+", name.strip().lower()))


def _number(name: str, key: str, text: str, kind: type) -> float | int:
    try:
        value = kind(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value) or not 0 <= value <= LARGEST:
        raise RehearsalInvalid(f"attack {name!r}, {key}={text!r}: a number from 0 to {LARGEST:g} is needed")
    return value
