"""Public rows from a validation batch: validation gradients, u0 and value rows (protocol, section 6).

All of it is computed in float64 on one thread and rounded once, to integers, so that it is the same on one machine and
the same up to rounding on any other; `public_rows` says what a witness accepts.

The value rows. The value of a player is its logit-average Shapley value (`measuring`) on the fresh batch and all
batches revealed before, each example once, but at most what the fresh batch alone says plus 1.5 of its standard
errors: old batches are known to everybody, and whoever trained on them shows it there and not on the fresh one.
Effects on the logits are bounded, and players that destroy are left out of the others' game. To that comes, if the
policy has a memory, a part of what the last rows said of the trainer. v is the least row whose inner product with
every player is its value: v = sum c_g P_g with K c = x, K the Gram matrix of the players (plus 2^-20 of its mean
diagonal, for players that depend on each other), scaled by a power of two so that its entries fill 2^28 .. 2^29. v'
has the same scale and the values on one half of the examples. k is the least row that is 1 on the players that are
kept and -1 on the others: starting from all, that player is dropped without whom the mean of the rest does best on all
these examples, while this lowers the loss by more than 0.5% and by more than one standard error of the difference,
and no more than half of them (backward elimination).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cohort_protocol.learning.architecture import Architecture
from cohort_protocol.learning.data import Dataset
from cohort_protocol.learning.families import build_module
from cohort_protocol.learning.measuring import cross_entropy, example_values
from cohort_protocol.learning.repeatable import repeatable
from cohort_protocol.learning.training import LocalTask, local_seed, train
from cohort_protocol.scoring import Policy, PublicVectors, ScoringInputInvalid, gram_matrix, weighted_sum
from cohort_protocol.scoring.belief import agreements
from cohort_protocol.scoring.default import DefaultPolicy
from cohort_protocol.scoring.fixed_point import BASIS, ONE
from cohort_protocol.scoring.gram import TOTAL_WEIGHT
from cohort_protocol.scoring.players import Players
from cohort_protocol.spec import HyperParameters
from cohort_protocol.update import apply_step

WORTH_DROPPING = 0.005
"""Part of the loss by which the model must be better without a player for it to be dropped, and"""
ERRORS_WORTH_DROPPING = 1.0
"""standard errors of that difference, over the examples."""
LEAST_KEPT = 0.5
"""Part of the players that are kept whatever they do. A step of the few best trainers alone would gain a little more,
and then have them repeat themselves."""
ERRORS_ABOVE = 1.5
"""Standard errors of the fresh batch by which old batches may exceed it."""
MOST_EFFECT = 2.0
"""Times the median player's effect on the logits that a player's may count, like the clip of its length."""
DESTRUCTIVE, OPPOSED = 2.0, -0.1
"""Who is not kept and worth less than minus the first times the median size of all values, or less than nothing with a
smaller cosine with the others than the second, is left out of the others' game."""
RIDGE = 2.0**-20
ROW_BITS = 29
VALUE_BITS = 30
"""Values are remembered in units of 2^-30 nats."""
COMMON_TRAINER = 0x75
"""Seed of the trainer that makes u0."""
BLOCK = 1 << 18


@dataclass(frozen=True)
class ValidationRound:
    """What the public rows of a round follow from."""

    architecture: Architecture
    exponent: int
    model: np.ndarray
    """int64[d], where the round starts."""
    updates: Sequence[np.ndarray]
    """int16[d] each, the admitted ones in order of reveal."""
    batch: Dataset
    """Revealed for this round."""
    revealed: Dataset | None
    """All batches of earlier rounds; None in the first."""
    hyper: HyperParameters
    round: int
    seed: int
    """The project's."""
    earlier: Sequence[int] | None = None
    """What the last value rows said of each row's trainer, `ValidationRows.values` of that round; 0 for newcomers."""
    common: np.ndarray | None = None
    """u0, int64[d] in the unit of an update, where it is known already (simulations); None: it is trained here."""


@dataclass(frozen=True)
class ValidationRows:
    """The public rows but the past steps, and what is to be remembered."""

    vectors: PublicVectors
    values: tuple[int, ...]
    """Of every row's trainer, in units of 2^-30 nats, for the next round's memory; 0 for rows that did not play."""


def validation_rows(given: ValidationRound, reader: Policy) -> ValidationRows:
    """Everything that `reader.needs` of the batch. Deterministic on one machine. For a policy that is not the default
    one, players and memory are those of the default policy. Raises `ScoringInputInvalid`."""
    if given.earlier and len(given.earlier) != len(given.updates):
        raise ScoringInputInvalid(
            f"{len(given.earlier)} remembered values for {len(given.updates)} updates: one each, 0 for newcomers"
        )
    needs = reader.needs
    policy = reader if isinstance(reader, DefaultPolicy) else DefaultPolicy()
    players = policy.players(gram_matrix(given.updates), len(given.updates))
    start = given.model * 2.0 ** (given.exponent - 16)
    values, rows = (0,) * len(given.updates), ()
    if needs.values:
        values, rows = _value_rows(given, policy, players, start)
    gradients, halves, classes = None, None, ()
    if needs.gradients or needs.classes:
        step = weighted_sum(given.updates, probe_weights(players, len(given.updates)))
        moved = apply_step(given.model, step) * 2.0 ** (given.exponent - 16)
        if needs.gradients:
            before, after = scaled_rows([_gradient(given, at, given.batch) for at in (start, moved)])
            gradients = (before, after)
        if needs.halves:
            half = given.batch.take(np.arange(max(1, len(given.batch) // 2)))
            first, second = scaled_rows([_gradient(given, at, half) for at in (start, moved)])
            halves = (first, second)
        if needs.classes:
            classes = _class_gradients(given, start, moved, needs.classes)
    return ValidationRows(
        PublicVectors(
            trainable=_common_update(given, start) if needs.trainable else None,
            gradients=gradients,
            halves=halves,
            values=rows,
            classes=classes,
        ),
        values,
    )


def probe_weights(players: Players, n: int) -> list[int]:
    """Where g1 is taken: weights of the mean of the players, each the mean of its clipped rows. Parts of 2^16."""
    weights = [0] * n
    for group in players.groups:
        for row in group:
            weights[row] = TOTAL_WEIGHT * players.clips[row] // (ONE * players.count * len(group))
    return weights


def scaled_rows(vectors: Sequence[np.ndarray]) -> list[np.ndarray]:
    """float64[d] each -> int64[d], all times the one power of two that brings the largest entry to 2^28 .. 2^29."""
    largest = max((float(np.abs(vector).max()) for vector in vectors), default=0.0)
    if largest == 0:
        return [np.zeros(vector.shape, np.int64) for vector in vectors]
    scale = 2.0 ** (ROW_BITS - np.frexp(largest)[1])
    return [np.rint(vector * scale).astype(np.int64) for vector in vectors]


def _value_rows(
    given: ValidationRound, policy: DefaultPolicy, players: Players, start: np.ndarray
) -> tuple[tuple[int, ...], tuple[np.ndarray, ...]]:
    n = len(given.updates)
    if not players.count:
        return (0,) * n, (np.zeros(given.model.shape, np.int64),) * policy.needs.values
    kept = _kept(given, players, start)
    values, halves = measured_values(given, players, start, kept)
    earlier = given.earlier or (0,) * n
    memory = policy.parameters.memory_bps
    for index, group in enumerate(players.groups):
        before = sum(earlier[row] for row in group) / (len(group) * 2.0**VALUE_BITS)
        values[index] += before * memory / BASIS
        halves[index] += before * memory / BASIS
    remembered = [0] * n
    for index, group in enumerate(players.groups):
        for row in group:
            remembered[row] = int(np.rint(values[index] * 2.0**VALUE_BITS))
    targets = np.stack([values, halves, np.where(kept, 1.0, -1.0)])[: policy.needs.values]
    rows = _least_rows(given.updates, players, targets)
    return tuple(remembered), (*scaled_rows(rows[:2]), *scaled_rows(rows[2:]))


def measured_values(
    given: ValidationRound, players: Players, start: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(values, values on one half) of the players, float64[players] each, nats, without memory. kept: bool[players]."""
    size, first = len(given.batch), len(given.batch) // 2
    everything = _example_values(given, players, start, kept)
    fresh, old = everything[:, :size], everything[:, size:]
    values, half = fresh.mean(1), fresh[:, :first].mean(1) if first else fresh.mean(1)
    if not old.shape[1]:
        return values, half
    part = old.shape[1] / everything.shape[1]
    pooled = part * old.mean(1) + (1 - part) * values
    pooled_half = part * old[:, : old.shape[1] // 2].mean(1) + (1 - part) * half
    error = np.sqrt((fresh.var(1) / size).mean())
    capped = np.minimum(pooled, values + ERRORS_ABOVE * error)
    return capped, capped + (pooled_half - pooled)


def _kept(given: ValidationRound, players: Players, start: np.ndarray) -> np.ndarray:
    """bool[players]: those that backward elimination keeps, at least one."""
    module = build_module(given.architecture).double()
    data = examples_shown(given)

    def losses(total: np.ndarray, count: int) -> np.ndarray:
        return cross_entropy(_logits(module, start + total / count, data), data.labels)

    kept = list(range(players.count))
    total = np.zeros_like(start)
    for index in kept:
        total += _player(given, players, index)
    current = losses(total, len(kept))
    while len(kept) > max(1.0, LEAST_KEPT * players.count):
        without = [losses(total - _player(given, players, index), len(kept) - 1) for index in kept]
        least = int(np.argmin([each.mean() for each in without]))
        if not _worth_dropping(current, without[least]):
            break
        current = without[least]
        total -= _player(given, players, kept.pop(least))
    result = np.zeros(players.count, bool)
    result[kept] = True
    return result


def _worth_dropping(losses: np.ndarray, without: np.ndarray) -> bool:
    """Whether a player is dropped: losses with and without it, float64[examples]. Four noisy rows of ten each do a
    little harm that is no chance; an honest row of a rare class looks harmful by chance."""
    gains = losses - without
    error = float(gains.std()) / len(gains) ** 0.5
    return float(gains.mean()) > max(WORTH_DROPPING * float(losses.mean()), ERRORS_WORTH_DROPPING * error)


def _player(given: ValidationRound, players: Players, index: int) -> np.ndarray:
    """The mean of a player's clipped rows in real units, float64[d]."""
    group = players.groups[index]
    result = np.zeros(len(given.updates[0]))
    for row in group:
        result += given.updates[row] * (2.0**given.exponent * players.clips[row] / (ONE * len(group)))
    return result


def joined(batches: Sequence[Dataset | None]) -> Dataset:
    """The examples of all batches that are there, in order; at least one is."""
    there = [batch for batch in batches if batch is not None]
    return Dataset(np.concatenate([batch.inputs for batch in there]), np.concatenate([batch.labels for batch in there]))


def distinct(data: Dataset, besides: Dataset | None = None) -> Dataset:
    """Every example (input and label) of `data` once, in order of first appearance, without those of `besides`."""
    seen = set() if besides is None else set(_keys(besides))
    rows = []
    for row, key in enumerate(_keys(data)):
        if key not in seen:
            seen.add(key)
            rows.append(row)
    return data.take(np.array(rows, np.int64))


def _keys(data: Dataset) -> Iterator[bytes]:
    inputs = np.ascontiguousarray(data.inputs)
    return (label.tobytes() + example.tobytes() for label, example in zip(data.labels, inputs, strict=True))


def examples_shown(given: ValidationRound) -> Dataset:
    """The fresh batch, then every other example that was revealed before, once: owners whose examples are used up show
    them again, and that makes them no better evidence."""
    if given.revealed is None:
        return given.batch
    return joined([given.batch, distinct(given.revealed, given.batch)])


def _example_values(given: ValidationRound, players: Players, start: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """float64[players, examples], the fresh batch first. Players that destroy get what they are worth among all, the
    others what they are worth without those: diluting harm is no contribution."""
    data = examples_shown(given)
    module = build_module(given.architecture).double()
    members = np.stack(
        [_logits(module, start + _player(given, players, index), data) for index in range(players.count)]
    )
    base = _logits(module, start, data)
    members = bounded_effects(base, members)
    values = example_values(base, members, data.labels)
    worth = values.mean(1)
    agreed = np.array(agreements(players.units)) / ONE
    harmful = (worth < -DESTRUCTIVE * np.median(np.abs(worth))) | ((worth < 0) & (agreed < OPPOSED))
    others = kept | ~harmful
    if others.any() and not others.all():
        values[others] = example_values(base, members[others], data.labels)
    return values


def bounded_effects(base: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Logits of the players' models with their root mean square change of the model's logits clipped to twice the
    median player's. A single update that makes logits explode would otherwise give everybody who dilutes it the same
    huge value. base: float64[b, classes]; members and result: float64[n, b, classes]."""
    changes = members - base
    sizes = np.sqrt((changes**2).mean(axis=(1, 2)))
    most = MOST_EFFECT * np.sort(sizes)[(len(sizes) - 1) // 2]
    return base + np.minimum(1.0, most / np.maximum(sizes, 1e-300))[:, None, None] * changes


def _load(module: nn.Module, weights: np.ndarray) -> None:
    """Overwrites the parameters of a float64 module with float64[d]."""
    source, start = torch.from_numpy(weights), 0
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(source[start : start + parameter.numel()].reshape(parameter.shape))
            start += parameter.numel()


def _logits(module: nn.Module, weights: np.ndarray, data: Dataset) -> np.ndarray:
    _load(module, weights)
    with repeatable(), torch.inference_mode():
        return module(torch.from_numpy(data.inputs).double()).numpy()


def _gradient(given: ValidationRound, weights: np.ndarray, data: Dataset) -> np.ndarray:
    """Of the mean cross-entropy, float64[d]."""
    module = build_module(given.architecture).double()
    _load(module, weights)
    with repeatable():
        inputs, labels = torch.from_numpy(data.inputs).double(), torch.from_numpy(data.labels)
        functional.cross_entropy(module(inputs), labels).backward()
    parts = [p.grad.reshape(-1) if p.grad is not None else torch.zeros(p.numel()) for p in module.parameters()]
    return torch.cat(parts).numpy()


def _class_gradients(
    given: ValidationRound, start: np.ndarray, moved: np.ndarray, classes: int
) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """g0 and g1 of the examples whose label is c modulo `classes`, as parts of the mean over the whole batch."""
    vectors = []
    for label in range(classes):
        chosen = np.flatnonzero(given.batch.labels % classes == label)
        part, data = len(chosen) / len(given.batch), given.batch.take(chosen)
        for at in (start, moved):
            vectors.append(part * _gradient(given, at, data) if len(chosen) else np.zeros(start.shape))
    rows = scaled_rows(vectors)
    return tuple((rows[2 * k], rows[2 * k + 1]) for k in range(classes))


def _common_update(given: ValidationRound, start: np.ndarray) -> np.ndarray | None:
    """u0: honest training on all earlier batches, int64[d] in the unit of an update; None without such batches."""
    if given.revealed is None or given.common is not None:
        return given.common
    module = build_module(given.architecture).double()
    _load(module, start)
    task = LocalTask(
        model=module,
        inputs=given.revealed.inputs.astype(np.float64),
        labels=given.revealed.labels,
        hyper=given.hyper,
        round=given.round,
        seed=local_seed(given.seed, given.round, COMMON_TRAINER),
        previous_step=None,
    )
    trained = train(task)
    after = torch.cat([parameter.detach().reshape(-1) for parameter in trained.parameters()]).numpy()
    return scaled_rows([after - start])[0]


def _least_rows(updates: Sequence[np.ndarray], players: Players, targets: np.ndarray) -> list[np.ndarray]:
    """The least rows r with <r, P_g> = targets[k, g], float64[d] each: the players are means of clipped rows."""
    sizes = np.array([len(group) for group in players.groups], np.float64)
    count = players.count
    gram = np.array([row[:count] for row in players.gram[:count]], np.float64) / 2.0**60 / np.outer(sizes, sizes)
    gram[np.diag_indices(count)] += RIDGE * np.trace(gram) / count
    coefficients = np.linalg.solve(gram, targets.T) / sizes[:, None]
    by_row = np.zeros((len(updates), len(targets)))
    for index, group in enumerate(players.groups):
        for row in group:
            by_row[row] = coefficients[index] * (players.clips[row] / ONE)
    results = [np.empty(len(updates[0]), np.float64) for _ in targets]
    for start in range(0, len(updates[0]), BLOCK):
        part = np.stack([update[start : start + BLOCK] for update in updates]).astype(np.float64)
        for result, column in zip(results, (by_row.T @ part), strict=True):
            result[start : start + BLOCK] = column
    return results
